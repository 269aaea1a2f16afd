/**
 * The keys that this isolate has read lately. Whoever changes a key makes this isolate forget it at
 * once; the others find out when what they hold is `KEY_CACHE_MS` old.
 */

import type { Database } from "../db/open";
import { dropOldest } from "../platform/bounded-memory";
import type { CallerKey } from "./key";
import { readKeyById, readKeyByTokenDigest } from "./key-store";
import { tokenDigest } from "./key-token";

/** How long an isolate trusts what it read of a key: the bound on how late a revocation is noticed. */
export const KEY_CACHE_MS = 10_000;
/** Keys remembered per isolate; above it the oldest go. */
const CACHED_KEYS = 10_000;

/** `fresh` reads the key again: for what must not rest on a key that was revoked seconds ago. */
export type Freshness = "cached" | "fresh";

const cache = new Map<string, { key: CallerKey; readAt: number }>();
/** Rises with every forgetting, so that an answer that was under way meanwhile is not kept. */
let forgettings = 0;

/**
 * The key with this token, or null. One indexed read, and none when this isolate has read it within
 * `KEY_CACHE_MS`. Whether it still opens anything is for `checkKey` to say.
 */
export function findKeyByToken(
  db: Database,
  token: string,
  now: number,
  freshness: Freshness = "cached",
): Promise<CallerKey | null> {
  const digest = tokenDigest(token);
  return find(digest, now, freshness, () => readKeyByTokenDigest(db, digest));
}

/** The key with this id, or null; cached as above. */
export function findKeyById(
  db: Database,
  id: number,
  now: number,
  freshness: Freshness = "cached",
): Promise<CallerKey | null> {
  return find(`#${id}`, now, freshness, () => readKeyById(db, id));
}

/** Makes this isolate read a key again: called by whoever changed it. */
export function forgetKey(keyId: number): void {
  forgettings += 1;
  for (const [name, { key }] of cache) if (key.id === keyId) cache.delete(name);
}

async function find(
  name: string,
  now: number,
  freshness: Freshness,
  read: () => Promise<CallerKey | null>,
): Promise<CallerKey | null> {
  const cached = cache.get(name);
  if (freshness === "cached" && cached) {
    if (now - cached.readAt < KEY_CACHE_MS && now >= cached.readAt) return cached.key;
  }
  cache.delete(name);
  const before = forgettings;
  const key = await read();
  // Only found keys are remembered: a new key must work at once, and guesses must not fill the cache.
  if (!key || before !== forgettings) return key;
  cache.set(name, { key, readAt: now });
  dropOldest(cache, CACHED_KEYS);
  return key;
}
