/**
 * Pages of filtered lists whose filter has no index. An index would cost each stored row another one,
 * and a row written costs as much as a thousand that are read (prices of D1, November 2026): so a page
 * looks at so many rows and no more, and may come out short with more behind it.
 */
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import type { Database } from "./open";

/** How many rows a page looks at. */
export const SCANNED_ROWS = 2_000;

/** A range of a table in the order of its ids, and what is tested on its rows. */
export interface ScanQuery {
  /** Its rows have an `id`. */
  table: SQLWrapper;
  /** The index that holds the range, where it is not the key. */
  indexedBy?: SQL | undefined;
  range: SQL | undefined;
  /** Undefined: all fit. */
  tests: SQL | undefined;
  limit: number;
}

/** A page, newest first; `next`: where the one after it begins, null at the end. */
export interface ScannedPage<R> {
  rows: R[];
  next: string | null;
}

/**
 * Reads a page.
 * @param read what this says of its ids, newest first, and at most so many
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
  // Newer ones may have come meanwhile: what is behind the end is for the next page then.
  if (!indexedBy)
    return toPage(
      found.filter(({ id }) => id >= end),
      limit,
      end,
    );
  // Rows leave an index when they change, and the end moves on: once more, up to an end that stays.
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
