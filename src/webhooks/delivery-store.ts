/** Deliveries in D1: one event owed to one address, and what came of each attempt. */
import { createHash } from "node:crypto";
import { and, eq, inArray, isNull, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { events } from "../db/schema/events";
import { organisations } from "../db/schema/organisations";
import { deliveries, webhookEndpoints } from "../db/schema/webhooks";
import type { DomainEvent } from "../events/event";
import { eventFromRow, firstEventIdAt } from "../events/event-store";
import type { EventType } from "../events/event-types";
import type { SecretVersions } from "../outbound/signing-secrets";
import type { WebhookEndpoint } from "./endpoint";

/** In which format the event is posted. */
export type DeliveryFormat = (typeof deliveries.$inferSelect)["format"];

/** `failed`: all attempts did. `discarded`: there was nowhere left to send it. */
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
  /** What asked for it, if not the schedule: known by its id, it is made once. */
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
  /** The webhook endpoint that it is owed to; null: to nothing but the address. */
  endpointId: string | null;
}

/** A delivery as it is listed. */
export interface StoredDelivery extends Delivery {
  status: DeliveryStatus;
  /** Oldest first. */
  attempts: Attempt[];
  /** How many of them the schedule asked for. */
  attemptCount: number;
  nextAttemptAt: number | null;
}

/** A delivery with all that an attempt needs. */
export interface DeliveryToSend extends StoredDelivery {
  event: DomainEvent;
  /** The endpoint as it is now; null where it is gone, or there never was one. */
  endpoint: WebhookEndpoint | null;
  /** The organisation's own secrets; null when it was deleted. */
  organisationSecrets: SecretVersions | null;
}

/** Which delivery. */
export type DeliveryKey = Pick<Delivery, "organisationId" | "id">;

/** A delivery is sent again while it has fewer attempts: with more, a loop that resends would fill its row. */
export const MOST_ATTEMPTS = 50;

/** The most deliveries that one statement stores: a value that is bound has room for 2 MB. */
const INSERT_AT_ONCE = 500;

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

/** The statements that store new deliveries, once each. */
export function deliveryInsertions(db: Database, added: readonly Delivery[]) {
  const pages: Delivery[][] = [];
  for (let i = 0; i < added.length; i += INSERT_AT_ONCE) {
    pages.push(added.slice(i, i + INSERT_AT_ONCE));
  }
  return pages.map((page) =>
    db
      .insert(deliveries)
      .select(
        sql`select value ->> 'organisationId', value ->> 'id', value ->> 'eventId',
          value ->> 'eventType', value ->> 'format', value ->> 'url', 'pending', '[]', 0, null,
          value ->> 'endpointId' from json_each(${JSON.stringify(page)}) where true`,
      )
      .onConflictDoNothing(),
  );
}

/** The statement that stores a delivery whose only attempt was made already. */
export function attemptedDeliveryInsertion(
  db: Database,
  delivery: Delivery,
  status: DeliveryStatus,
  attempt: Attempt,
) {
  return db
    .insert(deliveries)
    .values({ ...delivery, status, attempts: JSON.stringify([attempt]), attemptCount: 1 });
}

/** These deliveries, as far as there are such. */
export async function findDeliveriesToSend(
  db: Database,
  keys: readonly DeliveryKey[],
): Promise<DeliveryToSend[]> {
  const rows = await db
    .select({
      delivery: deliveries,
      at: events.at,
      data: events.data,
      endpoint: webhookEndpoints,
      secretVersion: organisations.webhookSecretVersion,
      previousSecrets: organisations.previousWebhookSecrets,
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
    .leftJoin(
      organisations,
      and(eq(organisations.id, deliveries.organisationId), isNull(organisations.deletedAt)),
    )
    .where(isOneOf(keys));
  return rows.map(({ delivery, at, data, endpoint, secretVersion, previousSecrets }) => ({
    ...deliveryFromRow(delivery),
    event: eventFromRow({
      id: delivery.eventId,
      organisationId: delivery.organisationId,
      type: delivery.eventType,
      at,
      data,
    }),
    endpoint,
    organisationSecrets:
      secretVersion === null ? null : { version: secretVersion, previous: previousSecrets ?? [] },
  }));
}

/** A delivery as it is stored, its attempts read. */
export function deliveryFromRow(row: typeof deliveries.$inferSelect): StoredDelivery {
  const eventType = row.eventType as EventType;
  return { ...row, eventType, attempts: JSON.parse(row.attempts) };
}

/** What follows from an attempt; the moment of the next one is set while it stays pending. */
export interface Consequence {
  status: DeliveryStatus;
  /** Unix milliseconds. */
  nextAttemptAt: number | null;
}

/**
 * Records an attempt of the schedule and what follows from it. Two consumers that made the same one
 * record it once; and what has arrived meanwhile, by a resend, stays delivered.
 */
export async function recordScheduled(
  db: Database,
  delivery: StoredDelivery,
  attempt: Attempt,
  { status, nextAttemptAt }: Consequence,
): Promise<void> {
  const owed = sql`status = 'pending'`;
  await record(db, delivery, attempt, {
    status: sql`case when ${owed} then ${status} else status end`,
    nextAttemptAt: sql`case when ${owed} then ${nextAttemptAt} else next_attempt_at end`,
    attemptCount: delivery.attemptCount + 1,
    unless: sql`attempt_count <> ${delivery.attemptCount}`,
  });
}

/** Records an attempt that somebody asked for: what arrived is delivered, all else stays as it is. */
export async function recordResend(
  db: Database,
  delivery: StoredDelivery,
  attempt: Attempt & { resend: string },
  succeeded: boolean,
): Promise<void> {
  await record(db, delivery, attempt, {
    ...(succeeded ? { status: sql`'delivered'`, nextAttemptAt: sql`null` } : {}),
    unless: sql`exists (select 1 from json_each(attempts) where value ->> 'resend' = ${attempt.resend})`,
  });
}

/** Nothing asks for the next attempt of this delivery any more: what is still pending has failed. */
export async function giveUpDelivery(db: Database, key: DeliveryKey): Promise<void> {
  await db
    .update(deliveries)
    .set({ status: "failed", nextAttemptAt: null })
    .where(and(isOneOf([key]), eq(deliveries.status, "pending")));
}

async function record(
  db: Database,
  delivery: DeliveryKey,
  attempt: Attempt,
  { unless, ...change }: { status?: SQL; nextAttemptAt?: SQL; attemptCount?: number; unless: SQL },
): Promise<void> {
  await db
    .update(deliveries)
    .set({
      ...change,
      attempts: sql`json_insert(attempts, '$[#]', json(${JSON.stringify(attempt)}))`,
    })
    .where(and(isOneOf([delivery]), sql`not (${unless})`));
}

function isOneOf(keys: readonly DeliveryKey[]) {
  const [only] = keys;
  if (only && keys.length === 1) {
    return and(eq(deliveries.organisationId, only.organisationId), eq(deliveries.id, only.id));
  }
  const pairs = JSON.stringify(keys.map(({ organisationId, id }) => [organisationId, id]));
  return inArray(
    sql`(${deliveries.organisationId}, ${deliveries.id})`,
    sql`(select value ->> 0, value ->> 1 from json_each(${pairs}))`,
  );
}

/** Removes a page of an organisation's deliveries of events from before `cutoff`; returns how many. */
export async function sweepDeliveries(
  db: Database,
  organisationId: number,
  cutoff: number,
  limit: number,
): Promise<number> {
  const { meta } = await db.run(sql`delete from ${deliveries} where (organisation_id, id) in (
    select organisation_id, id from ${deliveries} where organisation_id = ${organisationId}
      and id < ${firstDeliveryAt(cutoff)} limit ${limit})`);
  return meta.changes;
}

/** The smallest id of a delivery of an event of this moment (Unix milliseconds), or of a later one. */
export function firstDeliveryAt(time: number): string {
  return `whd_${firstEventIdAt(time).replaceAll("-", "")}`;
}
