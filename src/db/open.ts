/** Opens D1, for each entry point of the Worker. */
import { type DrizzleD1Database, drizzle } from "drizzle-orm/d1";
import { withSizeHeard } from "./size";

/** D1 through Drizzle. Several statements go through `runBatch`: D1 has no interactive transactions. */
export type Database = DrizzleD1Database & { $client: D1Database };

/** Drizzle's database of each binding; an isolate has one binding. Making it for each request costs 5 % of an empty one. */
const opened = new WeakMap<D1Database, Database>();

/**
 * Opens the deployment's D1. It costs nothing: no connection is made, and an isolate does it once. Everything goes
 * to the primary, which has the newest state. What may be older goes through `readNear`.
 */
export function openDatabase({ DB }: Pick<Env, "DB">): Database {
  const db = opened.get(DB) ?? drizzle(withSizeHeard(DB));
  opened.set(DB, db);
  return db;
}
