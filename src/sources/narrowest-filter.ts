/**
 * Lists with several filters use the index of one filter, and test the others on its rows. This finds the
 * filter that matches the fewest rows.
 */
import { type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";

/** A filter that matches at most so many rows is narrow: all of them may be read. Below `SCANNED_ROWS`. */
const NARROW = 1_000;

/**
 * The index of the narrowest filter; null where none is narrow. Reads at most `NARROW + 1` entries of the
 * index of each.
 * @param filters the SQL of each, from its `from` on
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
