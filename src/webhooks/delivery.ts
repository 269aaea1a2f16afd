/** A delivery: one event that is owed to one address, and the attempts to bring it there. Pure. */
import { createHash } from "node:crypto";
import type { deliveries } from "../db/schema/webhooks";
import type { DomainEvent } from "../events/event";
import type { SecretVersions } from "../outbound/signing-secrets";
import type { WebhookEndpoint } from "./endpoint";

/** The format in which the event is posted. */
export type DeliveryFormat = (typeof deliveries.$inferSelect)["format"];

/** `failed`: no scheduled attempt will follow, and none arrived. `discarded`: there was nowhere to send it. */
export type DeliveryStatus = (typeof deliveries.$inferSelect)["status"];

/** One HTTP request for a delivery. Times are Unix milliseconds. */
export interface Attempt {
  at: number;
  durationMs: number;
  /** Null when no answer came. */
  statusCode: number | null;
  /** The first 1 KB of the answer's body. */
  response: string | null;
  error: string | null;
  /** The id of the request or recovery that asked for it; none: the schedule did. Each id is sent once. */
  resend?: string;
}

/** One event owed to one address. */
export interface Delivery {
  organisationId: number;
  id: string;
  eventId: string;
  eventType: DomainEvent["type"];
  format: DeliveryFormat;
  url: string;
  /** The webhook endpoint; null: the address is the `webhook_url` of a session. */
  endpointId: string | null;
}

/** A delivery as it is listed. */
export interface StoredDelivery extends Delivery {
  status: DeliveryStatus;
  /** Oldest first. */
  attempts: Attempt[];
  /** How many of them the schedule asked for. A resend is in `attempts` and is not counted here. */
  scheduledAttempts: number;
  nextAttemptAt: number | null;
}

/** A delivery with everything that an attempt needs. */
export interface DeliveryToSend extends StoredDelivery {
  event: DomainEvent;
  /** The endpoint as it is now; null: it was deleted, or the delivery has none. */
  endpoint: WebhookEndpoint | null;
  /** The organisation's own secrets; null when it was deleted. */
  organisationSecrets: SecretVersions | null;
}

/** Which delivery. */
export type DeliveryKey = Pick<Delivery, "organisationId" | "id">;

/**
 * The most attempts of one delivery. A delivery that has so many is not sent again: a program that asks
 * for resends in a loop would fill the row.
 */
export const MAX_ATTEMPTS = 50;

/**
 * A delivery to an endpoint, or to an address that has none. Its id is made of the event and of the
 * endpoint or address: a delivery that is made twice has the same id, and is stored once.
 */
export function newDelivery(
  event: DomainEvent,
  format: DeliveryFormat,
  url: string,
  endpointId: string | null = null,
): Delivery {
  const to = endpointId ?? `${format} ${url}`;
  const suffix = createHash("sha256").update(to).digest("hex").slice(0, 12);
  return {
    organisationId: event.organisationId,
    id: `${beginningOfIds(event.id)}_${suffix}`,
    eventId: event.id,
    eventType: event.type,
    format,
    url,
    endpointId,
  };
}

/** Between which ids the deliveries of an event are. */
export function deliveriesOf(eventId: string): [from: string, to: string] {
  const beginning = beginningOfIds(eventId);
  // In ASCII the grave accent comes right after the underscore.
  return [`${beginning}_`, `${beginning}\``];
}

function beginningOfIds(eventId: string): string {
  return `whd_${eventId.replaceAll("-", "")}`;
}
