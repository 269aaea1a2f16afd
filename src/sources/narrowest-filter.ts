/** Lists under several filters: one is looked up in its index, the others are tested on its rows. */
import { type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";

/** A filter with at most so many rows is narrow: they may all be read. A page may be as large. Below `SCANNED_ROWS`. */
const NARROW = 1_000;

/**
 * Which of these filters is narrow, and the narrowest; null where all are wide. Reads at most `NARROW`
 * entries of each, and one.
 * @param filters each from its `from` on
 */
export async function findNarrowest(db: Database, filters: readonly SQL[]): Promise<number | null> {
  const sizes = filters.map(
    (filter) => sql`(select count(*) from (select 1 ${filter} limit ${NARROW + 1}))`,
  );
  const rows = await db.all<{ sizes: string }>(
    sql`select json_array(${sql.join(sizes, sql`, `)}) as sizes`,
  );
  const counts: number[] = JSON.parse(rows[0]?.sizes ?? "[]");
  const least = Math.min(...counts);
  return least <= NARROW ? counts.indexOf(least) : null;
}
