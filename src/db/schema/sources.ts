/**
 * The D1 tables of users, sources and connectors. Times are Unix milliseconds.
 * `docs/storage.md` describes every table, and `CONTRIBUTING.md` how to add one.
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

/** The users of an organisation, to whom sources belong. Ids count up in each organisation. */
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
 * Accounts at third parties. Ids count up in each organisation. Each filter of the list has an index: a
 * source is created once and used for a long time.
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
    /** When the session began that `state` comes from. An older session never overwrites it. */
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

/** The services that check access to sources: one for each organisation and type. Their secret is derived. */
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
    /** Rises with every change. It begins with the time of creation, so that a connector that is deleted and
     * created again has a higher version than before. */
    version: integer("version").notNull().default(0),
    /** Rises with every rotation. It begins with the time of creation, so that a connector that is deleted and
     * created again has another secret than before. */
    secretVersion: integer("secret_version").notNull().default(0),
    /** Older secrets that still sign, newest last. */
    previousSecrets: text("previous_secrets", { mode: "json" })
      .$type<PreviousSecret[]>()
      .notNull()
      .default([]),
    /** When its answer could last not be used, and why, in our own words. Null: never. */
    lastFailureAt: integer("last_failure_at"),
    lastFailureReason: text("last_failure_reason"),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.type] })],
);
