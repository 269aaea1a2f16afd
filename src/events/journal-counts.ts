/**
 * Over how many journals an organisation's day is spread: a setting that counts from a moment in the near
 * future, so that every isolate knows it by then.
 */
import { eq } from "drizzle-orm";
import type { Database } from "../db/open";
import { type JournalCount, organisations } from "../db/schema/organisations";
import { dropOldest } from "../platform/bounded-memory";

/** How long an isolate uses what it has read. */
const REMEMBERED_MS = 60_000;
/** A change counts so long after it was stored: longer than any isolate uses what it read before. */
export const COUNT_CHANGE_LEAD_MS = 180_000;
const MAX_REMEMBERED = 10_000;

const remembered = new Map<number, { counts: readonly JournalCount[]; readAt: number }>();

/** An organisation's changes of the number, oldest first. It costs one read a minute in each isolate. */
export async function findJournalCounts(
  db: Database,
  organisationId: number,
  now: number,
): Promise<readonly JournalCount[]> {
  const known = remembered.get(organisationId);
  if (known && now >= known.readAt && now - known.readAt < REMEMBERED_MS) return known.counts;
  const rows = await db
    .select({ counts: organisations.journalCounts })
    .from(organisations)
    .where(eq(organisations.id, organisationId));
  const counts = rows[0]?.counts ?? [];
  remembered.delete(organisationId);
  remembered.set(organisationId, { counts, readAt: now });
  dropOldest(remembered, MAX_REMEMBERED);
  return counts;
}
