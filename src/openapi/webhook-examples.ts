/** An example of the body of each webhook. Those of events are the blocks of JSON in `docs/webhooks.md`. */
import { EXAMPLES } from "./examples";

/**
 * The examples, by the name of the webhook.
 * @param page the text of `docs/webhooks.md`, where each event has a heading with its name and one block of JSON
 * @throws SyntaxError if a block is not JSON
 */
export function webhookExamples(page: string): Record<string, unknown> {
  const entries = page.matchAll(/^#### `(.+)`\n\n.+\n\n```json\n([\s\S]*?)^```$/gm);
  return {
    ...Object.fromEntries([...entries].map(([, name, json = ""]) => [name, JSON.parse(json)])),
    "relay-session": relaySessionBody(),
    // What is sent is not delivered yet.
    "ricloud-event": {
      ...(EXAMPLES.RicloudEvent as object),
      state: "pending",
      date_delivered: null,
    },
  };
}

/** A session as its own `webhook_url` gets it: without what only its Durable Object knows. */
function relaySessionBody(): object {
  const session = EXAMPLES.RelaySession as { session_users: object[] };
  const unknown = { connected: null, bytes_in: null, bytes_out: null, frames_dropped: null };
  return {
    ...session,
    webhook_url: "https://example.com/hooks",
    session_users: session.session_users.map((user) => ({ ...user, ...unknown })),
  };
}
