/** Announces keys that expire soon (`key.expiring`). The sweep calls it. */
import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import { apiKeys } from "../db/schema/organisations";
import { findExpiringKeys } from "./key-store";
import { type KeyServices, keyEvents } from "./manage-keys";

/** Announces a page of the keys that expire within a week, each key once. Returns how many it looked at. */
export async function announceExpiringKeys(
  { db, events }: KeyServices,
  now: number,
  limit: number,
): Promise<number> {
  const keys = await findExpiringKeys(db, now, limit);
  if (keys.length === 0) return 0;
  const announced = keys.flatMap(({ expiringAt: _, ...key }) => {
    // The key has expired already: the mark is removed, and nothing is announced.
    const over = key.expiresAt === null || key.expiresAt <= now;
    return keyEvents(over ? [] : ["key.expiring"], key, key.organisationIds, now);
  });
  const marks = JSON.stringify(keys.map(({ id, expiringAt }) => ({ id, at: expiringAt })));
  const marked = sql`select ${apiKeys.id} from ${apiKeys} where (${apiKeys.id}, ${apiKeys.expiringAt})
    in (select value ->> 'id', value ->> 'at' from json_each(${marks}))`;
  const { unmarked } = await runBatch(db, {
    events: events.insertion(announced, sql`value ->> 'data' ->> '$.key.id' in (${marked})`),
    unmarked: db
      .update(apiKeys)
      .set({ expiringAt: null })
      .where(sql`${apiKeys.id} in (${marked})`)
      .returning({ id: apiKeys.id }),
  });
  const mine = new Set(unmarked.map(({ id }) => id));
  const stored = announced.filter(({ data }) => mine.has(data.key.id));
  if (stored.length > 0) events.sendAfterAnswer(stored);
  return keys.length;
}
