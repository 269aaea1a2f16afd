/**
 * The D1 tables of organisations, their API keys and operators. Times are Unix milliseconds.
 * `docs/storage.md` describes every table, and `CONTRIBUTING.md` how to add one.
 */
import { sql } from "drizzle-orm";
import {
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";
import type { PreviousSecret } from "./webhooks";

/** From a moment on (Unix milliseconds), a day's events are spread over so many journals. */
export interface JournalCount {
  from: number;
  count: number;
}

/** A tenant. `deletedAt` hides it at once; the row stays until the sweep has removed its data. */
export const organisations = sqliteTable(
  "organisations",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    name: text("name").notNull(),
    createdAt: integer("created_at").notNull(),
    webhookSecretVersion: integer("webhook_secret_version").notNull().default(1),
    /** Rotated secrets that still sign, newest last. */
    previousWebhookSecrets: text("previous_webhook_secrets", { mode: "json" })
      .$type<PreviousSecret[]>()
      .notNull()
      .default([]),
    deletedAt: integer("deleted_at"),
    /** Changes of the number of journals of a day, oldest first. Before the first: one. */
    journalCounts: text("journal_counts", { mode: "json" })
      .$type<JournalCount[]>()
      .notNull()
      .default([]),
  },
  (t) => [
    // The sweep finds the deleted ones without reading the others.
    index("organisations_deleted").on(t.deletedAt).where(sql`deleted_at is not null`),
  ],
);

/**
 * An API key. `organisationIds` is a JSON array of numbers; the first is where it acts by default.
 * Keys change seldom, so that an index costs little here. Each index is for one query.
 */
export const apiKeys = sqliteTable(
  "api_keys",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    name: text("name").notNull(),
    organisationIds: text("organisation_ids", { mode: "json" }).$type<number[]>().notNull(),
    permissions: text("permissions", { mode: "json" }).$type<string[]>().notNull(),
    emails: text("emails", { mode: "json" }).$type<string[]>().notNull(),
    labels: text("labels", { mode: "json" }).$type<string[]>().notNull(),
    ipAllowlist: text("ip_allowlist", { mode: "json" }).$type<string[]>().notNull(),
    dnsName: text("dns_name"),
    blocked: integer("blocked", { mode: "boolean" }).notNull().default(false),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at"),
    expiresAt: integer("expires_at"),
    /** The first characters of the token, which are shown. */
    tokenShort: text("token_short").notNull(),
    tokenVersion: integer("token_version").notNull().default(1),
    tokenCreatedAt: integer("token_created_at").notNull(),
    /** Older versions of the token that still work, newest last. */
    previousTokens: text("previous_tokens", { mode: "json" })
      .$type<PreviousSecret[]>()
      .notNull()
      .default([]),
    /** Rises with every change. A change is written only over the version that it was decided on. */
    version: integer("version").notNull().default(1),
    /** When the sweep announces that the key will expire. Null: it has done so, or the key has no end. */
    expiringAt: integer("expiring_at"),
    /** The name in the form in which it is searched (`foldName`). */
    nameFolded: text("name_folded").notNull().default(""),
  },
  (t) => [
    uniqueIndex("api_keys_dns_name").on(t.dnsName).where(sql`dns_name is not null`),
    index("api_keys_token_short").on(t.tokenShort),
    index("api_keys_expiring").on(t.expiringAt).where(sql`expiring_at is not null`),
  ],
);

/** The digests of tokens that work: the current token of a key, and older ones in their grace. */
export const keyTokens = sqliteTable(
  "key_tokens",
  {
    digest: text("digest").primaryKey(),
    keyId: integer("key_id").notNull(),
    /** Null: this is the current token. A time: the token works until then. */
    validUntil: integer("valid_until"),
  },
  (t) => [index("key_tokens_key").on(t.keyId)],
);

/** Which keys belong to an organisation, and when each was last used in it. */
export const organisationKeys = sqliteTable(
  "organisation_keys",
  {
    organisationId: integer("organisation_id").notNull(),
    keyId: integer("key_id").notNull(),
    createdAt: integer("created_at").notNull(),
    lastUsedAt: integer("last_used_at"),
    /** A copy of the key's `blocked`, so that a list of the blocked keys is one range. */
    blocked: integer("blocked", { mode: "boolean" }).notNull().default(false),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.keyId] }),
    index("organisation_keys_blocked").on(t.organisationId, t.blocked),
  ],
);

/** Session tokens whose operator signed out before they expired. They are read together with the key. */
export const signedOutTokens = sqliteTable(
  "signed_out_tokens",
  {
    keyId: integer("key_id").notNull(),
    tokenId: text("token_id").notNull(),
    expiresAt: integer("expires_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.keyId, t.tokenId] }),
    index("signed_out_tokens_expiry").on(t.expiresAt),
  ],
);

/** Which e-mail address may sign in as which key: the addresses, in lower case, of keys with operator:sign-in. */
export const operatorEmails = sqliteTable(
  "operator_emails",
  {
    email: text("email").notNull(),
    keyId: integer("key_id").notNull(),
  },
  (t) => [primaryKey({ columns: [t.email, t.keyId] })],
);
