/**
 * Which journals exist, in D1. A journal is entered before its first event is recorded, and leaves when it is
 * dropped: so lists know which days to read, and retention knows what to drop.
 */
import { and, desc, eq, gte, lte, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { journals } from "../db/schema/events";
import type { JournalKey } from "./journal-key";

/** Enters a journal. It costs nothing if it is entered already. */
export async function registerJournal(db: Database, key: JournalKey): Promise<void> {
  await db.insert(journals).values(key).onConflictDoNothing();
}

/** Which days' journals of an organisation: both days are included. Null: no bound. */
export interface DayRange {
  from: number | null;
  until: number | null;
}

/** An organisation's journals, those of the newest days first. */
export async function listJournals(
  db: Database,
  organisationId: number,
  { from, until }: DayRange,
  limit: number,
): Promise<JournalKey[]> {
  return db
    .select()
    .from(journals)
    .where(
      and(
        eq(journals.organisationId, organisationId),
        from === null ? undefined : gte(journals.day, from),
        until === null ? undefined : lte(journals.day, until),
      ),
    )
    .orderBy(desc(journals.day), desc(journals.number))
    .limit(limit);
}

/** Journals of any organisation whose day is at most this one: the oldest first. */
export async function listOldJournals(
  db: Database,
  lastDay: number,
  after: JournalKey | null,
  limit: number,
): Promise<JournalKey[]> {
  const position = sql`(${journals.day}, ${journals.organisationId}, ${journals.number})`;
  return db
    .select()
    .from(journals)
    .where(
      and(
        lte(journals.day, lastDay),
        after === null
          ? undefined
          : sql`${position} > (${after.day}, ${after.organisationId}, ${after.number})`,
      ),
    )
    .orderBy(journals.day, journals.organisationId, journals.number)
    .limit(limit);
}

/** Takes journals out that have been dropped. */
export async function forgetJournals(db: Database, keys: readonly JournalKey[]): Promise<void> {
  if (keys.length === 0) return;
  const listed = JSON.stringify(keys);
  await db.delete(journals).where(
    sql`(organisation_id, day, number) in (select value ->> 'organisationId', value ->> 'day',
      value ->> 'number' from json_each(${listed}))`,
  );
}
