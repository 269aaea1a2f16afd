/** The page API keys. */
export default function KeysPage({ path }: { path: readonly string[] }) {
  return (
    <>
      <h1>API keys</h1>
      <p>{path.join(" ")}</p>
    </>
  );
}
