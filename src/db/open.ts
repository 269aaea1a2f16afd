/** Opens D1, for each entry point of the Worker. */
import { type DrizzleD1Database, drizzle } from "drizzle-orm/d1";
import { withSizeHeard } from "./size";

/** D1 through Drizzle. Several statements go through `runBatch`: D1 has no interactive transactions. */
export type Database = DrizzleD1Database & { $client: D1Database };

/**
 * Opens the deployment's D1. It costs nothing: no connection is made. Everything goes to the primary, which has
 * the newest state. What may be older goes through `readNear`.
 */
export function openDatabase(env: Env): Database {
  return drizzle(withSizeHeard(env.DB));
}
