/** The page Pairing. */
export default function PairingPage({ path }: { path: readonly string[] }) {
  return (
    <>
      <h1>Pairing</h1>
      <p>{path.join(" ")}</p>
    </>
  );
}
