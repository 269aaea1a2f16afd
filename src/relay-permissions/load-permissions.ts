/**
 * What a live session's object has to know about the relay permissions of its users.
 */
import { and, eq, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { relayPermissions as permissions } from "../db/schema/relay-permissions";
import { sessionConnections as held } from "../db/schema/sessions";
import { isSession } from "../session/presence";
import type { PermissionState } from "./permission";

/** What a session's object asks of D1 about its users' connections. */
export interface SessionPermissionsQuery {
  readonly organisationId: number;
  readonly sessionId: string;
  /** The host's connection; frames go from it and to it only. */
  readonly host: string | null;
  /** The clients' connections. */
  readonly clients: readonly string[];
}

/** What D1 says. */
export interface SessionPermissions {
  /** All permissions between the host and the clients. */
  readonly permissions: readonly PermissionState[];
  /** Connections of this session that were deleted while it lived. */
  readonly cut: readonly string[];
}

/** The permissions between a session's users: one round trip, by key, four rows per client at most. */
export async function loadSessionPermissions(
  db: Database,
  query: SessionPermissionsQuery,
): Promise<SessionPermissions> {
  const { organisationId, sessionId, host } = query;
  const clients = sql`(select value from json_each(${JSON.stringify(query.clients)}))`;
  // Two searches by key: as one, with pairs of ids, SQLite would read all that the organisation has.
  const { local, remote, cut } = await runBatch(db, {
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
    cut: db
      .select({ connectionId: held.connectionId })
      .from(held)
      .where(and(isSession(held, { organisationId, id: sessionId }), eq(held.cut, true))),
  });
  return {
    permissions: [...local, ...remote],
    cut: cut.map(({ connectionId }) => connectionId),
  };
}

const stateColumns = {
  connectionId: permissions.connectionId,
  remoteConnectionId: permissions.remoteConnectionId,
  direction: permissions.direction,
  enabled: permissions.enabled,
};
