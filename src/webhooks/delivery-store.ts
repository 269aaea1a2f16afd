/** Deliveries in D1: one event owed to one address, and what came of each attempt. */
import { createHash } from "node:crypto";
import { and, eq, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { deliveries, events, webhookEndpoints } from "../db/schema";
import type { DomainEvent } from "../events/event";
import { firstIdAt } from "../events/store";

/** In which format the event is posted. */
export type DeliveryFormat = "relay-session" | "ricloud";

/** One HTTP request for a delivery. Times are Unix milliseconds. */
export interface Attempt {
  at: number;
  durationMs: number;
  /** Null when no answer came. */
  statusCode: number | null;
  /** The first 1 KB of the answer's body. */
  response: string | null;
  error: string | null;
}

/** One event owed to one address. */
export interface Delivery {
  organisationId: number;
  id: string;
  eventId: string;
  eventType: string;
  format: DeliveryFormat;
  url: string;
  /** The webhook endpoint that it is owed to; null: to nothing but the address. */
  endpointId: string | null;
}

/** A delivery that may be due, with all that an attempt needs. */
export interface PendingDelivery extends Delivery {
  attempts: Attempt[];
  event: DomainEvent;
  /** The endpoint as it is now; null where it is gone, or there never was one. */
  endpoint: { url: string; origin: string; enabled: boolean; secretVersion: number } | null;
}

/**
 * What is owed to an address, or to an endpoint. The id is made of the event and of either: twice made,
 * it is one.
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
    id: `whd_${event.id.replaceAll("-", "")}_${suffix}`,
    eventId: event.id,
    eventType: event.type,
    format,
    url,
    endpointId,
  };
}

/** The statement that stores a new delivery, once. */
export function deliveryInsertion(db: Database, delivery: Delivery) {
  return db
    .insert(deliveries)
    .values({ ...delivery, status: "pending", attempts: "[]", attemptCount: 0 })
    .onConflictDoNothing();
}

/** A delivery that is still owed; null when it is done with, or there is none. */
export async function findPendingDelivery(
  db: Database,
  key: { organisationId: number; id: string },
): Promise<PendingDelivery | null> {
  const rows = await db
    .select({
      eventId: deliveries.eventId,
      eventType: deliveries.eventType,
      format: deliveries.format,
      url: deliveries.url,
      attempts: deliveries.attempts,
      endpointId: deliveries.endpointId,
      endpoint: {
        url: webhookEndpoints.url,
        origin: webhookEndpoints.origin,
        enabled: webhookEndpoints.enabled,
        secretVersion: webhookEndpoints.secretVersion,
      },
      at: events.at,
      data: events.data,
    })
    .from(deliveries)
    .innerJoin(
      events,
      and(eq(events.organisationId, deliveries.organisationId), eq(events.id, deliveries.eventId)),
    )
    .leftJoin(
      webhookEndpoints,
      and(
        eq(webhookEndpoints.organisationId, deliveries.organisationId),
        eq(webhookEndpoints.id, deliveries.endpointId),
      ),
    )
    .where(
      and(
        eq(deliveries.organisationId, key.organisationId),
        eq(deliveries.id, key.id),
        eq(deliveries.status, "pending"),
      ),
    );
  const row = rows[0];
  if (!row) return null;
  const { organisationId, id } = key;
  const { at, data, attempts, ...rest } = row;
  const event = {
    id: row.eventId,
    organisationId,
    type: row.eventType,
    at,
    data: JSON.parse(data),
  };
  return { organisationId, id, ...rest, attempts: JSON.parse(attempts), event };
}

/**
 * Records an attempt and what follows from it. Two consumers that made the same attempt record it once.
 * @param nextAttemptAt set while it stays pending
 */
export async function recordAttempt(
  db: Database,
  delivery: PendingDelivery,
  attempt: Attempt,
  status: "pending" | "delivered" | "failed" | "discarded",
  nextAttemptAt: number | null,
): Promise<void> {
  const made = delivery.attempts.length;
  await db
    .update(deliveries)
    .set({
      status,
      nextAttemptAt,
      attempts: JSON.stringify([...delivery.attempts, attempt]),
      attemptCount: made + 1,
    })
    .where(
      and(
        eq(deliveries.organisationId, delivery.organisationId),
        eq(deliveries.id, delivery.id),
        eq(deliveries.status, "pending"),
        eq(deliveries.attemptCount, made),
      ),
    );
}

/** Removes a page of an organisation's deliveries of events from before `cutoff`; returns how many. */
export async function sweepDeliveries(
  db: Database,
  organisationId: number,
  cutoff: number,
  limit: number,
): Promise<number> {
  const before = `whd_${firstIdAt(cutoff).replaceAll("-", "")}`;
  const { meta } = await db.run(sql`delete from ${deliveries} where (organisation_id, id) in (
    select organisation_id, id from ${deliveries} where organisation_id = ${organisationId}
      and id < ${before} limit ${limit})`);
  return meta.changes;
}
