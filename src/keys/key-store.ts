/** Reads API keys from D1, and lists those of an organisation. */
import { and, asc, eq, getTableColumns, gt, isNull, lte, or, type SQL, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import {
  apiKeys,
  keyTokens,
  organisationKeys,
  organisations,
  signedOutTokens,
} from "../db/schema/organisations";
import type { CallerKey, KeyRecord } from "./key";
import { isWellFormedToken, tokenDigest } from "./key-token";

/** Keys that a filter by name looks at for one page: so a search costs the same however many keys there are. */
const EXAMINED_KEYS = 500;

/** A key as it is shown: with those of its organisations that are also the reader's, and its last use in each. */
export interface KeyView extends KeyRecord {
  organisations: { id: number; name: string; createdAt: number; lastUsedAt: number | null }[];
}

/** Which keys of an organisation to list. Null: any. */
export interface KeyQuery {
  organisationId: number;
  /** The reader's organisations. Other organisations of a key are not shown. */
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

/**
 * The key's organisations without those that were deleted: keys stop with their organisation, however long it
 * takes to remove them. It costs one row, and more only while the sweep has not done with a deleted organisation.
 */
const liveOrganisationIds = sql<number[]>`case
  when exists (select 1 from ${organisations} where deleted_at is not null)
  then (select json_group_array(value) from json_each(${apiKeys.organisationIds}) where not exists (
    select 1 from ${organisations} where id = value and deleted_at is not null))
  else ${apiKeys.organisationIds} end`.mapWith(apiKeys.organisationIds);

const heldColumns = {
  id: apiKeys.id,
  name: apiKeys.name,
  dnsName: apiKeys.dnsName,
  emails: apiKeys.emails,
  organisationIds: liveOrganisationIds,
  permissions: apiKeys.permissions,
  ipAllowlist: apiKeys.ipAllowlist,
  blocked: apiKeys.blocked,
  expiresAt: apiKeys.expiresAt,
  tokenVersion: apiKeys.tokenVersion,
  previousTokens: apiKeys.previousTokens,
};

const { nameFolded: _folded, ...allColumns } = getTableColumns(apiKeys);
const { expiringAt, ...recordColumns } = allColumns;

/** The form of a name in which it is searched. */
export function foldName(name: string): string {
  return name.normalize("NFKC").toLowerCase();
}

/** The key of the token with this digest, or null. A batch of one, since D1 says its size in a batch: see `db/size.ts`. */
export async function readKeyByTokenDigest(
  db: Database,
  digest: string,
): Promise<CallerKey | null> {
  const { rows } = await runBatch(db, {
    rows: db
      .select({ ...heldColumns, tokenValidUntil: keyTokens.validUntil })
      .from(keyTokens)
      .innerJoin(apiKeys, eq(apiKeys.id, keyTokens.keyId))
      .where(eq(keyTokens.digest, digest)),
  });
  return rows[0] ? { ...rows[0], signedOut: [] } : null;
}

/**
 * The key with this id, with the session tokens of its operators that were signed out, or null. It is a batch
 * for the same reason.
 */
export async function readKeyById(db: Database, id: number): Promise<CallerKey | null> {
  const signedOut = sql<string>`(select json_group_array(${signedOutTokens.tokenId})
    from ${signedOutTokens} where ${signedOutTokens.keyId} = ${apiKeys.id})`;
  const { rows } = await runBatch(db, {
    rows: db
      .select({ ...heldColumns, signedOut })
      .from(apiKeys)
      .where(eq(apiKeys.id, id)),
  });
  const row = rows[0];
  return row ? { ...row, tokenValidUntil: null, signedOut: JSON.parse(row.signedOut) } : null;
}

/**
 * A key of an organisation with all its fields, or null. Without the organisations that were deleted: a key that
 * was shared with one can be changed as soon as its own organisation is the only one left.
 */
export async function findKeyRecord(
  db: Database,
  organisationId: number,
  id: number,
): Promise<KeyRecord | null> {
  const rows = await db
    .select({ ...recordColumns, organisationIds: liveOrganisationIds })
    .from(organisationKeys)
    .innerJoin(apiKeys, eq(apiKeys.id, organisationKeys.keyId))
    .where(
      and(eq(organisationKeys.organisationId, organisationId), eq(organisationKeys.keyId, id)),
    );
  return rows[0] ?? null;
}

/** A page of the keys whose end is due to be announced. `expiringAt`: since when, Unix milliseconds. */
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

/** A key of an organisation as it is shown, or null. */
export async function findKeyView(
  db: Database,
  organisationId: number,
  readerOrganisationIds: readonly number[],
  id: number,
): Promise<KeyView | null> {
  const [row] = await selectView(db, organisationId, readerOrganisationIds, id);
  return row ? toView(row) : null;
}

/**
 * A page of an organisation's keys in the order of their ids. `next` is the id after which the next page
 * begins; null: this is the last page. With a filter by name a page can have fewer keys than `limit`, even
 * none, and still not be the last.
 * @param now Unix milliseconds: a token whose grace is over finds nothing
 */
export async function listKeys(
  db: Database,
  query: KeyQuery,
  now: number,
): Promise<{ keys: KeyView[]; next: number | null }> {
  const inRange = and(
    eq(organisationKeys.organisationId, query.organisationId),
    query.blocked === null ? undefined : eq(organisationKeys.blocked, query.blocked),
    gt(organisationKeys.keyId, query.after),
  );
  const searches = query.name !== null && query.token === null;
  const end = searches ? await findExaminedEnd(db, inRange) : null;
  const name = query.name === null ? undefined : foldName(query.name);
  const found = await viewQuery(
    db,
    query.readerOrganisationIds,
    and(
      inRange,
      end === null ? undefined : lte(organisationKeys.keyId, end),
      query.token === null ? undefined : hasToken(query.token, now),
      name === undefined ? undefined : sql`instr(${apiKeys.nameFolded}, ${name}) > 0`,
    ),
    query.limit + 1,
  );
  const keys = found.slice(0, query.limit).map(toView);
  return { keys, next: found.length > query.limit ? (keys.at(-1)?.id ?? null) : end };
}

/** The id of the last key that a search in this range may look at. Null: it may look at all of them. */
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

/** The condition for the keys with this token, or this beginning of a token: an index finds the few. */
function hasToken(token: string, now: number): SQL {
  if (!isWellFormedToken(token)) {
    return sql`${organisationKeys.keyId} in (select id from ${apiKeys} where token_short = ${token})`;
  }
  const digest = eq(keyTokens.digest, tokenDigest(token));
  const works = or(isNull(keyTokens.validUntil), gt(keyTokens.validUntil, now));
  return sql`${organisationKeys.keyId} in (select key_id from ${keyTokens} where ${and(digest, works)})`;
}

/** The query, for a batch too, of a key of an organisation as it is shown; `id` may be SQL. */
export function selectView(
  db: Database,
  organisationId: number,
  readerOrganisationIds: readonly number[],
  id: number | SQL,
) {
  const isIts = and(
    eq(organisationKeys.organisationId, organisationId),
    eq(organisationKeys.keyId, id),
  );
  return viewQuery(db, readerOrganisationIds, isIts, 1);
}

/** A key as `selectView` finds it. */
export function toView(row: Awaited<ReturnType<typeof selectView>>[number]): KeyView {
  return { ...row, organisations: JSON.parse(row.organisations) };
}

function viewQuery(
  db: Database,
  readerOrganisationIds: readonly number[],
  where: SQL | undefined,
  limit: number,
) {
  // Cross joins keep SQLite from reordering the tables: it starts with the key's organisations, and finds
  // each row by its primary key.
  const organisations = sql<string>`(
    select json_group_array(json_object('id', o.id, 'name', o.name, 'createdAt', k.created_at,
      'lastUsedAt', k.last_used_at))
    from json_each(${apiKeys.organisationIds}) j
    cross join organisation_keys k on k.organisation_id = j.value and k.key_id = ${apiKeys.id}
    cross join organisations o on o.id = j.value
    where j.value in (select value from json_each(${JSON.stringify(readerOrganisationIds)})))`;
  return db
    .select({ ...recordColumns, organisations })
    .from(organisationKeys)
    .innerJoin(apiKeys, eq(apiKeys.id, organisationKeys.keyId))
    .where(where)
    .orderBy(asc(organisationKeys.keyId))
    .limit(limit);
}
