/**
 * Reads pages of lists that have a filter without an index. An index would cost one more written row for
 * each stored row, and a written row costs as much as a thousand read ones (prices of D1, November 2026).
 * So a page looks at a limited number of rows instead. It can have fewer rows than asked for, and still not
 * be the last page.
 */
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import type { Database } from "./open";

/** How many rows a page looks at, at most. */
export const SCANNED_ROWS = 2_000;

/** A range of a table in the order of its ids, and the filter for its rows. */
export interface ScanQuery {
  /** Its rows have an `id`. */
  table: SQLWrapper;
  /** The index in which the range is. Left out: the primary key. */
  indexedBy?: SQL | undefined;
  range: SQL | undefined;
  /** The filter. Undefined: all rows match. */
  tests: SQL | undefined;
  limit: number;
}

/** A page, newest first. `next` is the id after which the next page begins. Null: this is the last page. */
export interface ScannedPage<R> {
  rows: R[];
  next: string | null;
}

/**
 * Reads a page.
 * @param read reads the rows that match `where`, newest first, and at most `most` of them
 */
export async function scanPage<R extends { id: string }>(
  db: Database,
  { table, indexedBy, range, tests, limit }: ScanQuery,
  read: (where: SQL | undefined, most: number) => Promise<R[]>,
): Promise<ScannedPage<R>> {
  const from = indexedBy ? sql`${table} indexed by ${indexedBy}` : sql`${table}`;
  const newest = sql`order by id desc`;
  const fitting = (rows: SQL) =>
    sql`id in (select id from ${rows} as ${table} where ${tests} ${newest} limit ${limit + 1})`;
  const scanned = sql`(select * from ${from} where ${range} ${newest} limit ${SCANNED_ROWS})`;
  const found = await read(tests ? fitting(scanned) : range, limit + 1);
  if (!tests || found.length > limit) return toPage(found, limit, null);
  const ends = await db.all<{ id: string }>(
    sql`select id from ${from} where ${range} ${newest} limit 1 offset ${SCANNED_ROWS - 1}`,
  );
  const end = ends[0]?.id ?? null;
  if (end === null) return toPage(found, limit, null);
  // Newer rows may have come since the first query, so that it read past `end`: the next page has those.
  if (!indexedBy)
    return toPage(
      found.filter(({ id }) => id >= end),
      limit,
      end,
    );
  // Rows leave an index when they change, and then the scan reaches further than `end`: read once more, up
  // to `end`.
  const upToEnd = sql`(select * from ${from} where ${range} and id >= ${end})`;
  return toPage(await read(fitting(upToEnd), limit + 1), limit, end);
}

function toPage<R extends { id: string }>(
  found: readonly R[],
  limit: number,
  end: string | null,
): ScannedPage<R> {
  const rows = found.slice(0, limit);
  return { rows, next: found.length > limit ? (rows.at(-1)?.id ?? null) : end };
}
