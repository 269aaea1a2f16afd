/**
 * The D1 tables of events, the outbox and dead letters. Times are Unix milliseconds.
 * `docs/storage.md` describes every table, and `CONTRIBUTING.md` how to add one.
 */
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** Events, each once. The id is a UUIDv7, so that the key is in the order of time. */
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
 * The outbox: events that may not be on the queue yet. A row is written in the batch of the change, and
 * removed when the event is sent. Ids begin with their time, so the first rows are the oldest.
 */
export const owedEvents = sqliteTable("owed_events", {
  id: text("id").primaryKey(),
  organisationId: integer("organisation_id").notNull(),
});

/** Queue messages that no consumer could use: they could not be read, or had no retries left. */
export const deadLetters = sqliteTable("dead_letters", {
  id: text("id").primaryKey(),
  queue: text("queue").notNull(),
  at: integer("at").notNull(),
  reason: text("reason").notNull(),
  body: text("body").notNull(),
});
