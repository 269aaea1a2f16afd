/** The page Source sessions. */
export default function SourceSessionsPage({ path }: { path: readonly string[] }) {
  return (
    <>
      <h1>Source sessions</h1>
      <p>{path.join(" ")}</p>
    </>
  );
}
