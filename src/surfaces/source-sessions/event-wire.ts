/** Events in ricloud's format: in its lists, and as the bodies of webhooks. */
import * as z from "zod";
import type { DomainEvent } from "../../events/event";
import type { DeliverySummary } from "../../events/event-list";
import type { Shown } from "../../http/operation";
import type { EventData } from "../../webhooks/event-catalogue";
import { timeInSeconds, toRfc3339Seconds } from "../shared/wire-time";
import { toEventData } from "../v1/event-wire";
import {
  ricloudKey,
  sourceSession,
  toKey,
  toSession,
  toWebhookConfigFacts,
  webhookConfigFacts,
} from "./wire";

const eventData = z.union([
  sourceSession,
  ricloudKey,
  webhookConfigFacts,
  z.record(z.string(), z.unknown()).meta({
    description: "Of all other types: what `/v1/events` shows as `data`, without a `resource`.",
  }),
]);

/** An event. */
export const ricloudEvent = z
  .object({
    id: z.string(),
    resource: z.literal("event"),
    organisation: z.int(),
    type: z.string().meta({
      description: "What it is about: the part before the first dot of `session.user_authorized`.",
    }),
    action: z.string().meta({ description: "What happened: the part behind the first dot." }),
    data: eventData.meta({ description: "What it is about, as it was right after the event." }),
    state: z.enum(["pending", "delivered", "failed"]),
    retries: z.int(),
    date_created: timeInSeconds,
    date_delivered: timeInSeconds.nullable(),
  })
  .meta({ id: "RicloudEvent" });

/** An event: `session.user_authorized` is of type `session` and action `user_authorized`. */
export function toRicloudEvent(
  event: DomainEvent,
  delivery: DeliverySummary,
): Shown<typeof ricloudEvent> {
  const [type = "", ...action] = event.type.split(".");
  return {
    id: event.id,
    resource: "event",
    organisation: event.organisationId,
    type,
    action: action.join("."),
    data: toRicloudEventData(event),
    state: delivery.state,
    retries: delivery.retries,
    date_created: toRfc3339Seconds(event.at),
    date_delivered: toRfc3339Seconds(delivery.deliveredAt),
  };
}

function toRicloudEventData(event: DomainEvent): Shown<typeof eventData> {
  const { data, organisationId } = event as DomainEvent<EventData>;
  if ("endpoint" in data) return toWebhookConfigFacts(data.endpoint);
  if ("key" in data) return toKey(data.key, organisationId);
  const session = "session" in data && data.session.kind === "source" ? data.session : null;
  // Everything else is shown as on `/v1`, where objects have no `resource`.
  return session ? toSession(session, null, null) : toEventData(event);
}
