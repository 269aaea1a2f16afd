import { type DrizzleD1Database, drizzle } from "drizzle-orm/d1";

/** D1 through Drizzle. Several statements go through `db.batch`: D1 has no interactive transactions. */
export type Database = DrizzleD1Database;

/** Opens the deployment's D1. Cheap: no connection is made. */
export function openDatabase(env: Env): Database {
  return drizzle(env.DB);
}
