/**
 * The D1 tables of applications, devices and pairing. Times are Unix milliseconds.
 * `docs/storage.md` describes every table, and `CONTRIBUTING.md` how to add one.
 */
import { sql } from "drizzle-orm";
import {
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";

/** The applications with which devices pair. */
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
 * Pairing requests. Clustered as (status, application, id), with ids in the order of time. The pending
 * requests of an application are one range. It is short, because their number is limited, so those of one
 * device or address are counted in it without an index. Ending a request moves its row. The first index is for
 * the list of all requests of an organisation, whatever the number of its applications. The other two are for
 * the sweep: pending requests when they are due, and ended ones in the order of their age.
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
    /** The address bucket of the client, by which limits count. The address itself is in `requested`. */
    addressBucket: text("remote_ip").notNull(),
    expiresAt: integer("expires_at").notNull(),
    /** A random value of the call that ended the request: the rest of its batch works only where this value is stored. */
    claim: text("claim"),
    /** What the device requests, as JSON. It never changes. */
    requested: text("asked").notNull(),
    /** How the request ended, as JSON. Null while it is pending. */
    outcome: text("outcome"),
    /**
     * When the sweep looks at the pending request: when its time is over, or before. A refresh leaves it as it
     * is, so that it costs no index entry; the sweep then moves it on. 0: at once.
     */
    sweepAt: integer("sweep_at").notNull().default(0),
  },
  (t) => [
    primaryKey({ columns: [t.status, t.applicationId, t.id] }),
    index("pairing_requests_by_organisation").on(t.organisationId, t.status, t.id),
    index("pairing_requests_due").on(t.sweepAt).where(sql`status = 'pending'`),
    index("pairing_requests_by_age").on(t.status, t.id).where(sql`status <> 'pending'`),
  ],
);

/**
 * Devices, clustered as they are listed. Removed ones are apart from the others, and stay until retention
 * ends. `state` is the device as JSON: it has the digests of its tokens, and no token.
 */
export const devices = sqliteTable(
  "devices",
  {
    applicationId: text("application_id").notNull(),
    removed: integer("removed", { mode: "boolean" }).notNull(),
    createdAt: integer("created_at").notNull(),
    id: text("id").notNull(),
    /** The version of the state. A change is written only over the version that it was decided on. */
    version: integer("version").notNull(),
    lastSeenAt: integer("last_seen_at"),
    state: text("state").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.applicationId, t.removed, t.createdAt, t.id] }),
    // The id comes first: a relay session knows only the ids of its users' devices.
    uniqueIndex("devices_by_id").on(t.id, t.applicationId),
    // Retention finds the devices of all applications that were removed long ago.
    index("devices_removed").on(sql`state ->> 'removedAt'`).where(sql`removed = 1`),
  ],
);

/** Which device and role a device token belongs to. Whether it is valid is in the device's state. */
export const deviceTokens = sqliteTable("device_tokens", {
  digest: text("digest").primaryKey(),
  applicationId: text("application_id").notNull(),
  deviceId: text("device_id").notNull(),
  role: text("role").notNull(),
});

/** Setup codes that can still be used, by keyed digest. A code is deleted when it is used, and lives ten minutes at most. */
export const setupCodes = sqliteTable(
  "setup_codes",
  {
    digest: text("digest").primaryKey(),
    expiresAt: integer("expires_at").notNull(),
    keyId: integer("key_id").notNull(),
    role: text("role").notNull(),
    scopes: text("scopes", { mode: "json" }).$type<string[]>().notNull(),
  },
  (t) => [index("setup_codes_expiry").on(t.expiresAt)],
);
