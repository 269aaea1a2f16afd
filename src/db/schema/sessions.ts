/**
 * The D1 tables of the read model of sessions. Times are Unix milliseconds.
 * `docs/storage.md` describes every table, and `CONTRIBUTING.md` how to add one.
 */
import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/**
 * The read model of sessions. Clustered as (kind, ended, organisation, created, id): the live sessions of an
 * organisation are one range in the order of its list. The relay sessions of all organisations that ended in
 * the same ten minutes are one range too, so the sweep finds them without an index. Ending a session moves its
 * row, which costs one row like any other change.
 */
export const sessions = sqliteTable(
  "sessions",
  {
    organisationId: integer("organisation_id").notNull(),
    kind: text("kind").$type<"relay" | "source">().notNull(),
    /** 0: it is live. Else how or when it ended: `Ended` in `session/session-key.ts`. */
    ended: integer("ended").notNull(),
    createdAt: integer("created_at").notNull(),
    id: text("id").notNull(),
    endedAt: integer("ended_at"),
    /** The version of the state that this row shows. A lower version never overwrites a higher one. */
    version: integer("version").notNull(),
    /** All events up to this version are recorded in a journal. */
    announced: integer("announced").notNull(),
    /** When the sweep has to look at the session. Null: there is nothing left to do. */
    sweepAt: integer("sweep_at"),
    /** The session's state as JSON. It has no token in it: tokens are derived. */
    state: text("state").notNull(),
    /** The filters of source sessions. Null in relay sessions, so that these cost no index entries. */
    keyId: integer("key_id"),
    userId: integer("user_id"),
    sourceId: integer("source_id"),
    /** When a source session that has ended was last used. Null: never; or it is live, then its object knows. */
    usedAt: integer("used_at"),
  },
  (t) => [
    primaryKey({ columns: [t.kind, t.ended, t.organisationId, t.createdAt, t.id] }),
    index("sessions_sweep").on(t.sweepAt).where(sql`sweep_at is not null`),
    // One index for each filter of the list of source sessions, in the order of the list for each `ended`.
    index("sessions_by_key")
      .on(t.organisationId, t.keyId, t.ended, t.createdAt, t.id)
      .where(sql`key_id is not null`),
    index("sessions_by_user")
      .on(t.organisationId, t.userId, t.ended, t.createdAt, t.id)
      .where(sql`user_id is not null`),
    index("sessions_by_source")
      .on(t.organisationId, t.sourceId, t.ended, t.createdAt, t.id)
      .where(sql`source_id is not null`),
    index("sessions_by_end")
      .on(t.organisationId, t.endedAt)
      .where(sql`source_id is not null and ended = 1`),
    // Retention finds the ended source sessions of all organisations that are too old.
    index("sessions_by_age").on(t.endedAt).where(sql`source_id is not null and ended > 0`),
    // An ended source session is found by its id alone: its object is gone.
    index("sessions_ended_by_id").on(t.id).where(sql`source_id is not null and ended > 0`),
  ],
);

/** The numbers of sessions. The projection keeps them, so that a list does not count rows. */
export const sessionCounts = sqliteTable(
  "session_counts",
  {
    organisationId: integer("organisation_id").notNull(),
    kind: text("kind").notNull(),
    live: integer("live").notNull(),
    /** Live and ended ones. Kept only for source sessions, because their list shows both. */
    total: integer("total").notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.kind] })],
);

/** The join codes of live sessions, by keyed digest. */
export const joinCodes = sqliteTable(
  "join_codes",
  {
    digest: text("digest").primaryKey(),
    sessionId: text("session_id").notNull(),
    organisationId: integer("organisation_id").notNull(),
    expiresAt: integer("expires_at").notNull(),
  },
  (t) => [index("join_codes_expiry").on(t.expiresAt)],
);

/**
 * Which live sessions have users with a connection: these are told when its permissions change. Written
 * with the session's projection. A session without connections has no row here.
 */
export const sessionConnections = sqliteTable(
  "session_connections",
  {
    organisationId: integer("organisation_id").notNull(),
    sessionId: text("session_id").notNull(),
    connectionId: text("connection_id").notNull(),
    /** The connection was deleted after the session began: its users are revoked. */
    deleted: integer("cut", { mode: "boolean" }).notNull().default(false),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.sessionId, t.connectionId] }),
    index("session_connections_by_connection").on(t.organisationId, t.connectionId),
  ],
);

/**
 * Which live relay sessions have users with a device: these are told when it is revoked. Written with the
 * session's projection. A session without devices has no row here.
 */
export const sessionDevices = sqliteTable(
  "session_devices",
  {
    organisationId: integer("organisation_id").notNull(),
    sessionId: text("session_id").notNull(),
    deviceId: text("device_id").notNull(),
    /** When the session was created: with it, the session's row is found by its key. */
    createdAt: integer("created_at").notNull().default(0),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.sessionId, t.deviceId] }),
    index("session_devices_by_device").on(t.organisationId, t.deviceId, t.createdAt, t.sessionId),
  ],
);
