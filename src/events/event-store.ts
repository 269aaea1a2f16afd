/** Events in D1. The consumer of events, the operations of `/v1/events` and the sweep call it. */
import { and, desc, eq, gte, lt, type SQL, sql } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { Database } from "../db/open";
import { type ScannedPage, scanPage } from "../db/scan";
import { events } from "../db/schema/events";
import { type DomainEvent, uuidV7 } from "./event";
import type { EventType } from "./event-types";

/** The statement that records an event; an event that is recorded already stays as it is. */
export function eventInsertion(db: Database, event: DomainEvent) {
  return db
    .insert(events)
    .values({
      organisationId: event.organisationId,
      id: event.id,
      type: event.type,
      at: event.at,
      data: JSON.stringify(event.data),
    })
    .onConflictDoNothing();
}

/** An event of an organisation. */
export async function findEvent(
  db: Database,
  organisationId: number,
  id: string,
): Promise<DomainEvent | null> {
  const rows = await db
    .select()
    .from(events)
    .where(and(eq(events.organisationId, organisationId), eq(events.id, id)));
  const row = rows[0];
  return row ? eventFromRow(row) : null;
}

/** The filters of a list of events, and where the page begins. */
export interface EventQuery {
  /** The name of a type, or the beginning of a name and then `.*`; null: all types. */
  pattern: string | null;
  /** Unix milliseconds; null: no bound. */
  since: number | null;
  /** Only events with a smaller id; null: from the newest. */
  below: string | null;
  limit: number;
}

/** A page of an organisation's events, newest first. */
export function listEvents(
  db: Database,
  organisationId: number,
  { pattern, since, below, limit }: EventQuery,
): Promise<ScannedPage<DomainEvent>> {
  const range = and(
    eq(events.organisationId, organisationId),
    since === null ? undefined : gte(events.id, firstEventIdAt(since)),
    below === null ? undefined : lt(events.id, below),
  );
  const tests = pattern === null ? undefined : eventTypeCondition(events.type, pattern);
  return scanPage(db, { table: events, range, tests, limit }, async (where, most) => {
    const rows = await db
      .select()
      .from(events)
      .where(and(eq(events.organisationId, organisationId), where))
      .orderBy(desc(events.id))
      .limit(most);
    return rows.map(eventFromRow);
  });
}

/** `matchesPattern` as a condition on a column that holds types of events. */
export function eventTypeCondition(column: SQLiteColumn, pattern: string): SQL {
  if (!pattern.endsWith(".*")) return eq(column, pattern);
  const beginning = pattern.slice(0, -1);
  return sql`substr(${column}, 1, ${beginning.length}) = ${beginning}`;
}

/** The event that a row holds. */
export function eventFromRow(row: typeof events.$inferSelect): DomainEvent {
  return { ...row, type: row.type as EventType, data: JSON.parse(row.data) };
}

/** Removes up to `limit` events of an organisation from before `cutoff` (Unix milliseconds); returns how many. */
export async function sweepEvents(
  db: Database,
  organisationId: number,
  cutoff: number,
  limit: number,
): Promise<number> {
  // Ids begin with their time, so the primary key finds the old events.
  const { meta } = await db.run(sql`delete from ${events} where (organisation_id, id) in (
    select organisation_id, id from ${events} where organisation_id = ${organisationId}
      and id < ${firstEventIdAt(cutoff)} limit ${limit})`);
  return meta.changes;
}

/** The smallest id that an event of this moment (Unix milliseconds) can have. */
export function firstEventIdAt(time: number): string {
  return uuidV7(Math.max(0, time), new Uint8Array(10));
}
