/**
 * D1 tables: webhook endpoints, deliveries and recoveries. The migrations come from the files of this folder
 * (`npm run db:generate`), with WITHOUT ROWID added by hand to each table whose key is not a rowid: an
 * upsert then writes one row instead of two. Times are Unix milliseconds unless a name says otherwise.
 * Rows are clustered by their primary key in the order in which lists read them, so that a list needs
 * no index of its own.
 */
import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** A rotated secret that still signs. */
export interface PreviousSecret {
  version: number;
  /** Unix milliseconds; it signs before, and not from then on. */
  until: number;
}

/** One event owed to one address. The id begins with the event's, so it sorts by time as well. */
export const deliveries = sqliteTable(
  "deliveries",
  {
    organisationId: integer("organisation_id").notNull(),
    id: text("id").notNull(),
    eventId: text("event_id").notNull(),
    eventType: text("event_type").notNull(),
    format: text("format").$type<"relay-session" | "standard" | "ricloud">().notNull(),
    url: text("url").notNull(),
    status: text("status").$type<"pending" | "delivered" | "failed" | "discarded">().notNull(),
    /** JSON array of attempts, oldest first. */
    attempts: text("attempts").notNull(),
    /** How many attempts of the schedule were made: what a queue message asks for is checked against it. */
    attemptCount: integer("attempt_count").notNull(),
    nextAttemptAt: integer("next_attempt_at"),
    /** The webhook endpoint it is owed to, whose address then counts; null: just to `url`. */
    endpointId: text("endpoint_id"),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.id] }),
    // What did not arrive, to be found by people and sent again. What arrives costs no entry here.
    index("deliveries_undelivered")
      .on(t.organisationId, t.id)
      .where(sql`status in ('failed', 'discarded')`),
  ],
);

/** Who wants to hear of an organisation's events. */
export const webhookEndpoints = sqliteTable(
  "webhook_endpoints",
  {
    organisationId: integer("organisation_id").notNull(),
    id: text("id").notNull(),
    url: text("url").notNull(),
    format: text("format").$type<"standard" | "ricloud">().notNull(),
    enabled: integer("enabled", { mode: "boolean" }).notNull(),
    /** What the last test delivery found; null: none has come back yet. */
    valid: integer("valid", { mode: "boolean" }),
    secretVersion: integer("secret_version").notNull().default(1),
    /** Rotated secrets that still sign, newest last. */
    previousSecrets: text("previous_secrets", { mode: "json" })
      .$type<PreviousSecret[]>()
      .notNull()
      .default([]),
    description: text("description").notNull().default(""),
    /** Names, or beginnings of names such as `device.*`; null: all. */
    eventTypes: text("event_types", { mode: "json" }).$type<string[]>(),
    /** Why we have disabled it: its receiver said 410, or nothing arrived for days. */
    disabledReason: text("disabled_reason").$type<"gone" | "failing">(),
    /** The first failure since something arrived; null while all is well, which then costs no row. */
    failingSince: integer("failing_since"),
    /** Rises with every change that is an event. */
    version: integer("version").notNull().default(1),
    /** Where the API was called when it was made: its own host gets no webhooks. */
    origin: text("origin").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.id] })],
);

/** Work that sends again what did not reach an endpoint, page after page. */
export const webhookRecoveries = sqliteTable(
  "webhook_recoveries",
  {
    organisationId: integer("organisation_id").notNull(),
    id: text("id").notNull(),
    endpointId: text("endpoint_id").notNull(),
    since: integer("since").notNull(),
    until: integer("until").notNull(),
    /** The last delivery that was looked at; null before the first page. */
    reached: text("reached"),
    /** Too low by what a page sent whose note was lost: what arrived then is not found again. */
    resent: integer("resent").notNull().default(0),
    createdAt: integer("created_at").notNull(),
    finishedAt: integer("finished_at"),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.id] })],
);
