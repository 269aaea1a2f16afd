/** Says ahead that a key is about to expire: the sweep's part in keys. */
import { and, eq, sql } from "drizzle-orm";
import { apiKeys } from "../db/schema/organisations";
import { type KeyDeps, keyEvents } from "./manage";
import { findExpiringKeys } from "./store";

/** Announces a page of the keys that expire within a week, each once; returns how many it looked at. */
export async function announceExpiringKeys(
  { db, events }: KeyDeps,
  now: number,
  limit: number,
): Promise<number> {
  const keys = await findExpiringKeys(db, now, limit);
  for (const { expiringAt, ...key } of keys) {
    const isMarked = and(eq(apiKeys.id, key.id), eq(apiKeys.expiringAt, expiringAt ?? 0));
    const marked = sql`exists (select 1 from ${apiKeys} where ${isMarked})`;
    // Marked too late to say it ahead: the mark goes, and nothing is said.
    const over = key.expiresAt === null || key.expiresAt <= now;
    const owed = keyEvents(over ? [] : ["key.expiring"], key, key.organisationIds, now);
    const unmarking = db
      .update(apiKeys)
      .set({ expiringAt: null })
      .where(isMarked)
      .returning({ id: apiKeys.id });
    const [, , unmarked] = await db.batch([...events.insertion(owed, marked), unmarking]);
    if (unmarked.length > 0) events.announce(owed);
  }
  return keys.length;
}
