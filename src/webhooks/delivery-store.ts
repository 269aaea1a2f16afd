/** Deliveries in D1. The consumers of both queues, the sweep and the lists of deliveries call it. */
import { and, eq, inArray, isNull, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { events } from "../db/schema/events";
import { organisations } from "../db/schema/organisations";
import { deliveries, webhookEndpoints } from "../db/schema/webhooks";
import { eventFromRow, firstEventIdAt } from "../events/event-store";
import type { EventType } from "../events/event-types";
import type {
  Attempt,
  Delivery,
  DeliveryKey,
  DeliveryStatus,
  DeliveryToSend,
  StoredDelivery,
} from "./delivery";

/** The most deliveries that one statement stores: a value that is bound has room for 2 MB. */
const INSERT_AT_ONCE = 500;

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
    .values({ ...delivery, status, attempts: JSON.stringify([attempt]), scheduledAttempts: 1 });
}

/** The deliveries with these keys; a key that no delivery has is left out. */
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

/** What an attempt changes. `nextAttemptAt` is set only while the delivery stays pending. */
export interface Consequence {
  status: DeliveryStatus;
  /** Unix milliseconds. */
  nextAttemptAt: number | null;
}

/**
 * Records an attempt of the schedule and what follows from it. If two consumers made the same attempt, it
 * is recorded once. A delivery that a resend has brought there in the meantime stays delivered.
 */
export async function recordScheduled(
  db: Database,
  delivery: StoredDelivery,
  attempt: Attempt,
  { status, nextAttemptAt }: Consequence,
): Promise<void> {
  const isPending = sql`status = 'pending'`;
  await record(db, delivery, attempt, {
    status: sql`case when ${isPending} then ${status} else status end`,
    nextAttemptAt: sql`case when ${isPending} then ${nextAttemptAt} else next_attempt_at end`,
    scheduledAttempts: delivery.scheduledAttempts + 1,
    unless: sql`attempt_count <> ${delivery.scheduledAttempts}`,
  });
}

/** Records an attempt beside the schedule. If it arrived, the delivery is delivered; else nothing else changes. */
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

/** Marks a delivery as failed if it is pending, because the message for its next attempt was lost. */
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
  {
    unless,
    ...change
  }: { status?: SQL; nextAttemptAt?: SQL; scheduledAttempts?: number; unless: SQL },
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

/**
 * Removes up to `limit` deliveries of an organisation whose events are from before `cutoff` (Unix
 * milliseconds); returns how many.
 */
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
