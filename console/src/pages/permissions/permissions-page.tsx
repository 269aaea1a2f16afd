/** The page Permissions. */
export default function PermissionsPage({ path }: { path: readonly string[] }) {
  return (
    <>
      <h1>Permissions</h1>
      <p>{path.join(" ")}</p>
    </>
  );
}
