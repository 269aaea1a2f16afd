/** API keys in D1: reading them, and listing those of an organisation. */
import { and, asc, eq, getTableColumns, gt, isNull, lte, or, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { apiKeys, keyTokens, organisationKeys, signedOutTokens } from "../db/schema/organisations";
import type { CallerKey, KeyRecord } from "./key";
import { isWellFormedToken, tokenDigest } from "./key-token";

/** A filter by name examines so many keys for one page: a search costs no more, however many there are. */
const EXAMINED_KEYS = 500;

/** A key with its use in those of its organisations that the reader knows. */
export interface KeyView extends KeyRecord {
  organisations: { id: number; name: string; createdAt: number; lastUsedAt: number | null }[];
}

/** Which keys of an organisation to list. */
export interface KeyQuery {
  organisationId: number;
  /** The organisations that the reader knows: others of a shared key are not shown. */
  readerOrganisationIds: readonly number[];
  blocked: boolean | null;
  /** A substring of the name, whatever its case. */
  name: string | null;
  /** A whole token, or the part of one that is shown. */
  token: string | null;
  /** The last id of the page before. */
  after: number;
  limit: number;
}

const heldColumns = {
  id: apiKeys.id,
  name: apiKeys.name,
  dnsName: apiKeys.dnsName,
  emails: apiKeys.emails,
  organisationIds: apiKeys.organisationIds,
  permissions: apiKeys.permissions,
  ipAllowlist: apiKeys.ipAllowlist,
  blocked: apiKeys.blocked,
  expiresAt: apiKeys.expiresAt,
  tokenVersion: apiKeys.tokenVersion,
  previousTokens: apiKeys.previousTokens,
};

const { nameFolded: _folded, ...allColumns } = getTableColumns(apiKeys);
const { expiringAt, ...recordColumns } = allColumns;

/** Names are searched in this form. */
export function foldName(name: string): string {
  return name.normalize("NFKC").toLowerCase();
}

/** The key that a token's digest belongs to. */
export async function readKeyByTokenDigest(
  db: Database,
  digest: string,
): Promise<CallerKey | null> {
  const rows = await db
    .select({ ...heldColumns, tokenValidUntil: keyTokens.validUntil })
    .from(keyTokens)
    .innerJoin(apiKeys, eq(apiKeys.id, keyTokens.keyId))
    .where(eq(keyTokens.digest, digest));
  return rows[0] ? { ...rows[0], signedOut: [] } : null;
}

/** The key with this id, and which of its session tokens were signed out. */
export async function readKeyById(db: Database, id: number): Promise<CallerKey | null> {
  const signedOut = sql<string>`(select json_group_array(${signedOutTokens.tokenId})
    from ${signedOutTokens} where ${signedOutTokens.keyId} = ${apiKeys.id})`;
  const rows = await db
    .select({ ...heldColumns, signedOut })
    .from(apiKeys)
    .where(eq(apiKeys.id, id));
  const row = rows[0];
  return row ? { ...row, tokenValidUntil: null, signedOut: JSON.parse(row.signedOut) } : null;
}

/** A key of an organisation, as it is managed. */
export async function findKeyRecord(
  db: Database,
  organisationId: number,
  id: number,
): Promise<KeyRecord | null> {
  const rows = await db
    .select(recordColumns)
    .from(organisationKeys)
    .innerJoin(apiKeys, eq(apiKeys.id, organisationKeys.keyId))
    .where(
      and(eq(organisationKeys.organisationId, organisationId), eq(organisationKeys.keyId, id)),
    );
  return rows[0] ?? null;
}

/** A page of the keys whose end is to be announced by now, with the mark that says so. */
export async function findExpiringKeys(
  db: Database,
  now: number,
  limit: number,
): Promise<(KeyRecord & { expiringAt: number | null })[]> {
  return db
    .select(allColumns)
    .from(apiKeys)
    .where(lte(expiringAt, now))
    .orderBy(asc(expiringAt))
    .limit(limit);
}

/** A key of an organisation, as it is shown. */
export async function findKeyView(
  db: Database,
  organisationId: number,
  readerOrganisationIds: readonly number[],
  id: number,
): Promise<KeyView | null> {
  const views = await selectViews(
    db,
    readerOrganisationIds,
    and(eq(organisationKeys.organisationId, organisationId), eq(organisationKeys.keyId, id)),
    1,
  );
  return views[0] ?? null;
}

/**
 * A page of an organisation's keys in the order of their ids, and after which id the next begins (null:
 * there is none). With a filter by name a page may be short of `limit`, even empty, and not the last.
 */
export async function listKeys(
  db: Database,
  query: KeyQuery,
): Promise<{ keys: KeyView[]; next: number | null }> {
  const inRange = and(
    eq(organisationKeys.organisationId, query.organisationId),
    query.blocked === null ? undefined : eq(organisationKeys.blocked, query.blocked),
    gt(organisationKeys.keyId, query.after),
  );
  const searches = query.name !== null && query.token === null;
  const end = searches ? await findExaminedEnd(db, inRange) : null;
  const name = query.name === null ? undefined : foldName(query.name);
  const found = await selectViews(
    db,
    query.readerOrganisationIds,
    and(
      inRange,
      end === null ? undefined : lte(organisationKeys.keyId, end),
      query.token === null ? undefined : hasToken(query.token),
      name === undefined ? undefined : sql`instr(${apiKeys.nameFolded}, ${name}) > 0`,
    ),
    query.limit + 1,
  );
  const keys = found.slice(0, query.limit);
  return { keys, next: found.length > query.limit ? (keys.at(-1)?.id ?? null) : end };
}

/** The last key that a search from here may examine; null where it reaches the end. */
async function findExaminedEnd(db: Database, inRange: SQL | undefined): Promise<number | null> {
  const rows = await db
    .select({ keyId: organisationKeys.keyId })
    .from(organisationKeys)
    .where(inRange)
    .orderBy(asc(organisationKeys.keyId))
    .limit(2)
    .offset(EXAMINED_KEYS - 1);
  return rows.length > 1 ? (rows[0]?.keyId ?? null) : null;
}

/** By index, the few keys that it can be: the list then looks for these in the organisation. */
function hasToken(token: string): SQL {
  if (!isWellFormedToken(token)) {
    return sql`${organisationKeys.keyId} in (select id from ${apiKeys} where token_short = ${token})`;
  }
  const digest = eq(keyTokens.digest, tokenDigest(token));
  const works = or(isNull(keyTokens.validUntil), gt(keyTokens.validUntil, Date.now()));
  return sql`${organisationKeys.keyId} in (select key_id from ${keyTokens} where ${and(digest, works)})`;
}

async function selectViews(
  db: Database,
  readerOrganisationIds: readonly number[],
  where: SQL | undefined,
  limit: number,
): Promise<KeyView[]> {
  // Cross joins keep the order of the tables: the key's organisations, each found by its own key.
  const organisations = sql<string>`(
    select json_group_array(json_object('id', o.id, 'name', o.name, 'createdAt', k.created_at,
      'lastUsedAt', k.last_used_at))
    from json_each(${apiKeys.organisationIds}) j
    cross join organisation_keys k on k.organisation_id = j.value and k.key_id = ${apiKeys.id}
    cross join organisations o on o.id = j.value
    where j.value in (select value from json_each(${JSON.stringify(readerOrganisationIds)})))`;
  const rows = await db
    .select({ ...recordColumns, organisations })
    .from(organisationKeys)
    .innerJoin(apiKeys, eq(apiKeys.id, organisationKeys.keyId))
    .where(where)
    .orderBy(asc(organisationKeys.keyId))
    .limit(limit);
  return rows.map((row) => ({ ...row, organisations: JSON.parse(row.organisations) }));
}
