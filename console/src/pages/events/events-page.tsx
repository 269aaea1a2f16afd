/** The page Events. */
export default function EventsPage({ path }: { path: readonly string[] }) {
  return (
    <>
      <h1>Events</h1>
      <p>{path.join(" ")}</p>
    </>
  );
}
