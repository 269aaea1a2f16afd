/**
 * The bodies of webhooks, one function for each format. Only surfaces know wire formats, so the senders
 * are given these.
 */
import * as z from "zod";
import type { DeliveryFormat } from "../../events/delivery-record";
import type { Config } from "../../platform/config";
import type { WebhookSender } from "../../webhooks/delivery-attempt";
import { relaySession, toRelaySession } from "../relay-sessions/wire";
import { ricloudEvent, toRicloudEvent } from "../source-sessions/event-wire";
import { EVENT_PAYLOADS, eventBody } from "../v1/event-payloads";
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

/** A webhook, as the description of the API has it. */
export interface WebhookDescription {
  /** Decides how it is signed: `ricloud` as ricloud does, the others as Standard Webhooks. */
  format: DeliveryFormat;
  /** When it is sent, and where. CommonMark. */
  when: string;
  body: z.ZodType;
}

/** Every webhook, by name. Only the description of the API needs it: it is no part of the Worker's bundle. */
export function describeWebhooks(): Record<string, WebhookDescription> {
  const ofEvents = Object.entries(EVENT_PAYLOADS).map(([type, { data, when }]) => {
    return [type, { format: "standard", when, body: eventBody(z.literal(type), data) }] as const;
  });
  return {
    ...Object.fromEntries(ofEvents),
    "relay-session": {
      format: "relay-session",
      when: "At `session.active`, `session.failed` and `session.expired` of a relay session with a `webhook_url`, to that address. The body is the session. It is signed with the organisation's secret.",
      body: relaySession,
    },
    "webhook_config.test": {
      format: "ricloud",
      when: EVENT_PAYLOADS["webhook_config.test"].when,
      body: ricloudEvent,
    },
    "ricloud-event": {
      format: "ricloud",
      when: "Any of these events, to a webhook endpoint in ricloud's format: to its address with `/` and the event's id behind the path, signed with `Ricloud-Signature`.",
      body: ricloudEvent,
    },
  };
}
