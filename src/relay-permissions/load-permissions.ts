/** Reads from D1 the relay permissions between the users of a live session, for its Durable Object. */
import { and, eq, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { relayPermissions as permissions } from "../db/schema/relay-permissions";
import { sessionConnections as held } from "../db/schema/sessions";
import { rowsOfSession } from "../session/connections-and-devices";
import type { PermissionState } from "./permission";

/** The session, and the connections of its users. */
export interface SessionPermissionsQuery {
  readonly organisationId: number;
  readonly sessionId: string;
  /** The host's connection; null: it has none. Every frame goes from the host or to it. */
  readonly host: string | null;
  /** The clients' connections. */
  readonly clients: readonly string[];
}

/** The permissions that matter for one session. */
export interface SessionPermissions {
  /** All permissions between the host and the clients. */
  readonly permissions: readonly PermissionState[];
  /** The session's connections that were deleted since it began. Their users have to be revoked. */
  readonly deletedConnections: readonly string[];
}

/** Reads them in one round trip, by key: at most four rows for each client. */
export async function loadSessionPermissions(
  db: Database,
  query: SessionPermissionsQuery,
): Promise<SessionPermissions> {
  const { organisationId, sessionId, host } = query;
  const clients = sql`(select value from json_each(${JSON.stringify(query.clients)}))`;
  // Two searches by key. In one search with pairs of ids, SQLite would read every permission of the
  // organisation.
  const { local, remote, deletedConnections } = await runBatch(db, {
    local: db
      .select(stateColumns)
      .from(permissions)
      .where(
        and(
          eq(permissions.organisationId, organisationId),
          sql`${permissions.connectionId} = ${host}`,
          sql`${permissions.remoteConnectionId} in ${clients}`,
        ),
      ),
    remote: db
      .select(stateColumns)
      .from(permissions)
      .where(
        and(
          eq(permissions.organisationId, organisationId),
          sql`${permissions.remoteConnectionId} = ${host}`,
          sql`${permissions.connectionId} in ${clients}`,
        ),
      ),
    deletedConnections: db
      .select({ connectionId: held.connectionId })
      .from(held)
      .where(and(rowsOfSession(held, { organisationId, id: sessionId }), eq(held.deleted, true))),
  });
  return {
    permissions: [...local, ...remote],
    deletedConnections: deletedConnections.map(({ connectionId }) => connectionId),
  };
}

const stateColumns = {
  connectionId: permissions.connectionId,
  remoteConnectionId: permissions.remoteConnectionId,
  direction: permissions.direction,
  enabled: permissions.enabled,
};
