/**
 * D1 tables: organisations, their API keys and operators. The migrations come from the files of this folder
 * (`npm run db:generate`), with WITHOUT ROWID added by hand to each table whose key is not a rowid: an
 * upsert then writes one row instead of two. Times are Unix milliseconds unless a name says otherwise.
 * Rows are clustered by their primary key in the order in which lists read them, so that a list needs
 * no index of its own.
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

/** A tenant. Kept until its data is swept: `deletedAt` hides it at once. */
export const organisations = sqliteTable("organisations", {
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
});

/**
 * An API key. `organisationIds` is a JSON array of numbers; the first is where it acts by default.
 * Keys change seldom, so that here an index costs little; each is for one question.
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
    /** Shown part of the token (its first characters), and when and in which version it was made. */
    tokenShort: text("token_short").notNull(),
    tokenVersion: integer("token_version").notNull().default(1),
    tokenCreatedAt: integer("token_created_at").notNull(),
    /** Versions of the token before the current one that still work, newest last. */
    previousTokens: text("previous_tokens", { mode: "json" })
      .$type<PreviousSecret[]>()
      .notNull()
      .default([]),
    /** Rises with every change: what was decided on another version is not written. */
    version: integer("version").notNull().default(1),
    /** When the sweep announces that the key expires; null when it has, or there is no end. */
    expiringAt: integer("expiring_at"),
    /** The name as it is searched. */
    nameFolded: text("name_folded").notNull().default(""),
  },
  (t) => [
    uniqueIndex("api_keys_dns_name").on(t.dnsName).where(sql`dns_name is not null`),
    index("api_keys_token_short").on(t.tokenShort),
    index("api_keys_expiring").on(t.expiringAt).where(sql`expiring_at is not null`),
  ],
);

/** Digests that authenticate a key: its token, and after refreshes with grace those before. */
export const keyTokens = sqliteTable(
  "key_tokens",
  {
    digest: text("digest").primaryKey(),
    keyId: integer("key_id").notNull(),
    /** `null`: current. A time: works until then. */
    validUntil: integer("valid_until"),
  },
  (t) => [index("key_tokens_key").on(t.keyId)],
);

/** Which keys an organisation has: the list of keys of an organisation, and their use in it. */
export const organisationKeys = sqliteTable(
  "organisation_keys",
  {
    organisationId: integer("organisation_id").notNull(),
    keyId: integer("key_id").notNull(),
    createdAt: integer("created_at").notNull(),
    lastUsedAt: integer("last_used_at"),
    /** As the key has it: a list of the blocked ones is a range as well. */
    blocked: integer("blocked", { mode: "boolean" }).notNull().default(false),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.keyId] }),
    index("organisation_keys_blocked").on(t.organisationId, t.blocked),
  ],
);

/** Session tokens whose operator has signed out before their end: read together with the key. */
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

/** Who may sign in as which key by their address: the emails, in lower case, of keys that let operators in. */
export const operatorEmails = sqliteTable(
  "operator_emails",
  {
    email: text("email").notNull(),
    keyId: integer("key_id").notNull(),
  },
  (t) => [primaryKey({ columns: [t.email, t.keyId] })],
);
