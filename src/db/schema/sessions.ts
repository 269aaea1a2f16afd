/**
 * D1 tables: the read model of sessions. The migrations come from the files of this folder
 * (`npm run db:generate`), with WITHOUT ROWID added by hand to each table whose key is not a rowid: an
 * upsert then writes one row instead of two. Times are Unix milliseconds unless a name says otherwise.
 * Rows are clustered by their primary key in the order in which lists read them, so that a list needs
 * no index of its own.
 */
import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/**
 * The read model of sessions. Clustered as (organisation, kind, ended, created, id): the live ones of
 * an organisation are one range in the order of its list, its ended ones another in the order of
 * retention. Ending a session moves its row, and costs one row like any other change.
 */
export const sessions = sqliteTable(
  "sessions",
  {
    organisationId: integer("organisation_id").notNull(),
    kind: text("kind").$type<"relay" | "source">().notNull(),
    /** 0: it lives; 1: it expired; 2: it failed. */
    ended: integer("ended").$type<0 | 1 | 2>().notNull(),
    createdAt: integer("created_at").notNull(),
    id: text("id").notNull(),
    endedAt: integer("ended_at"),
    /** Of the session's state that this row shows: a lower one never overwrites a higher one. */
    version: integer("version").notNull(),
    /** All events up to this version are on the queue: the object's outbox is drained to here. */
    announced: integer("announced").notNull(),
    /** When the sweep has to look at it; null when nothing is owed any more. */
    sweepAt: integer("sweep_at"),
    /** The session's state as JSON; it holds no token (they are derived). */
    state: text("state").notNull(),
    /** What source sessions are looked up by; null in relay sessions, which then cost no index entry. */
    keyId: integer("key_id"),
    userId: integer("user_id"),
    sourceId: integer("source_id"),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.kind, t.ended, t.createdAt, t.id] }),
    index("sessions_sweep").on(t.sweepAt).where(sql`sweep_at is not null`),
    // Each filter of the list of source sessions, in the order of the list, per way of having ended.
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
  ],
);

/** How many sessions there are, kept by the projection so that a list counts nothing. */
export const sessionCounts = sqliteTable(
  "session_counts",
  {
    organisationId: integer("organisation_id").notNull(),
    kind: text("kind").notNull(),
    live: integer("live").notNull(),
    /** The ended ones too. Kept for source sessions only: their list shows both. */
    total: integer("total").notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.kind] })],
);

/** Join codes of live sessions, by keyed digest. */
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
 * Which live sessions have users with a connection: whom to tell when its permissions change.
 * Written with the session's projection; a session without connections has no row here.
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
 * Which live relay sessions have users with a device: whom to tell when it is revoked. Written with
 * the session's projection; a session without devices has no row here.
 */
export const sessionDevices = sqliteTable(
  "session_devices",
  {
    organisationId: integer("organisation_id").notNull(),
    sessionId: text("session_id").notNull(),
    deviceId: text("device_id").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.sessionId, t.deviceId] }),
    index("session_devices_by_device").on(t.organisationId, t.deviceId),
  ],
);
