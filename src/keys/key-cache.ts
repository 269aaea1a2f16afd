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
import { isWellFormedToken, tokenDigest } from "./key-token";

/** How long an isolate uses a key that it has read: a revocation is noticed at most so much later. */
export const KEY_CACHE_MS = 10_000;
/** Keys in each cache of an isolate. Above that, the oldest is removed. */
const CACHED_KEYS = 10_000;

/** `fresh` reads the key again, for calls that a key must not make seconds after it was revoked. */
export type Freshness = "cached" | "fresh";

/** Keys that were read, by what they were looked for. */
type Cache<N> = Map<N, { key: CallerKey; readAt: number }>;

/**
 * By the token itself: so neither its checksum nor its digest is computed again for a key that is here. The
 * memory of an isolate holds the deployment's secrets, too.
 */
const byToken: Cache<string> = new Map();
const byId: Cache<number> = new Map();
/** Rises when a key is forgotten, so that a read that began before is not put into the cache. */
let forgettings = 0;

/**
 * The key with this token, or null; `malformed`: the text is no token. It costs one indexed read, or none when
 * this isolate has read the key within `KEY_CACHE_MS`: then there is nothing to wait for, either. Ask `checkKey`
 * whether the key still works.
 */
export function findKeyByToken(
  db: Database,
  token: string,
  now: number,
  freshness: Freshness = "cached",
): CallerKey | "malformed" | Promise<CallerKey | null> {
  const known = freshness === "cached" ? cachedKey(byToken, token, now) : null;
  if (known) return known;
  if (!isWellFormedToken(token)) return "malformed";
  const digest = tokenDigest(token);
  const read = (from: Database) => readKeyByTokenDigest(from, digest);
  // A copy, since a text that is cut from a header keeps all of the header in memory, spaces included.
  const copied = Buffer.from(token).toString();
  return readInto(byToken, copied, { db, now, freshness, read });
}

/** The key with this id, or null. Cached in the same way. */
export function findKeyById(
  db: Database,
  id: number,
  now: number,
  freshness: Freshness = "cached",
): CallerKey | Promise<CallerKey | null> {
  const known = freshness === "cached" ? cachedKey(byId, id, now) : null;
  const read = (from: Database) => readKeyById(from, id);
  return known ?? readInto(byId, id, { db, now, freshness, read });
}

/** Makes this isolate read a key again. Every change of a key calls it. */
export function forgetKey(keyId: number): void {
  forgetKeys(({ id }) => id === keyId);
}

/** Makes this isolate read all keys of an organisation again: it was deleted. */
export function forgetKeysOf(organisationId: number): void {
  forgetKeys(({ organisationIds }) => organisationIds.includes(organisationId));
}

function forgetKeys(isMeant: (key: CallerKey) => boolean): void {
  forgettings += 1;
  forgetPrimary();
  for (const [id, { key }] of byId) if (isMeant(key)) byId.delete(id);
  for (const [token, { key }] of byToken) if (isMeant(key)) byToken.delete(token);
}

function cachedKey<N>(cache: Cache<N>, name: N, now: number): CallerKey | null {
  const cached = cache.get(name);
  const isCurrent = cached && now - cached.readAt < KEY_CACHE_MS && now >= cached.readAt;
  return isCurrent ? cached.key : null;
}

interface Reading {
  db: Database;
  now: number;
  freshness: Freshness;
  /** May run twice: on a copy, and on the primary. */
  read: (from: Database) => Promise<CallerKey | null>;
}

async function readInto<N>(cache: Cache<N>, name: N, reading: Reading): Promise<CallerKey | null> {
  cache.delete(name);
  const before = forgettings;
  const { key, readAt } = await readKey(reading);
  // Only keys that exist are cached: a new key must work at once, and guesses must not fill the cache.
  if (!key || before !== forgettings) return key;
  cache.set(name, { key, readAt });
  dropOldest(cache, CACHED_KEYS);
  return key;
}

async function readKey({ db, now, freshness, read }: Reading) {
  if (freshness === "cached") {
    const { value: key, asOf, fromPrimary } = await readNear(db, { now }, read);
    // That there is no such key only the primary can say: it may be new.
    if (key !== null || fromPrimary) return { key, readAt: asOf };
  }
  return { key: await read(db), readAt: now };
}
