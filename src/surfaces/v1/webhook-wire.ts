/**
 * Webhook endpoints, deliveries and recoveries on `/v1`: the bodies and queries, and how they are
 * shown.
 */
import * as z from "zod";
import type { Attempt, StoredDelivery } from "../../events/delivery-record";
import { EVENT_PATTERNS, EVENT_TYPES } from "../../events/event-types";
import { humanText } from "../../http/human-text";
import type { Shown } from "../../http/operation";
import { pageCursor, pageLimit } from "../../http/paging";
import { wholeNumber } from "../../http/whole-numbers";
import { LONGEST_SECRET_GRACE_SECONDS } from "../../outbound/signing-secrets";
import {
  LONGEST_ENDPOINT_DESCRIPTION,
  MAX_EVENT_PATTERNS,
  type WebhookEndpoint,
} from "../../webhooks/endpoint";
import { LONGEST_RECOVERY_MS, type Recovery } from "../../webhooks/recovery";
import { EVENT_ID } from "../shared/id-forms";
import { time, toRfc3339 } from "../shared/wire-time";

const url = z.string("must be a string").meta({
  description:
    "An https address in the public Internet, to which events are posted. Everyone who may read events is shown it: put no secret in it.",
});
const description = humanText(0, LONGEST_ENDPOINT_DESCRIPTION).meta({
  description: `A note of yours: at most ${LONGEST_ENDPOINT_DESCRIPTION} characters.`,
});
const enabled = z
  .boolean("must be true or false")
  .meta({ description: "False: nothing is sent to it." });
const NO_EVENT = `names no event: use a name such as session.active, the beginning of one such as device.*, or leave event_types out for all. The names are ${EVENT_TYPES.join(", ")}`;
const eventPattern = z
  .enum(EVENT_PATTERNS, {
    error: ({ input }) => (typeof input === "string" ? NO_EVENT : "must be a string"),
  })
  .meta({
    id: "EventPattern",
    description:
      "The name of an event, or a beginning with `.*` behind it: `device.*` means every event whose name begins with `device.`.",
  });
const eventTypes = z
  .array(eventPattern, "must be an array of names of events")
  .min(1, "must name an event; leave it out for all")
  .max(MAX_EVENT_PATTERNS, `must have at most ${MAX_EVENT_PATTERNS} names`)
  .transform((names) => [...new Set(names)])
  .nullable()
  .meta({ description: "Which events it hears of. Null: all." });
const timeText = z.iso
  .datetime({ offset: true, error: "must be an RFC 3339 time, such as 2026-11-22T08:00:00Z" })
  .transform(Date.parse);

/** The form of the id of a webhook endpoint. */
export const ENDPOINT_ID = /^whe_[0-9a-f]{32}$/;

/** The form of the id of a delivery. */
export const DELIVERY_ID = /^whd_[0-9a-f]{32}_[0-9a-f]{12}$/;

/** The body that makes an endpoint. */
export const createEndpointBody = z
  .strictObject({
    url,
    description: description.default(""),
    event_types: eventTypes.default(null),
    format: z
      .enum(["standard", "ricloud"], "must be standard or ricloud")
      .default("standard")
      .meta({ description: "`standard`: Standard Webhooks. `ricloud`: as ricloud does." }),
    enabled: enabled.default(true),
  })
  .transform(({ event_types, ...rest }) => ({ ...rest, eventTypes: event_types }));

/** The body that changes an endpoint. A field that is left out stays as it is. */
export const changeEndpointBody = z
  .strictObject({
    url: url.optional(),
    description: description.optional(),
    event_types: eventTypes.optional(),
    enabled: enabled.optional(),
  })
  .transform(({ url, description, event_types, enabled }) => ({
    ...(url === undefined ? {} : { url }),
    ...(description === undefined ? {} : { description }),
    ...(event_types === undefined ? {} : { eventTypes: event_types }),
    ...(enabled === undefined ? {} : { enabled }),
  }));

/** The body that rotates a secret. In the grace, given in seconds, the old secret signs as well. */
export const rotateSecretBody = z
  .strictObject({
    grace_seconds: wholeNumber(0, LONGEST_SECRET_GRACE_SECONDS)
      .default(86_400)
      .meta({ description: "For how many seconds the old secret signs as well." }),
  })
  .transform(({ grace_seconds }) => ({ graceMs: grace_seconds * 1_000 }));

/**
 * The body that starts a recovery: deliveries that failed in this window are sent again. Without `until`
 * it ends now.
 */
export const startRecoveryBody = z
  .strictObject({
    since: timeText.meta({
      description:
        "The oldest event, by the time when it happened. At most 14 days before `until`.",
    }),
    until: timeText.optional().meta({ description: "The newest event. Left out: now." }),
  })
  .transform(({ since, until }) => ({ since, until: until ?? Date.now() }))
  .superRefine(({ since, until }, issues) => {
    if (since >= until) {
      issues.addIssue({ code: "custom", path: ["since"], message: "must be before until" });
    } else if (until - since > LONGEST_RECOVERY_MS) {
      issues.addIssue({
        code: "custom",
        path: ["since"],
        message: "must be at most 14 days before until; do the rest in another call",
      });
    }
  });

/** The query of the list of endpoints. */
export const endpointsQuery = z
  .strictObject({ limit: pageLimit, cursor: pageCursor(ENDPOINT_ID) })
  .transform(({ limit, cursor }) => ({ limit, after: cursor, before: null }));

/** A type of events in a query, or the beginning of one such as `device.*`. */
export const eventTypeQuery = eventPattern.nullable().default(null).meta({
  description: "Only of this event, or of those with this beginning, such as `session.*`.",
});

/** A time in a query, read as Unix milliseconds. */
export const timeQuery = timeText
  .nullable()
  .default(null)
  .meta({ description: "Only what happened then or later. RFC 3339." });

const DELIVERY_STATUSES = ["pending", "delivered", "failed", "discarded"] as const;

/** The query of the list of deliveries. */
export const deliveriesQuery = z
  .strictObject({
    limit: pageLimit,
    cursor: pageCursor(DELIVERY_ID),
    event: z
      .string()
      .regex(EVENT_ID, "must be the id of an event")
      .nullable()
      .default(null)
      .meta({ description: "Only of the event with this id." }),
    endpoint: z.string().nullable().default(null).meta({
      description: "Only to the webhook endpoint with this id, which may have been deleted.",
    }),
    event_type: eventTypeQuery,
    status: z
      .enum(DELIVERY_STATUSES, "must be pending, delivered, failed or discarded")
      .nullable()
      .default(null)
      .meta({ description: "Only in this state." }),
  })
  .transform(({ limit, cursor, event, endpoint, event_type, status }) => ({
    limit,
    below: cursor,
    eventId: event,
    endpointId: endpoint,
    pattern: event_type,
    status,
  }));

/** The schema of an event's type. */
export const eventType = z
  .enum(EVENT_TYPES)
  .meta({ id: "EventType", description: "The name of an event." });

/** The schema of an endpoint, without its secret. */
export const webhookEndpoint = z
  .object({
    id: z.string(),
    version: z.int().meta({ description: "Rises with every change." }),
    url: z.string(),
    description: z.string(),
    event_types: z.array(z.string()).nullable().meta({
      description: "Which events it hears of: names, or beginnings such as `device.*`. Null: all.",
    }),
    format: z.enum(["standard", "ricloud"]),
    enabled: z.boolean().meta({ description: "Whether events are sent to it." }),
    disabled_reason: z.enum(["gone", "failing"]).nullable().meta({
      description:
        "Why Drawbridge disabled it. `gone`: its receiver answered 410. `failing`: nothing has arrived for days. Null: Drawbridge did not.",
    }),
    failing_since: time.nullable().meta({
      description: "When the first delivery failed since one arrived. Null: none has failed since.",
    }),
    created_at: time,
  })
  .meta({ id: "WebhookEndpoint" });

/** The schema of an attempt. */
export const webhookAttempt = z
  .object({
    at: time.meta({ description: "When it was sent." }),
    duration_ms: z.int().meta({ description: "How long it took, in milliseconds." }),
    status_code: z
      .int()
      .nullable()
      .meta({ description: "The status that the receiver answered. Null: no answer came." }),
    response: z
      .string()
      .nullable()
      .meta({ description: "The first 1 KB of the answer's body. Null: no answer came." }),
    error: z.string().nullable().meta({ description: "Why no answer came. Null: one came." }),
  })
  .meta({ id: "WebhookAttempt", description: "One request, and what the receiver answered." });

/** The schema of a delivery with its attempts. */
export const webhookDelivery = z
  .object({
    id: z.string(),
    endpoint_id: z
      .string()
      .nullable()
      .meta({ description: "Null: it goes to the `webhook_url` of a relay session." }),
    event_id: z.string().meta({ description: "The event that it tells of." }),
    event_type: eventType,
    url: z.string().meta({ description: "Where it goes." }),
    status: z.enum(DELIVERY_STATUSES).meta({
      description:
        "`failed`: no attempt is planned any more, and none arrived. `discarded`: there was nowhere to send it.",
    }),
    attempts: z.array(webhookAttempt).meta({ description: "Oldest first." }),
    next_attempt_at: time.nullable().meta({ description: "Null: none is planned." }),
  })
  .meta({ id: "WebhookDelivery" });

/** The schema of a recovery. */
export const webhookRecovery = z
  .object({
    id: z.string(),
    endpoint_id: z.string(),
    status: z.enum(["running", "finished"]),
    since: time,
    until: time,
    resent: z.int().meta({ description: "How many deliveries were sent again so far." }),
    created_at: time,
    finished_at: time.nullable().meta({ description: "Null: it is running." }),
  })
  .meta({ id: "WebhookRecovery" });

/** An endpoint, without its secret. */
export function toEndpoint(endpoint: WebhookEndpoint): Shown<typeof webhookEndpoint> {
  return {
    id: endpoint.id,
    version: endpoint.version,
    url: endpoint.url,
    description: endpoint.description,
    event_types: endpoint.eventTypes,
    format: endpoint.format,
    enabled: endpoint.enabled,
    disabled_reason: endpoint.disabledReason,
    failing_since: toRfc3339(endpoint.failingSince),
    created_at: toRfc3339(endpoint.createdAt),
  };
}

/** A delivery with every attempt. */
export function toDelivery(delivery: StoredDelivery): Shown<typeof webhookDelivery> {
  return {
    id: delivery.id,
    endpoint_id: delivery.endpointId,
    event_id: delivery.eventId,
    event_type: delivery.eventType,
    url: delivery.url,
    status: delivery.status,
    attempts: delivery.attempts.map(toAttempt),
    next_attempt_at: toRfc3339(delivery.nextAttemptAt),
  };
}

/** One request, and what the receiver said. */
export function toAttempt(attempt: Attempt): Shown<typeof webhookAttempt> {
  return {
    at: toRfc3339(attempt.at),
    duration_ms: attempt.durationMs,
    status_code: attempt.statusCode,
    response: attempt.response,
    error: attempt.error,
  };
}

/** A recovery, and how far it has got. */
export function toRecovery(recovery: Recovery): Shown<typeof webhookRecovery> {
  return {
    id: recovery.id,
    endpoint_id: recovery.endpointId,
    status: recovery.finishedAt === null ? "running" : "finished",
    since: toRfc3339(recovery.since),
    until: toRfc3339(recovery.until),
    resent: recovery.resent,
    created_at: toRfc3339(recovery.createdAt),
    finished_at: toRfc3339(recovery.finishedAt),
  };
}
