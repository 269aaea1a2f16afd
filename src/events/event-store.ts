/** Events in D1. */
import { and, desc, eq, gte, lt, type SQL, sql } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { Database } from "../db/open";
import { type ScannedPage, scanPage } from "../db/scan";
import { events } from "../db/schema/events";
import { type DomainEvent, uuidV7 } from "./event";
import type { EventType } from "./event-types";

/** The statement that records an event, once. */
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

/** What a list of events is narrowed to, and where it goes on. */
export interface EventQuery {
  /** The name of a type, or the beginning of one with `.*` behind it; null: all. */
  pattern: string | null;
  /** Unix milliseconds; null: no bound. */
  since: number | null;
  /** Only ids below; null: from the newest. */
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

/** Whether a column that holds a type of events matches a pattern, as `matchesPattern` says. */
export function eventTypeCondition(column: SQLiteColumn, pattern: string): SQL {
  if (!pattern.endsWith(".*")) return eq(column, pattern);
  const beginning = pattern.slice(0, -1);
  return sql`substr(${column}, 1, ${beginning.length}) = ${beginning}`;
}

/** An event as it is stored. */
export function eventFromRow(row: typeof events.$inferSelect): DomainEvent {
  return { ...row, type: row.type as EventType, data: JSON.parse(row.data) };
}

/** Removes a page of an organisation's events from before `cutoff` (Unix milliseconds); returns how many. */
export async function sweepEvents(
  db: Database,
  organisationId: number,
  cutoff: number,
  limit: number,
): Promise<number> {
  // Event ids begin with their time, so the key finds the old ones.
  const { meta } = await db.run(sql`delete from ${events} where (organisation_id, id) in (
    select organisation_id, id from ${events} where organisation_id = ${organisationId}
      and id < ${firstEventIdAt(cutoff)} limit ${limit})`);
  return meta.changes;
}

/** The smallest event id of a moment. */
export function firstEventIdAt(time: number): string {
  return uuidV7(Math.max(0, time), new Uint8Array(10));
}
