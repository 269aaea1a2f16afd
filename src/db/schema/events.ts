/**
 * The D1 tables of the outbox, journals and dead letters. Times are Unix milliseconds.
 * `docs/storage.md` describes every table, and `CONTRIBUTING.md` how to add one.
 */
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/**
 * The outbox: events of changes in D1 that may not be in their journal yet. A row is written in the batch of
 * the change, and removed when the event is recorded. Ids begin with their time, so the first rows are the
 * oldest.
 */
export const owedEvents = sqliteTable("owed_events", {
  id: text("id").primaryKey(),
  organisationId: integer("organisation_id").notNull(),
  type: text("type").notNull(),
  at: integer("at").notNull(),
  data: text("data").notNull(),
});

/** Which journals exist: what happened in an organisation on a UTC day is in one or several of them. */
export const journals = sqliteTable(
  "journals",
  {
    organisationId: integer("organisation_id").notNull(),
    /** Whole days since 1970-01-01 UTC. */
    day: integer("day").notNull(),
    number: integer("number").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.day, t.number] }),
    // Retention finds the oldest ones of all organisations.
    index("journals_by_day").on(t.day),
  ],
);

/** Queue messages that no consumer could use: they could not be read, or had no retries left. */
export const deadLetters = sqliteTable(
  "dead_letters",
  {
    id: text("id").primaryKey(),
    queue: text("queue").notNull(),
    at: integer("at").notNull(),
    reason: text("reason").notNull(),
    body: text("body").notNull(),
  },
  (t) => [index("dead_letters_by_age").on(t.at)],
);
