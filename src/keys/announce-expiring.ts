/** Says ahead that a key is about to expire: the sweep's part in keys. */
import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import { apiKeys } from "../db/schema/organisations";
import { findExpiringKeys } from "./key-store";
import { type KeyServices, keyEvents } from "./manage-keys";

/** Announces a page of the keys that expire within a week, each once; returns how many it looked at. */
export async function announceExpiringKeys(
  { db, events }: KeyServices,
  now: number,
  limit: number,
): Promise<number> {
  const keys = await findExpiringKeys(db, now, limit);
  if (keys.length === 0) return 0;
  const owed = keys.flatMap(({ expiringAt: _, ...key }) => {
    // Marked too late to say it ahead: the mark goes, and nothing is said.
    const over = key.expiresAt === null || key.expiresAt <= now;
    return keyEvents(over ? [] : ["key.expiring"], key, key.organisationIds, now);
  });
  const marks = JSON.stringify(keys.map(({ id, expiringAt }) => ({ id, at: expiringAt })));
  const marked = sql`select ${apiKeys.id} from ${apiKeys} where (${apiKeys.id}, ${apiKeys.expiringAt})
    in (select value ->> 'id', value ->> 'at' from json_each(${marks}))`;
  const { unmarked } = await runBatch(db, {
    events: events.insertion(owed, sql`value ->> 'data' ->> '$.key.id' in (${marked})`),
    unmarked: db
      .update(apiKeys)
      .set({ expiringAt: null })
      .where(sql`${apiKeys.id} in (${marked})`)
      .returning({ id: apiKeys.id }),
  });
  const mine = new Set(unmarked.map(({ id }) => id));
  const stored = owed.filter(({ data }) => mine.has(data.key.id));
  if (stored.length > 0) events.announce(stored);
  return keys.length;
}
