/**
 * Over how many journals an organisation's day is spread. A new number holds from a moment in the near future
 * on. By then every isolate knows it, so that no two of them look for the same event in different journals.
 */
import { and, eq, isNull, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { retryChange } from "../db/retry";
import { type JournalCount, organisations } from "../db/schema/organisations";
import { dropOldest } from "../platform/bounded-memory";
import { changesSince, DAY_MS } from "./journal-key";

/** How long an isolate uses what it has read. */
const REMEMBERED_MS = 60_000;
/** While one request reads it again, the others go on with what was read before, for so long. */
const READ_MS = 2_000;
/** Nobody uses what was read longer ago than this, even while it is read again. */
const LONGEST_MS = 120_000;
/** A change holds from so long after it was stored: longer than any isolate uses what it read before. */
export const COUNT_CHANGE_LEAD_MS = 180_000;
const MAX_REMEMBERED = 10_000;

/** What an isolate has read. Times are Unix milliseconds. */
interface Known {
  counts: readonly JournalCount[];
  /** When it was read. */
  readAt: number;
  /** When a request last began to read it again. */
  askedAt: number;
}

const remembered = new Map<number, Known>();

/** An organisation's changes of the number, oldest first. It costs one read a minute in each isolate. */
export async function findJournalCounts(
  db: Database,
  organisationId: number,
  now: number,
): Promise<readonly JournalCount[]> {
  const known = remembered.get(organisationId);
  if (known && isUsable(known, now)) return known.counts;
  if (known) known.askedAt = now;
  const rows = await db
    .select({ counts: organisations.journalCounts })
    .from(organisations)
    .where(eq(organisations.id, organisationId));
  const counts = rows[0]?.counts ?? [];
  remembered.delete(organisationId);
  remembered.set(organisationId, { counts, readAt: now, askedAt: now });
  dropOldest(remembered, MAX_REMEMBERED);
  return counts;
}

function isUsable({ readAt, askedAt }: Known, now: number): boolean {
  const age = now - readAt;
  if (age < 0 || age >= LONGEST_MS) return false;
  return age < REMEMBERED_MS || now - askedAt < READ_MS;
}

/** A new number of journals, `count`, for an organisation whose events are kept for `retentionDays`. */
interface CountChange {
  organisationId: number;
  count: number;
  retentionDays: number;
}

/**
 * Sets over how many journals the organisation's days are spread, from `COUNT_CHANGE_LEAD_MS` after `now` on.
 * Nothing is moved: earlier events stay where they are. Earlier changes are forgotten when no event of their
 * time is left.
 * @param now Unix milliseconds
 * @returns the change; null: there is no such organisation
 * @throws ChangedMeanwhile
 */
export function setJournalCount(
  db: Database,
  { organisationId, count, retentionDays }: CountChange,
  now: number,
): Promise<JournalCount | null> {
  return retryChange(`the journals of organisation ${organisationId}`, async () => {
    const isOrganisation = and(
      eq(organisations.id, organisationId),
      isNull(organisations.deletedAt),
    );
    const rows = await db
      .select({ counts: organisations.journalCounts })
      .from(organisations)
      .where(isOrganisation);
    const [row] = rows;
    if (!row) return null;
    const last = row.counts.at(-1);
    if (last?.count === count) return last;
    // Never before a change that is still to come: isolates may know of that one already.
    const from = Math.max(now + COUNT_CHANGE_LEAD_MS, (last?.from ?? 0) + 1);
    const change = { from, count };
    // One day more: a journal is kept until all of its day is older than retention allows.
    const kept = changesSince(row.counts, now - (retentionDays + 1) * DAY_MS);
    const changed = await db
      .update(organisations)
      .set({ journalCounts: [...kept, change] })
      .where(and(isOrganisation, sql`journal_counts = ${JSON.stringify(row.counts)}`))
      .returning({ id: organisations.id });
    if (changed.length === 0) return undefined;
    remembered.delete(organisationId);
    return change;
  });
}
