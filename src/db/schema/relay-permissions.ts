/**
 * The D1 tables of connections and relay permissions. Times are Unix milliseconds.
 * `docs/storage.md` describes every table, and `CONTRIBUTING.md` how to add one.
 */
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** Connections: names that an organisation registers. */
export const connections = sqliteTable(
  "connections",
  {
    organisationId: integer("organisation_id").notNull(),
    connectionId: text("connection_id").notNull(),
    memo: text("memo").notNull(),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.connectionId] })],
);

/** How many connections an organisation has, so that a list does not count them. */
export const connectionCounts = sqliteTable("connection_counts", {
  organisationId: integer("organisation_id").primaryKey(),
  registered: integer("registered").notNull(),
});

/**
 * Relay permissions, clustered as they are listed. In the two indexes, the rows of each filter are one
 * range in the order of the list: so a page of a filtered list reads only its own rows.
 */
export const relayPermissions = sqliteTable(
  "relay_permissions",
  {
    organisationId: integer("organisation_id").notNull(),
    connectionId: text("connection_id").notNull(),
    remoteConnectionId: text("remote_connection_id").notNull(),
    direction: text("direction").$type<"send" | "receive">().notNull(),
    enabled: integer("enabled", { mode: "boolean" }).notNull(),
    memo: text("memo").notNull(),
    /** Rises with every change: webhooks can arrive in any order, and receivers compare versions. */
    version: integer("version").notNull().default(1),
  },
  (t) => [
    primaryKey({
      columns: [t.organisationId, t.connectionId, t.remoteConnectionId, t.direction],
    }),
    index("relay_permissions_by_state").on(
      t.organisationId,
      t.direction,
      t.enabled,
      t.connectionId,
      t.remoteConnectionId,
    ),
    index("relay_permissions_by_remote").on(
      t.organisationId,
      t.remoteConnectionId,
      t.direction,
      t.enabled,
      t.connectionId,
    ),
  ],
);

/**
 * The numbers of relay permissions by direction and state: of an organisation (`all`, with an empty id), of
 * a connection as the local side, and of a connection as the remote side.
 */
export const relayPermissionCounts = sqliteTable(
  "relay_permission_counts",
  {
    organisationId: integer("organisation_id").notNull(),
    side: text("side").$type<"all" | "local" | "remote">().notNull(),
    connectionId: text("connection_id").notNull(),
    sendEnabled: integer("send_enabled").notNull().default(0),
    sendDisabled: integer("send_disabled").notNull().default(0),
    receiveEnabled: integer("receive_enabled").notNull().default(0),
    receiveDisabled: integer("receive_disabled").notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.side, t.connectionId] })],
);
