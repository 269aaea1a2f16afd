/**
 * Recoveries: everything that has not reached an endpoint in a window of time, sent again: what was given
 * up, and what waits for a later attempt of its schedule, which a recovery does not change. The work is
 * done page after page by messages on the deliveries queue; how far it is stands in its row, so that a
 * message that comes twice goes on from there. What it sends is known by the recovery's id: it is made
 * once for each delivery.
 */
import { and, eq, isNull, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { deliveries, webhookRecoveries } from "../db/schema/webhooks";
import { newEventId } from "../events/event";
import type { EventType } from "../events/event-types";
import type { Config } from "../platform/config";
import { askFor, type DeliveryMessage } from "./delivery-messages";
import { firstDeliveryAt, MOST_ATTEMPTS } from "./delivery-store";
import { isTest } from "./endpoint";
import { findEndpoint } from "./endpoint-store";
import { longestScheduleMs } from "./retry-schedule";

/** Work that sends again what did not reach an endpoint. Times are Unix milliseconds. */
export type Recovery = typeof webhookRecoveries.$inferSelect;

/** What recoveries stand on. */
export interface RecoveryDeps {
  db: Database;
  deliveries: Queue;
}

/** How many undelivered ones are looked at for a page: what a queue takes in one call. */
const PAGE = 100;
/** How many deliveries are looked through for a page where there is no index of what waits. */
const LOOKED_THROUGH = 20_000;
/** An event may come off its queue so long after it happened, when that was down. */
const LATE_EVENTS_MS = 86_400_000;

/**
 * Stores a recovery and has it begun. The window is that of the events, in Unix milliseconds. Null: one
 * of this endpoint is running.
 * @throws UnavailableError, and nothing is stored
 */
export async function startRecovery(
  { db, deliveries: queue }: RecoveryDeps,
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
    await askFor(queue, toMessage(recovery));
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

interface Undelivered {
  id: string;
  endpointId: string | null;
  type: EventType;
  attempts: number;
}

/** Does the next page of a recovery, and asks for the one after it. */
export async function recoverPage(
  { db, deliveries: queue, config }: RecoveryDeps & { config: Config },
  organisationId: number,
  id: string,
): Promise<void> {
  const recovery = await findRecovery(db, organisationId, id);
  if (!recovery || recovery.finishedAt !== null) return;
  const { endpointId, reached } = recovery;
  const endpoint = await findEndpoint(db, organisationId, endpointId);
  if (!endpoint?.enabled) return giveUpRecovery(db, { organisationId, recovery: id });
  const longestPendingMs = longestScheduleMs(config.webhookRetrySeconds) + LATE_EVENTS_MS;
  const page = await readPage(db, recovery, recovery.createdAt - longestPendingMs);
  const owed = page.rows.filter(
    (one) => one.endpointId === endpointId && one.attempts < MOST_ATTEMPTS && !isTest(one),
  );
  const messages = owed.map((delivery) => {
    const key = { organisationId, id: delivery.id };
    return { body: { v: 1, ...key, resend: id, unlessUnderWay: true } satisfies DeliveryMessage };
  });
  // Sent before it is noted: repeated, it makes nothing twice; noted first, it could be lost.
  if (messages.length > 0) await queue.sendBatch(messages);
  const isDone = page.next === null;
  const noted = await db
    .update(webhookRecoveries)
    .set({
      reached: page.next ?? reached,
      resent: recovery.resent + owed.length,
      ...(isDone ? { finishedAt: Date.now() } : {}),
    })
    // Two that did the same page count it once.
    .where(and(isRecovery(recovery), sql`reached is ${reached}`))
    .returning({ id: webhookRecoveries.id });
  // Whoever noted the page goes on: of two that did it, one.
  if (!isDone && noted.length > 0) await queue.send(toMessage(recovery));
}

/**
 * The next page of what has not arrived, oldest first. Deliveries of events from before `pendingSince` (Unix
 * milliseconds) wait for nothing any more: those that did not arrive have an index. Later ones are looked
 * through, since an index would cost each attempt that fails another row.
 * @returns `next`: after which id the page behind this one begins; null at the end
 */
async function readPage(
  db: Database,
  { organisationId, since, until, reached }: Recovery,
  pendingSince: number,
): Promise<{ rows: Undelivered[]; next: string | null }> {
  const [end, change] = [firstDeliveryAt(until), firstDeliveryAt(pendingSince)];
  const isOld = (reached ?? firstDeliveryAt(since)) < change;
  const stretchEnd = isOld && change < end ? change : end;
  // One lower bound: SQLite looks up by one, and tests others row by row.
  const from = reached === null ? sql`id >= ${firstDeliveryAt(since)}` : sql`id > ${reached}`;
  const stretch = sql`organisation_id = ${organisationId} and ${from} and id < ${stretchEnd}`;
  const givenUp = sql`status in ('failed', 'discarded')`;
  const columns = sql`id, endpoint_id as endpointId, event_type as type,
    json_array_length(attempts) as attempts`;
  const rows = await db.all<Undelivered>(
    isOld
      ? sql`select ${columns} from ${deliveries} indexed by deliveries_undelivered
          where ${stretch} and ${givenUp} order by id limit ${PAGE}`
      : sql`select ${columns} from (select * from ${deliveries} where ${stretch} order by id
            limit ${LOOKED_THROUGH})
          where ${givenUp} or next_attempt_at is not null order by id limit ${PAGE}`,
  );
  if (rows.length === PAGE) return { rows, next: rows.at(-1)?.id ?? null };
  if (isOld) return { rows, next: stretchEnd < end ? stretchEnd : null };
  const ends = await db.all<{ id: string }>(
    sql`select id from ${deliveries} where ${stretch} order by id limit 1 offset ${LOOKED_THROUGH - 1}`,
  );
  return { rows, next: ends[0]?.id ?? null };
}

/** Nothing asks for the next page of this recovery any more: it is over, and another may begin. */
export async function giveUpRecovery(
  db: Database,
  { organisationId, recovery }: { organisationId: number; recovery: string },
): Promise<void> {
  await db
    .update(webhookRecoveries)
    .set({ finishedAt: Date.now() })
    .where(and(isRecovery({ organisationId, id: recovery }), isNull(webhookRecoveries.finishedAt)));
}

/** Removes a page of an organisation's recoveries from before `cutoff` (Unix milliseconds); returns how many. */
export async function sweepRecoveries(
  db: Database,
  organisationId: number,
  cutoff: number,
  limit: number,
): Promise<number> {
  const { meta } =
    await db.run(sql`delete from ${webhookRecoveries} where (organisation_id, id) in (
    select organisation_id, id from ${webhookRecoveries} where organisation_id = ${organisationId}
      and created_at < ${cutoff} limit ${limit})`);
  return meta.changes;
}

function toMessage({ organisationId, id }: Pick<Recovery, "organisationId" | "id">) {
  return { v: 1, organisationId, recovery: id } satisfies DeliveryMessage;
}

function isRecovery({ organisationId, id }: Pick<Recovery, "organisationId" | "id">) {
  return and(eq(webhookRecoveries.organisationId, organisationId), eq(webhookRecoveries.id, id));
}
