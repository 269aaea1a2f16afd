/** The page Devices. */
export default function DevicesPage({ path }: { path: readonly string[] }) {
  return (
    <>
      <h1>Devices</h1>
      <p>{path.join(" ")}</p>
    </>
  );
}
