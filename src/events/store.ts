/** Events in D1. */
import { and, eq, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { events } from "../db/schema";
import { type DomainEvent, uuidV7 } from "./event";

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
  return row ? { ...row, data: JSON.parse(row.data) } : null;
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
      and id < ${firstIdAt(cutoff)} limit ${limit})`);
  return meta.changes;
}

/** The smallest event id of a moment. */
export function firstIdAt(time: number): string {
  return uuidV7(Math.max(0, time), new Uint8Array(10));
}
