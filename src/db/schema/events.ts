/**
 * D1 tables: events and what no consumer could use. The migrations come from the files of this folder
 * (`npm run db:generate`), with WITHOUT ROWID added by hand to each table whose key is not a rowid: an
 * upsert then writes one row instead of two. Times are Unix milliseconds unless a name says otherwise.
 * Rows are clustered by their primary key in the order in which lists read them, so that a list needs
 * no index of its own.
 */
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** Events, once each. The id is a UUIDv7, so that the key is also the order of time. */
export const events = sqliteTable(
  "events",
  {
    organisationId: integer("organisation_id").notNull(),
    id: text("id").notNull(),
    type: text("type").notNull(),
    at: integer("at").notNull(),
    data: text("data").notNull(),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.id] })],
);

/**
 * Events of what lives in D1 that may not be on the queue yet: written with the change, removed once
 * they are sent. Event ids begin with their time, so the oldest are the first rows.
 */
export const owedEvents = sqliteTable("owed_events", {
  id: text("id").primaryKey(),
  organisationId: integer("organisation_id").notNull(),
});

/** Queue messages that nobody could use: unparseable, or out of retries. */
export const deadLetters = sqliteTable("dead_letters", {
  id: text("id").primaryKey(),
  queue: text("queue").notNull(),
  at: integer("at").notNull(),
  reason: text("reason").notNull(),
  body: text("body").notNull(),
});
