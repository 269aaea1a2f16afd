/** The page Webhooks. */
export default function WebhooksPage({ path }: { path: readonly string[] }) {
  return (
    <>
      <h1>Webhooks</h1>
      <p>{path.join(" ")}</p>
    </>
  );
}
