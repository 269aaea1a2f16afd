/** API keys in D1. */
import { and, eq, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { apiKeys, keyTokens, organisationKeys } from "../db/schema";
import type { ApiKey } from "./key";
import { tokenDigest, tokenShort } from "./token";

/** How long an isolate trusts what it read of a key: the bound on how late a revocation is noticed. */
export const KEY_CACHE_MS = 10_000;
/** Keys remembered per isolate; above it the oldest go. */
const CACHED_KEYS = 10_000;

const cache = new Map<string, { key: ApiKey; readAt: number }>();

/**
 * The key with this token, or null. One indexed read, and none when this isolate has read it within
 * `KEY_CACHE_MS`. Whether it still opens anything is for `judgeKey` to say.
 */
export async function findKeyByToken(
  db: Database,
  token: string,
  now: number,
): Promise<ApiKey | null> {
  const digest = tokenDigest(token);
  const cached = cache.get(digest);
  if (cached && now - cached.readAt < KEY_CACHE_MS && now >= cached.readAt) return cached.key;
  cache.delete(digest);
  const rows = await db
    .select({
      id: apiKeys.id,
      organisationIds: apiKeys.organisationIds,
      permissions: apiKeys.permissions,
      ipAllowlist: apiKeys.ipAllowlist,
      blocked: apiKeys.blocked,
      expiresAt: apiKeys.expiresAt,
      tokenValidUntil: keyTokens.validUntil,
    })
    .from(keyTokens)
    .innerJoin(apiKeys, eq(apiKeys.id, keyTokens.keyId))
    .where(eq(keyTokens.digest, digest));
  const key = rows[0];
  // Only found keys are remembered: a new key must work at once, and guesses must not fill the cache.
  if (!key) return null;
  cache.set(digest, { key, readAt: now });
  if (cache.size > CACHED_KEYS) {
    const oldest = cache.keys().next().value;
    if (oldest !== undefined) cache.delete(oldest);
  }
  return key;
}

/** Makes this isolate read a key again: called by whoever changed it. */
export function forgetKey(keyId: number): void {
  for (const [digest, { key }] of cache) if (key.id === keyId) cache.delete(digest);
}

/** What a new key is made of. */
export interface NewKey {
  name: string;
  /** The organisations it acts in, or an SQL expression for the JSON array of them. */
  organisationIds: readonly number[] | SQL;
  permissions: readonly string[];
}

/**
 * The statements that store a new key, for a batch: the key, its token, its organisations. The first
 * returns the key's id and the version of its token.
 */
export function keyInsertion(db: Database, input: NewKey, token: string, now: number) {
  const organisationIds = Array.isArray(input.organisationIds)
    ? sql`${JSON.stringify(input.organisationIds)}`
    : (input.organisationIds as SQL);
  const key = db
    .insert(apiKeys)
    .values({
      name: input.name,
      organisationIds,
      permissions: [...input.permissions],
      emails: [],
      labels: [],
      ipAllowlist: [],
      createdAt: now,
      tokenShort: tokenShort(token),
      tokenCreatedAt: now,
    })
    .returning({ id: apiKeys.id, tokenVersion: apiKeys.tokenVersion });
  // Tables without rowid leave last_insert_rowid() alone: it stays the key's id in what follows.
  const digest = db
    .insert(keyTokens)
    .values({ digest: tokenDigest(token), keyId: sql`last_insert_rowid()` });
  const organisations = db.insert(organisationKeys).select(
    sql`select value, ${apiKeys.id}, ${now}, null from ${apiKeys}, json_each(${apiKeys.organisationIds})
        where ${apiKeys.id} = last_insert_rowid()`,
  );
  return [key, digest, organisations] as const;
}

/** Deletes the keys that act only in this organisation, and takes it out of the others. */
export async function removeOrganisationKeys(db: Database, organisationId: number): Promise<void> {
  const keyIds = await db
    .select({ id: organisationKeys.keyId })
    .from(organisationKeys)
    .where(eq(organisationKeys.organisationId, organisationId));
  const mine = sql`select key_id from ${organisationKeys} where organisation_id = ${organisationId}`;
  const without = sql`(select json_group_array(value) from json_each(${apiKeys.organisationIds})
    where value <> ${organisationId})`;
  await db.batch([
    db.update(apiKeys).set({ organisationIds: without }).where(sql`${apiKeys.id} in (${mine})`),
    db
      .delete(keyTokens)
      .where(
        sql`${keyTokens.keyId} in (select id from ${apiKeys} where id in (${mine}) and organisation_ids = '[]')`,
      ),
    db.delete(apiKeys).where(and(sql`id in (${mine})`, sql`organisation_ids = '[]'`)),
    db.delete(organisationKeys).where(eq(organisationKeys.organisationId, organisationId)),
  ]);
  for (const { id } of keyIds) forgetKey(id);
}
