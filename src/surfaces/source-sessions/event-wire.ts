/** Events in ricloud's format: in its lists, and as the bodies of webhooks. */
import * as z from "zod";
import type { DeliverySummary } from "../../events/delivery-summary";
import type { DomainEvent } from "../../events/event";
import type { Shown } from "../../http/operation";
import type { EventData } from "../../webhooks/event-catalogue";
import { timeInSeconds, toRfc3339Seconds } from "../shared/wire-time";
import { EVENT_KINDS } from "../v1/event-payloads";
import { toEventData } from "../v1/event-wire";
import {
  ricloudKey,
  sourceSession,
  toKey,
  toSession,
  toWebhookConfigFacts,
  webhookConfigFacts,
} from "./wire";

/** Events of one kind of `/v1/events`, with `data` in this form. Each part of a type is a field of its own. */
function eventsOf<D extends z.ZodType>(kind: { shape: { type: z.ZodEnum } }, data: D) {
  const types = kind.shape.type.options.map((type) => partsOf(String(type)));
  return z.object({
    id: z.string(),
    resource: z.literal("event"),
    organisation: z.int().meta({ description: "The id of the organisation in which it happened." }),
    type: z.enum([...new Set(types.map(({ subject }) => subject))]).meta({
      description: "What it is about: the part before the first dot of `session.user_authorized`.",
    }),
    action: z
      .enum([...new Set(types.map(({ action }) => action))])
      .meta({ description: "What happened: the part behind the first dot." }),
    data,
    state: z
      .enum(["pending", "delivered", "failed"])
      .meta({ description: "Whether its webhooks have arrived." }),
    retries: z.int().meta({ description: "How often it was sent again." }),
    date_created: timeInSeconds,
    date_delivered: timeInSeconds.nullable().meta({ description: "Null: it has not arrived." }),
  });
}

/** `session` and `user_authorized` of `session.user_authorized`. */
function partsOf(type: string): { subject: string; action: string } {
  const [subject = "", ...action] = type.split(".");
  return { subject, action: action.join(".") };
}

const sameAsOnV1 = <D extends z.ZodType>(kind: { shape: { type: z.ZodEnum; data: D } }) =>
  eventsOf(kind, kind.shape.data);

/** An event. Objects that ricloud does not have are shown as on `/v1`, without a `resource`. */
export const ricloudEvent = z
  .union([
    eventsOf(EVENT_KINDS.session, z.union([sourceSession, EVENT_KINDS.session.shape.data])),
    eventsOf(EVENT_KINDS.key, ricloudKey),
    sameAsOnV1(EVENT_KINDS.relayPermission),
    sameAsOnV1(EVENT_KINDS.connection),
    sameAsOnV1(EVENT_KINDS.connector),
    sameAsOnV1(EVENT_KINDS.pairingRequest),
    sameAsOnV1(EVENT_KINDS.device),
    sameAsOnV1(EVENT_KINDS.relayNode),
    sameAsOnV1(EVENT_KINDS.database),
    eventsOf(EVENT_KINDS.webhookEndpoint, webhookConfigFacts),
  ])
  .meta({
    id: "RicloudEvent",
    description: "What happened. `type` and `action` say which form `data` has.",
  });

type RicloudEvent = Shown<typeof ricloudEvent>;

/** An event: `session.user_authorized` is of type `session` and action `user_authorized`. */
export function toRicloudEvent(event: DomainEvent, delivery: DeliverySummary): RicloudEvent {
  const { subject, action } = partsOf(event.type);
  const shown: Omit<RicloudEvent, "data"> & { data: unknown } = {
    id: event.id,
    resource: "event",
    organisation: event.organisationId,
    type: subject,
    action,
    data: toRicloudEventData(event),
    state: delivery.state,
    retries: delivery.retries,
    date_created: toRfc3339Seconds(event.at),
    date_delivered: toRfc3339Seconds(delivery.deliveredAt),
  };
  // The compiler does not know which data an event of a type has. A test compares all of them with the schema.
  return shown as RicloudEvent;
}

function toRicloudEventData(event: DomainEvent) {
  const { data, organisationId } = event as DomainEvent<EventData>;
  if ("endpoint" in data) return toWebhookConfigFacts(data.endpoint);
  if ("key" in data) return toKey(data.key, organisationId);
  const session = "session" in data && data.session.kind === "source" ? data.session : null;
  // Everything else is shown as on `/v1`, where objects have no `resource`.
  return session ? toSession(session, null, null) : toEventData(event);
}
