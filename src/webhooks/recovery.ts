/**
 * Recoveries: an operator has the events of a window of time sent again that did not reach an endpoint.
 * These are the deliveries that failed or were discarded, and those that wait for a later attempt of their
 * schedule. The schedule stays as it is.
 *
 * A recovery is done page by page, by messages on the second queue of deliveries, so that it does not stand
 * before the deliveries of others. Its row says how far it is, so a
 * message that comes twice goes on from there. Each resend carries the recovery's id, and is made once
 * for each delivery.
 */
import { and, eq, isNull, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { webhookRecoveries } from "../db/schema/webhooks";
import type { StoredDelivery } from "../events/delivery-record";
import { newEventId } from "../events/event";
import type { JournalClient } from "../events/journal-client";
import { DAY_MS, dayAt, MAX_JOURNAL_COUNT } from "../events/journal-key";
import { listJournals } from "../events/journal-registry";
import type { Config } from "../platform/config";
import { MAX_ATTEMPTS } from "./delivery";
import { type DeliveryMessage, queueDeliveryMessage } from "./delivery-messages";
import { isTestEvent } from "./endpoint";
import { findEndpoint } from "./endpoint-store";
import { journalsLeft, type RecoveryPlace, readPlace, writePlace } from "./recovery-place";
import { longestScheduleMs } from "./retry-schedule";

/** A recovery as it is stored. Times are Unix milliseconds. */
export type Recovery = typeof webhookRecoveries.$inferSelect;

/** Which recovery. */
export type RecoveryKey = Pick<Recovery, "organisationId" | "id">;

/** What recoveries work with. */
export interface RecoveryServices {
  db: Database;
  journals: JournalClient;
  /** The second queue of deliveries. */
  deliveries: Queue;
}

/** The longest window of one recovery: 14 days. */
export const LONGEST_RECOVERY_MS = 14 * 86_400_000;
/** How many undelivered deliveries make a page: as many messages as a queue takes in one call. */
const PAGE = 100;
/** How many events are looked at for a page where no index says which of their deliveries wait. */
const LOOKED_THROUGH = 5_000;
/** The most journals that there are in the longest window. */
const MAX_JOURNALS = (LONGEST_RECOVERY_MS / DAY_MS + 2) * MAX_JOURNAL_COUNT;
/** An event may be recorded so long after it happened, if its journal could not be reached. */
const LATE_EVENTS_MS = 86_400_000;

/**
 * Stores a recovery and puts its first page on the queue. The window is that of the events, in Unix
 * milliseconds. Null: a recovery of this endpoint is running already.
 * @throws UnavailableError when the queue does not take it; nothing is stored then
 */
export async function startRecovery(
  { db, deliveries: queue }: Pick<RecoveryServices, "db" | "deliveries">,
  input: Pick<Recovery, "organisationId" | "endpointId" | "since" | "until">,
  now: number,
): Promise<Recovery | null> {
  const id = `whr_${newEventId(now).replaceAll("-", "")}`;
  const recovery = { ...input, id, reached: null, resent: 0, createdAt: now, finishedAt: null };
  const { organisationId, endpointId, since, until } = recovery;
  const stored = await db
    .insert(webhookRecoveries)
    .select(
      sql`select ${organisationId}, ${id}, ${endpointId}, ${since}, ${until}, null, 0, ${now}, null
        where not exists (select 1 from ${webhookRecoveries} where organisation_id = ${organisationId}
          and endpoint_id = ${endpointId} and finished_at is null)`,
    )
    .returning({ id: webhookRecoveries.id });
  if (stored.length === 0) return null;
  try {
    await queueDeliveryMessage(queue, toMessage(recovery));
  } catch (error) {
    await db.delete(webhookRecoveries).where(isRecovery(recovery));
    throw error;
  }
  return recovery;
}

/** A recovery of an organisation. */
export async function findRecovery(
  db: Database,
  organisationId: number,
  id: string,
): Promise<Recovery | null> {
  const rows = await db.select().from(webhookRecoveries).where(isRecovery({ organisationId, id }));
  return rows[0] ?? null;
}

/** Does the next page of a recovery, and puts the page after it on the queue. */
export async function recoverPage(
  { db, journals, deliveries: queue, config }: RecoveryServices & { config: Config },
  { organisationId, id }: RecoveryKey,
  now: number,
): Promise<void> {
  const recovery = await findRecovery(db, organisationId, id);
  if (!recovery || recovery.finishedAt !== null) return;
  const { endpointId, reached } = recovery;
  const endpoint = await findEndpoint(db, organisationId, endpointId);
  if (!endpoint?.enabled) return giveUpRecovery(db, recovery, now);
  const longestPendingMs = longestScheduleMs(config.webhookRetrySeconds) + LATE_EVENTS_MS;
  const page = await readPage(journals, recovery, recovery.createdAt - longestPendingMs);
  const owed = page.rows.filter(
    (one) =>
      one.endpointId === endpointId &&
      one.attempts.length < MAX_ATTEMPTS &&
      !isTestEvent({ type: one.eventType }),
  );
  const messages = owed.map((delivery) => {
    const key = { organisationId, id: delivery.id };
    return { body: { v: 1, ...key, resend: id, unlessUnderWay: true } satisfies DeliveryMessage };
  });
  // The messages are sent before the page is recorded. If the page is done again, no resend is made twice.
  // If the record came first, the messages could be lost.
  if (messages.length > 0) await queue.sendBatch(messages);
  const isDone = page.next === null;
  const recorded = await db
    .update(webhookRecoveries)
    .set({
      reached: page.next === null ? reached : writePlace(page.next),
      resent: recovery.resent + owed.length,
      ...(isDone ? { finishedAt: now } : {}),
    })
    // If two messages did the same page, it is counted once.
    .where(and(isRecovery(recovery), sql`reached is ${reached}`))
    .returning({ id: webhookRecoveries.id });
  // Only the message that recorded the page sends a message for the next one.
  if (!isDone && recorded.length > 0) await queue.send(toMessage(recovery));
}

/**
 * The next page of what has not arrived, oldest first, from one journal. Deliveries of events from before
 * `pendingSince` (Unix milliseconds) have no attempt to wait for: an index holds those of them that did not
 * arrive. Later deliveries are read one by one, because an index of what waits would cost every attempt that
 * fails another row.
 * @returns `next`: where the next page begins; null at the end
 */
async function readPage(
  journals: JournalClient,
  { organisationId, since, until, reached }: Recovery,
  pendingSince: number,
): Promise<{ rows: StoredDelivery[]; next: RecoveryPlace | null }> {
  const place = readPlace(reached);
  const days = { from: dayAt(since), until: dayAt(until - 1) };
  const known = await listJournals(journals.db, organisationId, days, MAX_JOURNALS);
  const [key, following] = journalsLeft(known, place);
  if (!key) return { rows: [], next: null };
  const isSame = key.day === place?.day && key.number === place.number;
  const page = await journals.call(key, (journal) =>
    journal.listUndelivered({
      above: isSame ? place.above : null,
      since,
      until,
      pendingSince,
      limit: PAGE,
      mostRows: LOOKED_THROUGH,
    }),
  );
  if (page.next !== null) return { rows: page.rows, next: { ...key, above: page.next } };
  return { rows: page.rows, next: following ? { ...following, above: null } : null };
}

/** Ends a recovery whose next page nobody will do, so that another one can be started. */
export async function giveUpRecovery(db: Database, key: RecoveryKey, now: number): Promise<void> {
  await db
    .update(webhookRecoveries)
    .set({ finishedAt: now })
    .where(and(isRecovery(key), isNull(webhookRecoveries.finishedAt)));
}

/** Removes up to `limit` recoveries from before `cutoff` (Unix milliseconds); returns how many. */
export function sweepRecoveries(db: Database, cutoff: number, limit: number): Promise<number> {
  return removeRecoveries(db, sql`created_at < ${cutoff}`, limit);
}

/** Removes up to `limit` recoveries of an organisation; returns how many. */
export function removeRecoveriesOf(
  db: Database,
  organisationId: number,
  limit: number,
): Promise<number> {
  return removeRecoveries(db, sql`organisation_id = ${organisationId}`, limit);
}

async function removeRecoveries(db: Database, which: SQL, limit: number): Promise<number> {
  const { meta } =
    await db.run(sql`delete from ${webhookRecoveries} where (organisation_id, id) in (
    select organisation_id, id from ${webhookRecoveries} where ${which} limit ${limit})`);
  return meta.changes;
}

function toMessage({ organisationId, id }: RecoveryKey) {
  return { v: 1, organisationId, recovery: id } satisfies DeliveryMessage;
}

function isRecovery({ organisationId, id }: RecoveryKey) {
  return and(eq(webhookRecoveries.organisationId, organisationId), eq(webhookRecoveries.id, id));
}
