/**
 * Statements whose SQL never changes, without Drizzle, which would build the same text anew for each of them.
 * For store files, where a statement runs so often that building its text shows in what a call costs.
 */
import type { Database } from "./open";

/** D1 itself, with its own statements. Several run as one transaction in `batch`. */
export type FixedSql = Pick<D1Database, "prepare" | "batch">;

/** D1 behind Drizzle. */
export function fixedSql(db: Database): FixedSql {
  return db.$client;
}

/** A statement that Drizzle has built, for a batch with fixed ones. */
export function fromDrizzle(
  d1: FixedSql,
  statement: { toSQL(): { sql: string; params: unknown[] } },
): D1PreparedStatement {
  const { sql, params } = statement.toSQL();
  return d1.prepare(sql).bind(...params);
}
