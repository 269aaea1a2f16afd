/**
 * The statements that make, change and delete keys. Each is for a batch in which the key's own row
 * comes last and the others carry the same condition, `isKeyUnchanged`: all of them happen, or none.
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

/** A key that expires is announced so long ahead. */
const EXPIRING_AHEAD_MS = 7 * 86_400_000;

/** What a new key is made of. */
export interface NewKey extends Partial<Omit<KeySettings, "organisationIds">> {
  name: string;
  /** The organisations it acts in, or an SQL expression for the JSON array of them. */
  organisationIds: readonly number[] | SQL;
  permissions: readonly string[];
}

/** A refreshed key's token, and the versions before that still work (see `tokensAfterRefresh`). */
export interface RefreshedToken {
  token: string;
  previous: readonly PreviousSecret[];
}

/**
 * The statements that store a new key, for a batch: the key, its token, its organisations, who may sign
 * in as it. The first returns the key's id and the version of its token.
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
  // Tables without rowid leave last_insert_rowid() alone: it stays the key's id in what follows.
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

/** The condition that a key is still as it was read. */
export function isKeyUnchanged(key: KeyRecord): SQL {
  return sql`exists (select 1 from ${apiKeys} where id = ${key.id} and version = ${key.version})`;
}

/** The statements around a change, and the last, which makes it: it returns a row if it did. */
export function keyUpdateStatements(
  db: Database,
  key: KeyRecord,
  next: KeySettings,
  renewed: RefreshedToken | null,
  now: number,
) {
  const unchanged = isKeyUnchanged(key);
  const around = [
    ...organisationChanges(db, key, next, unchanged, now),
    ...(renewed ? tokenChanges(db, key, renewed, now) : []),
    ...operatorChanges(db, key, next, unchanged),
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
      // Naming an indexed column writes its index entry, even where it stays the same.
      ...(next.dnsName === key.dnsName ? {} : { dnsName: next.dnsName }),
      ...(next.expiresAt === key.expiresAt
        ? {}
        : { expiresAt: next.expiresAt, expiringAt: expiringAt(next.expiresAt) }),
      ...(renewed
        ? {
            tokenShort: tokenShort(renewed.token),
            tokenVersion: key.tokenVersion + 1,
            tokenCreatedAt: now,
            previousTokens: [...renewed.previous],
          }
        : {}),
    })
    .where(and(eq(apiKeys.id, key.id), eq(apiKeys.version, key.version)))
    .returning({ id: apiKeys.id });
  return { around, last };
}

/** The statements around the deletion of a key, and the last, which makes it: it returns a row if it did. */
export function keyDeleteStatements(db: Database, key: KeyRecord) {
  const unchanged = isKeyUnchanged(key);
  const around = [
    db.delete(organisationKeys).where(and(inOrganisations(key, key.organisationIds), unchanged)),
    db.delete(keyTokens).where(and(eq(keyTokens.keyId, key.id), unchanged)),
    db.delete(signedOutTokens).where(and(eq(signedOutTokens.keyId, key.id), unchanged)),
    db.delete(operatorEmails).where(and(hasOperatorEmail(key), unchanged)),
  ];
  const last = db
    .delete(apiKeys)
    .where(and(eq(apiKeys.id, key.id), eq(apiKeys.version, key.version)))
    .returning({ id: apiKeys.id });
  return { around, last };
}

function organisationChanges(
  db: Database,
  key: KeyRecord,
  next: KeySettings,
  unchanged: SQL,
  now: number,
) {
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

/** The tokens that are over go; the one that is replaced works until the end of its grace. */
function tokenChanges(db: Database, key: KeyRecord, renewed: RefreshedToken, now: number) {
  const unchanged = isKeyUnchanged(key);
  const ofKey = and(eq(keyTokens.keyId, key.id), unchanged);
  const added = db
    .insert(keyTokens)
    .select(sql`select ${tokenDigest(renewed.token)}, ${key.id}, null where ${unchanged}`);
  const replaced = renewed.previous.at(-1);
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

function operatorChanges(db: Database, key: KeyRecord, next: KeySettings, unchanged: SQL) {
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

/** Who may sign in as this key through Cloudflare Access. */
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
