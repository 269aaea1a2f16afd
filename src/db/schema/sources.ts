/**
 * D1 tables: users, sources and connectors. The migrations come from the files of this folder
 * (`npm run db:generate`), with WITHOUT ROWID added by hand to each table whose key is not a rowid: an
 * upsert then writes one row instead of two. Times are Unix milliseconds unless a name says otherwise.
 * Rows are clustered by their primary key in the order in which lists read them, so that a list needs
 * no index of its own.
 */
import {
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";
import type { PreviousSecret } from "./webhooks";

/** People or accounts at an organisation, to whom sources belong. Ids count up per organisation. */
export const users = sqliteTable(
  "users",
  {
    organisationId: integer("organisation_id").notNull(),
    id: integer("id").notNull(),
    identifier: text("identifier").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.id] }),
    uniqueIndex("users_identifier").on(t.organisationId, t.identifier),
  ],
);

/**
 * Third-party accounts. Ids count up per organisation. Each filter of their list has an index: a
 * source is made once and used for long.
 */
export const sources = sqliteTable(
  "sources",
  {
    organisationId: integer("organisation_id").notNull(),
    id: integer("id").notNull(),
    userId: integer("user_id").notNull(),
    type: text("type").notNull(),
    identifier: text("identifier").notNull(),
    state: text("state")
      .$type<"unvalidated" | "active" | "deactivated" | "blocked" | "locked">()
      .notNull(),
    /** When the session was made that `state` comes from: an older one never overwrites it. */
    stateAt: integer("state_at").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.id] }),
    uniqueIndex("sources_identity").on(t.organisationId, t.identifier, t.type, t.userId),
    index("sources_by_user").on(t.organisationId, t.userId, t.id),
    index("sources_by_type").on(t.organisationId, t.type, t.id),
    index("sources_by_state").on(t.organisationId, t.state, t.id),
  ],
);

/** The adapters that verify access to sources, one per organisation and type. Their secret is derived. */
export const connectors = sqliteTable(
  "connectors",
  {
    organisationId: integer("organisation_id").notNull(),
    type: text("type").notNull(),
    url: text("url").notNull(),
    timeoutSeconds: integer("timeout_seconds").notNull(),
    checkIntervalSeconds: integer("check_interval_seconds"),
    sessionTtlSeconds: integer("session_ttl_seconds").notNull(),
    idleSeconds: integer("idle_seconds").notNull(),
    createdAt: integer("created_at").notNull(),
    /** Rises with every change, from the time of creation: one that is made again is later than before. */
    version: integer("version").notNull().default(0),
    /** Rises with every rotation, from the time of creation: one that is made again has another secret. */
    secretVersion: integer("secret_version").notNull().default(0),
    /** Rotated secrets that still sign, newest last. */
    previousSecrets: text("previous_secrets", { mode: "json" })
      .$type<PreviousSecret[]>()
      .notNull()
      .default([]),
    /** When its answer could not be taken, and why, in our own words; null: never. */
    lastFailureAt: integer("last_failure_at"),
    lastFailureReason: text("last_failure_reason"),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.type] })],
);
