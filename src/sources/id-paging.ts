/** Keyset paging over ids that count up per organisation, newest first. */
import { and, gt, lt, type SQL, sql } from "drizzle-orm";
import type { sources, users } from "../db/schema/sources";

/** Where a page of a list begins and ends: ids, exclusive, newest first. */
export interface IdRange {
  after: number | null;
  before: number | null;
  limit: number;
}

/** A page of a list; `total` is null where it is not known without counting. */
export interface CountedPage<T> {
  rows: T[];
  hasMore: boolean;
  total: number | null;
}

/** The largest id so far. Ids are never freed, so that it is also how many there are. */
export function lastId(table: typeof users | typeof sources, organisationId: number): SQL<number> {
  return sql<number>`(select coalesce(max(id), 0) from ${table} where organisation_id = ${organisationId})`;
}

/** The id of the next row; taken in the statement that inserts it, it is nobody else's. */
export function nextId(table: typeof users | typeof sources, organisationId: number): SQL {
  return sql`1 + ${lastId(table, organisationId)}`;
}

/** The condition that an id is on this page or behind it. */
export function inRange(id: SQL, range: IdRange): SQL | undefined {
  return and(
    range.after === null ? undefined : lt(id, range.after),
    range.before === null ? undefined : gt(id, range.before),
  );
}

/**
 * The page that these rows make.
 * @param rows one more than `limit` where there are more
 * @param total how many there are in all; null: that is known only if they all are on this page
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
