/** Pages of lists whose ids count up in each organisation, newest first: users and sources. */
import { and, gt, lt, type SQL, sql } from "drizzle-orm";
import type { sources, users } from "../db/schema/sources";

/** Which page of a list: behind the id `after`, and in front of the id `before`. */
export interface IdRange {
  after: number | null;
  before: number | null;
  limit: number;
}

/** A page of a list. `total` is null where only a count of the rows would tell it. */
export interface CountedPage<T> {
  rows: T[];
  hasMore: boolean;
  total: number | null;
}

/** The largest id so far. Rows are not removed one by one, so it is also the number of rows. */
export function lastId(table: typeof users | typeof sources, organisationId: number): SQL<number> {
  return sql<number>`(select coalesce(max(id), 0) from ${table} where organisation_id = ${organisationId})`;
}

/** The id of the next row. Use it in the statement that inserts the row, so that no other row gets it. */
export function nextId(table: typeof users | typeof sources, organisationId: number): SQL {
  return sql`1 + ${lastId(table, organisationId)}`;
}

/** The condition that an id is behind `after` and in front of `before`. */
export function inRange(id: SQL, range: IdRange): SQL | undefined {
  return and(
    range.after === null ? undefined : lt(id, range.after),
    range.before === null ? undefined : gt(id, range.before),
  );
}

/**
 * The page that these rows make.
 * @param rows `limit` rows and one more, if the list goes on
 * @param total how many rows the whole list has; null: not known, unless all of them are on this page
 */
export function toCountedPage<T>(
  rows: T[],
  range: { limit: number; after: unknown; before: unknown },
  total: number | null,
): CountedPage<T> {
  const hasMore = rows.length > range.limit;
  const isWhole = !hasMore && range.after === null && range.before === null;
  return {
    rows: rows.slice(0, range.limit),
    hasMore,
    total: total ?? (isWhole ? rows.length : null),
  };
}
