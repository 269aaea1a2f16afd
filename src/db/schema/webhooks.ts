/**
 * The D1 tables of webhook endpoints and recoveries. Times are Unix milliseconds.
 * `docs/storage.md` describes every table, and `CONTRIBUTING.md` how to add one.
 */
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** An older version of a secret or token that still works. */
export interface PreviousSecret {
  version: number;
  /** It works before this time, and no longer from then on. */
  until: number;
}

/** The addresses to which an organisation's events are sent. */
export const webhookEndpoints = sqliteTable(
  "webhook_endpoints",
  {
    organisationId: integer("organisation_id").notNull(),
    id: text("id").notNull(),
    url: text("url").notNull(),
    format: text("format").$type<"standard" | "ricloud">().notNull(),
    enabled: integer("enabled", { mode: "boolean" }).notNull(),
    /** Whether the last test delivery arrived. Null: no test has ended yet. */
    valid: integer("valid", { mode: "boolean" }),
    secretVersion: integer("secret_version").notNull().default(1),
    /** Older secrets that still sign, newest last. */
    previousSecrets: text("previous_secrets", { mode: "json" })
      .$type<PreviousSecret[]>()
      .notNull()
      .default([]),
    description: text("description").notNull().default(""),
    /** Names of events, or patterns such as `device.*`. Null: all. */
    eventTypes: text("event_types", { mode: "json" }).$type<string[]>(),
    /** Why Drawbridge disabled it: the receiver answered 410, or nothing arrived for days. */
    disabledReason: text("disabled_reason").$type<"gone" | "failing">(),
    /** When the first delivery failed since one arrived. Null while deliveries arrive: that costs no write. */
    failingSince: integer("failing_since"),
    /** Rises with every change that is an event. */
    version: integer("version").notNull().default(1),
    /** The origin at which the API was called to create it: no webhook is sent to that host. */
    origin: text("origin").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.id] })],
);

/** Recoveries: background work that sends again, page after page, what did not arrive at an endpoint. */
export const webhookRecoveries = sqliteTable(
  "webhook_recoveries",
  {
    organisationId: integer("organisation_id").notNull(),
    id: text("id").notNull(),
    endpointId: text("endpoint_id").notNull(),
    since: integer("since").notNull(),
    until: integer("until").notNull(),
    /** The place up to which it is done: see `recovery-place.ts`. Null: the first page is still to come. */
    reached: text("reached"),
    /** How many deliveries were sent again. It is too low if a Worker died between sending a page and noting it. */
    resent: integer("resent").notNull().default(0),
    createdAt: integer("created_at").notNull(),
    finishedAt: integer("finished_at"),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.id] }),
    // Retention finds the oldest ones of all organisations.
    index("webhook_recoveries_by_age").on(t.createdAt),
  ],
);
