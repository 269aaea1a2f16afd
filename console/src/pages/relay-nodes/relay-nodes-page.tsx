/** The page Relay nodes. */
export default function RelayNodesPage({ path }: { path: readonly string[] }) {
  return (
    <>
      <h1>Relay nodes</h1>
      <p>{path.join(" ")}</p>
    </>
  );
}
