/**
 * Finds API keys for the guard, with a cache in this isolate. A change of a key removes it from the cache
 * of the isolate that made the change. Other isolates read the key again after `KEY_CACHE_MS`. They may ask a
 * copy of D1 that is near (`readNear`): the time counts from when the primary had what the copy answers.
 */

import { forgetPrimary, readNear } from "../db/near";
import type { Database } from "../db/open";
import { dropOldest } from "../platform/bounded-memory";
import type { CallerKey } from "./key";
import { readKeyById, readKeyByTokenDigest } from "./key-store";
import { tokenDigest } from "./key-token";

/** How long an isolate uses a key that it has read: a revocation is noticed at most so much later. */
export const KEY_CACHE_MS = 10_000;
/** Keys in the cache of an isolate. Above that, the oldest is removed. */
const CACHED_KEYS = 10_000;

/** `fresh` reads the key again, for calls that a key must not make seconds after it was revoked. */
export type Freshness = "cached" | "fresh";

const cache = new Map<string, { key: CallerKey; readAt: number }>();
/** Rises when a key is forgotten, so that a read that began before is not put into the cache. */
let forgettings = 0;

/**
 * The key with this token, or null. It costs one indexed read, or none when this isolate has read the key
 * within `KEY_CACHE_MS`. Ask `checkKey` whether the key still works.
 */
export function findKeyByToken(
  db: Database,
  token: string,
  now: number,
  freshness: Freshness = "cached",
): Promise<CallerKey | null> {
  const digest = tokenDigest(token);
  return find(db, { name: digest, now, freshness }, (from) => readKeyByTokenDigest(from, digest));
}

/** The key with this id, or null. Cached in the same way. */
export function findKeyById(
  db: Database,
  id: number,
  now: number,
  freshness: Freshness = "cached",
): Promise<CallerKey | null> {
  return find(db, { name: `#${id}`, now, freshness }, (from) => readKeyById(from, id));
}

/** Makes this isolate read a key again. Every change of a key calls it. */
export function forgetKey(keyId: number): void {
  forgettings += 1;
  forgetPrimary();
  for (const [name, { key }] of cache) if (key.id === keyId) cache.delete(name);
}

interface Wanted {
  /** Its name in the cache. */
  name: string;
  now: number;
  freshness: Freshness;
}

type Read = (db: Database) => Promise<CallerKey | null>;

async function find(db: Database, wanted: Wanted, read: Read): Promise<CallerKey | null> {
  const { name, now, freshness } = wanted;
  const cached = cache.get(name);
  if (freshness === "cached" && cached) {
    if (now - cached.readAt < KEY_CACHE_MS && now >= cached.readAt) return cached.key;
  }
  cache.delete(name);
  const before = forgettings;
  const { key, readAt } = await readKey(db, wanted, read);
  // Only keys that exist are cached: a new key must work at once, and guesses must not fill the cache.
  if (!key || before !== forgettings) return key;
  cache.set(name, { key, readAt });
  dropOldest(cache, CACHED_KEYS);
  return key;
}

async function readKey(db: Database, { now, freshness }: Wanted, read: Read) {
  if (freshness === "cached") {
    const { value: key, asOf, fromPrimary } = await readNear(db, { now }, read);
    // That there is no such key only the primary can say: it may be new.
    if (key !== null || fromPrimary) return { key, readAt: asOf };
  }
  return { key: await read(db), readAt: now };
}
