/** The body of a webhook in each format: wire formats are known to the surfaces only. */
import type { Config } from "../../platform/config";
import type { AttemptDeps } from "../../webhooks/delivery-attempt";
import { toRelaySession } from "../relay-sessions/wire";
import { toRicloudEvent } from "../source-sessions/wire";
import { toEventBody } from "../v1/event-wire";

/** What turns an event into the body of a webhook. */
export function webhookBodies({ secret }: Pick<Config, "secret">): AttemptDeps["render"] {
  return {
    "relay-session": ({ data: { session } }) =>
      toRelaySession(session, null, { origin: session.origin, secret }),
    standard: toEventBody,
    ricloud: (event, retries) =>
      toRicloudEvent(event, { state: "pending", retries, deliveredAt: null }),
  };
}
