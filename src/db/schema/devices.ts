/**
 * D1 tables: applications, devices and pairing. The migrations come from the files of this folder
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

/** What devices pair with. */
export const applications = sqliteTable(
  "applications",
  {
    id: text("id").primaryKey(),
    organisationId: integer("organisation_id").notNull(),
    name: text("name").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("applications_by_organisation").on(t.organisationId, t.createdAt)],
);

/**
 * Pairing requests. Clustered as (status, application, id), ids in the order of time: the pending ones
 * of an application are one range, few by its caps, in which a device's or an address's are counted
 * without an index; the pending ones of all are one range for the sweep. Ending one moves its row.
 */
export const pairingRequests = sqliteTable(
  "pairing_requests",
  {
    status: text("status")
      .$type<"pending" | "approved" | "rejected" | "expired" | "superseded">()
      .notNull(),
    applicationId: text("application_id").notNull(),
    id: text("id").notNull(),
    organisationId: integer("organisation_id").notNull(),
    deviceId: text("device_id").notNull(),
    /** What the caps count the client's address as; the address itself is in `asked`. */
    addressBucket: text("remote_ip").notNull(),
    expiresAt: integer("expires_at").notNull(),
    /** Drawn by whoever ended it: the rest of that batch does its work only where it is there. */
    claim: text("claim"),
    /** What is asked for, as JSON; never changes. */
    asked: text("asked").notNull(),
    /** How it ended, as JSON; null while it is pending. */
    outcome: text("outcome"),
  },
  (t) => [primaryKey({ columns: [t.status, t.applicationId, t.id] })],
);

/**
 * Devices, clustered as they are listed; removed ones apart, until retention. `state` is the device as
 * JSON: it holds digests of its tokens, and no token.
 */
export const devices = sqliteTable(
  "devices",
  {
    applicationId: text("application_id").notNull(),
    removed: integer("removed", { mode: "boolean" }).notNull(),
    createdAt: integer("created_at").notNull(),
    id: text("id").notNull(),
    /** Of the state: a change is written only over the version that it was made from. */
    version: integer("version").notNull(),
    lastSeenAt: integer("last_seen_at"),
    state: text("state").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.applicationId, t.removed, t.createdAt, t.id] }),
    // The id first: a relay session knows its users' devices by id alone.
    uniqueIndex("devices_by_id").on(t.id, t.applicationId),
  ],
);

/** Where a device token leads. What it is worth is in the device's state. */
export const deviceTokens = sqliteTable("device_tokens", {
  digest: text("digest").primaryKey(),
  applicationId: text("application_id").notNull(),
  deviceId: text("device_id").notNull(),
  role: text("role").notNull(),
});

/** Setup codes that are out, by keyed digest. A used one is gone; they live ten minutes at most. */
export const setupCodes = sqliteTable("setup_codes", {
  digest: text("digest").primaryKey(),
  expiresAt: integer("expires_at").notNull(),
  keyId: integer("key_id").notNull(),
  role: text("role").notNull(),
  scopes: text("scopes", { mode: "json" }).$type<string[]>().notNull(),
});
