/**
 * The SQL statements that create, change and delete keys. In a batch, the statement for the key's own row
 * comes last, and all others have the condition `isKeyUnchanged`: so all of them do something, or none.
 */
import { and, eq, isNull, lte, ne, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import {
  apiKeys,
  keyTokens,
  operatorEmails,
  organisationKeys,
  signedOutTokens,
} from "../db/schema/organisations";
import type { PreviousSecret } from "../db/schema/webhooks";
import type { KeyRecord } from "./key";
import { foldName } from "./key-store";
import { tokenDigest, tokenShort } from "./key-token";
import { ALL_PERMISSIONS, OPERATOR_SIGN_IN } from "./permissions";
import type { KeySettings } from "./who-may-change";

/** The end of a key is announced so long before. */
const EXPIRING_AHEAD_MS = 7 * 86_400_000;

/** The settings of a new key. What is left out is empty. */
export interface NewKey extends Partial<Omit<KeySettings, "organisationIds">> {
  name: string;
  /** The ids of its organisations, or an SQL expression for the JSON array of them. */
  organisationIds: readonly number[] | SQL;
  permissions: readonly string[];
}

/** The new token of a key, and the older versions that still work (see `tokensAfterRefresh`). */
export interface RefreshedToken {
  token: string;
  previous: readonly PreviousSecret[];
}

/**
 * The statements that store a new key: the key, its token, its organisations, and the addresses that may
 * sign in as it. The first returns the key's id and the version of its token.
 */
export function keyInsertStatements(db: Database, input: NewKey, token: string, now: number) {
  const organisationIds = Array.isArray(input.organisationIds)
    ? sql`${JSON.stringify(input.organisationIds)}`
    : (input.organisationIds as SQL);
  const expiresAt = input.expiresAt ?? null;
  const key = db
    .insert(apiKeys)
    .values({
      name: input.name,
      nameFolded: foldName(input.name),
      organisationIds,
      permissions: [...input.permissions],
      emails: [...(input.emails ?? [])],
      labels: [...(input.labels ?? [])],
      ipAllowlist: [...(input.ipAllowlist ?? [])],
      dnsName: input.dnsName ?? null,
      createdAt: now,
      expiresAt,
      expiringAt: expiringAt(expiresAt),
      tokenShort: tokenShort(token),
      tokenCreatedAt: now,
    })
    .returning({ id: apiKeys.id, tokenVersion: apiKeys.tokenVersion });
  // last_insert_rowid() stays the key's id in all statements that follow: tables without rowid do not set it.
  const digest = db
    .insert(keyTokens)
    .values({ digest: tokenDigest(token), keyId: sql`last_insert_rowid()` });
  const organisations = db.insert(organisationKeys).select(
    sql`select value, ${apiKeys.id}, ${now}, null, 0 from ${apiKeys}, json_each(${apiKeys.organisationIds})
        where ${apiKeys.id} = last_insert_rowid()`,
  );
  const emails = operatorEmailInsertion(
    db,
    sql`last_insert_rowid()`,
    { permissions: input.permissions, emails: input.emails ?? [] },
    sql`true`,
  );
  return [key, digest, organisations, emails] as const;
}

/** The condition that nobody has changed a key since it was read. */
export function isKeyUnchanged(key: KeyRecord): SQL {
  return sql`exists (select 1 from ${apiKeys} where id = ${key.id} and version = ${key.version})`;
}

/**
 * The statements that change a key. `last` changes the key's own row, and returns a row if it did.
 * `before` are the others.
 */
export function keyUpdateStatements(
  db: Database,
  key: KeyRecord,
  { next, refreshed }: { next: KeySettings; refreshed: RefreshedToken | null },
  now: number,
) {
  const before = [
    ...organisationChanges(db, key, next, now),
    ...(refreshed ? tokenChanges(db, key, refreshed, now) : []),
    ...operatorChanges(db, key, next),
  ];
  const last = db
    .update(apiKeys)
    .set({
      name: next.name,
      nameFolded: foldName(next.name),
      organisationIds: [...next.organisationIds],
      permissions: [...next.permissions],
      emails: [...next.emails],
      labels: [...next.labels],
      ipAllowlist: [...next.ipAllowlist],
      blocked: next.blocked,
      version: key.version + 1,
      updatedAt: now,
      // D1 writes an index entry for each indexed column that is named here, even if its value stays.
      ...(next.dnsName === key.dnsName ? {} : { dnsName: next.dnsName }),
      ...(next.expiresAt === key.expiresAt
        ? {}
        : { expiresAt: next.expiresAt, expiringAt: expiringAt(next.expiresAt) }),
      ...(refreshed
        ? {
            tokenShort: tokenShort(refreshed.token),
            tokenVersion: key.tokenVersion + 1,
            tokenCreatedAt: now,
            previousTokens: [...refreshed.previous],
          }
        : {}),
    })
    .where(and(eq(apiKeys.id, key.id), eq(apiKeys.version, key.version)))
    .returning({ id: apiKeys.id });
  return { before, last };
}

/** The statements that delete a key: `last` deletes its own row, and returns a row if it did. */
export function keyDeleteStatements(db: Database, key: KeyRecord) {
  const unchanged = isKeyUnchanged(key);
  const before = [
    db.delete(organisationKeys).where(and(inOrganisations(key, key.organisationIds), unchanged)),
    db.delete(keyTokens).where(and(eq(keyTokens.keyId, key.id), unchanged)),
    db.delete(signedOutTokens).where(and(eq(signedOutTokens.keyId, key.id), unchanged)),
    db.delete(operatorEmails).where(and(hasOperatorEmail(key), unchanged)),
  ];
  const last = db
    .delete(apiKeys)
    .where(and(eq(apiKeys.id, key.id), eq(apiKeys.version, key.version)))
    .returning({ id: apiKeys.id });
  return { before, last };
}

function organisationChanges(db: Database, key: KeyRecord, next: KeySettings, now: number) {
  const unchanged = isKeyUnchanged(key);
  const gone = key.organisationIds.filter((id) => !next.organisationIds.includes(id));
  const added = next.organisationIds.filter((id) => !key.organisationIds.includes(id));
  return [
    ...(gone.length > 0
      ? [db.delete(organisationKeys).where(and(inOrganisations(key, gone), unchanged))]
      : []),
    ...(added.length > 0
      ? [
          db.insert(organisationKeys).select(
            sql`select value, ${key.id}, ${now}, null, ${Number(next.blocked)}
              from json_each(${JSON.stringify(added)}) where ${unchanged}`,
          ),
        ]
      : []),
    ...(next.blocked !== key.blocked
      ? [
          db
            .update(organisationKeys)
            .set({ blocked: next.blocked })
            .where(
              and(
                inOrganisations(key, next.organisationIds),
                ne(organisationKeys.blocked, next.blocked),
                unchanged,
              ),
            ),
        ]
      : []),
  ];
}

/** Deletes the tokens that have ended; the token that is replaced works until the end of its grace. */
function tokenChanges(db: Database, key: KeyRecord, refreshed: RefreshedToken, now: number) {
  const unchanged = isKeyUnchanged(key);
  const ofKey = and(eq(keyTokens.keyId, key.id), unchanged);
  const added = db
    .insert(keyTokens)
    .select(sql`select ${tokenDigest(refreshed.token)}, ${key.id}, null where ${unchanged}`);
  const replaced = refreshed.previous.at(-1);
  if (!replaced) return [db.delete(keyTokens).where(ofKey), added];
  return [
    db.delete(keyTokens).where(and(ofKey, lte(keyTokens.validUntil, now))),
    db
      .update(keyTokens)
      .set({ validUntil: replaced.until })
      .where(and(ofKey, isNull(keyTokens.validUntil))),
    added,
  ];
}

function operatorChanges(db: Database, key: KeyRecord, next: KeySettings) {
  const unchanged = isKeyUnchanged(key);
  const before = operatorEmailsOf(key);
  const after = operatorEmailsOf(next);
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  return [
    db.delete(operatorEmails).where(and(hasOperatorEmail(key), unchanged)),
    operatorEmailInsertion(db, sql`${key.id}`, next, unchanged),
  ];
}

function operatorEmailInsertion(
  db: Database,
  keyId: SQL,
  key: Pick<KeyRecord, "permissions" | "emails">,
  when: SQL,
) {
  return db
    .insert(operatorEmails)
    .select(
      sql`select value, ${keyId} from json_each(${JSON.stringify(operatorEmailsOf(key))}) where ${when}`,
    );
}

/** The addresses that may sign in as this key through Cloudflare Access. */
function operatorEmailsOf(key: Pick<KeyRecord, "permissions" | "emails">): string[] {
  const opens =
    key.permissions.includes(OPERATOR_SIGN_IN) || key.permissions.includes(ALL_PERMISSIONS);
  return opens ? [...new Set(key.emails.map((email) => email.toLowerCase()))] : [];
}

function hasOperatorEmail(key: KeyRecord): SQL {
  return sql`(email, key_id) in (select value, ${key.id} from json_each(${JSON.stringify(operatorEmailsOf(key))}))`;
}

function inOrganisations(key: KeyRecord, organisationIds: readonly number[]): SQL {
  return sql`(organisation_id, key_id) in
    (select value, ${key.id} from json_each(${JSON.stringify(organisationIds)}))`;
}

function expiringAt(expiresAt: number | null): number | null {
  return expiresAt === null ? null : expiresAt - EXPIRING_AHEAD_MS;
}
