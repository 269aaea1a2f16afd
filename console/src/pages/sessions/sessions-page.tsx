/** The page Relay sessions. */
export default function SessionsPage({ path }: { path: readonly string[] }) {
  return (
    <>
      <h1>Relay sessions</h1>
      <p>{path.join(" ")}</p>
    </>
  );
}
