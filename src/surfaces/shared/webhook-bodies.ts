/**
 * The bodies of webhooks, one function for each format. Only surfaces know wire formats, so the senders
 * are given these.
 */
import type { Config } from "../../platform/config";
import type { WebhookSender } from "../../webhooks/delivery-attempt";
import { toRelaySession } from "../relay-sessions/wire";
import { toRicloudEvent } from "../source-sessions/event-wire";
import { toEventBody } from "../v1/event-wire";

/** For each format: turns an event into the body of a webhook. */
export function webhookBodies({ secret }: Pick<Config, "secret">): WebhookSender["render"] {
  return {
    "relay-session": ({ data: { session } }) =>
      toRelaySession(session, null, { origin: session.origin, secret }),
    standard: toEventBody,
    ricloud: (event, attemptsBefore) =>
      toRicloudEvent(event, { state: "pending", retries: attemptsBefore, deliveredAt: null }),
  };
}
