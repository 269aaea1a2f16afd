/**
 * D1 tables: connections and relay permissions. The migrations come from the files of this folder
 * (`npm run db:generate`), with WITHOUT ROWID added by hand to each table whose key is not a rowid: an
 * upsert then writes one row instead of two. Times are Unix milliseconds unless a name says otherwise.
 * Rows are clustered by their primary key in the order in which lists read them, so that a list needs
 * no index of its own.
 */
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** Connections: named endpoints of an organisation. */
export const connections = sqliteTable(
  "connections",
  {
    organisationId: integer("organisation_id").notNull(),
    connectionId: text("connection_id").notNull(),
    memo: text("memo").notNull(),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.connectionId] })],
);

/** How many connections an organisation has, kept so that a list counts nothing. */
export const connectionCounts = sqliteTable("connection_counts", {
  organisationId: integer("organisation_id").primaryKey(),
  registered: integer("registered").notNull(),
});

/**
 * Relay permissions, clustered as they are listed. The two indexes are lists as well, one range for
 * each filter in the order of the key, so that a page of a filtered list is read and not searched.
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
    /** Rises with every change: webhooks are not ordered. */
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
 * How many relay permissions there are, by direction and state: of an organisation (`all`, with an
 * empty id), of a connection as the local side, and of one as the remote side.
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
