/**
 * Relay permissions in live sessions: which sessions hold which connection, and what one of them has
 * to know about its users.
 */
import { and, asc, eq, gt, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { sessionConnections as held, relayPermissions as permissions } from "../db/schema";
import type { PermissionState } from "./permission";

/** What a session's object asks of D1 about its users' connections. */
export interface LiveQuery {
  readonly organisationId: number;
  readonly sessionId: string;
  /** The host's connection; frames go from it and to it only. */
  readonly host: string | null;
  /** The clients' connections. */
  readonly clients: readonly string[];
}

/** What D1 says. */
export interface LivePermissions {
  /** All permissions between the host and the clients. */
  readonly permissions: readonly PermissionState[];
  /** Connections of this session that were deleted while it lived. */
  readonly cut: readonly string[];
}

/** The permissions between a session's users: one round trip, by key, four rows per client at most. */
export async function loadLivePermissions(
  db: Database,
  query: LiveQuery,
): Promise<LivePermissions> {
  const { organisationId, sessionId, host } = query;
  const clients = sql`(select value from json_each(${JSON.stringify(query.clients)}))`;
  // Two searches by key: as one, with pairs of ids, SQLite would read all that the organisation has.
  const [local, remote, cut] = await db.batch([
    db
      .select(stateColumns)
      .from(permissions)
      .where(
        and(
          eq(permissions.organisationId, organisationId),
          sql`${permissions.connectionId} = ${host}`,
          sql`${permissions.remoteConnectionId} in ${clients}`,
        ),
      ),
    db
      .select(stateColumns)
      .from(permissions)
      .where(
        and(
          eq(permissions.organisationId, organisationId),
          sql`${permissions.remoteConnectionId} = ${host}`,
          sql`${permissions.connectionId} in ${clients}`,
        ),
      ),
    db
      .select({ connectionId: held.connectionId })
      .from(held)
      .where(and(isSession(organisationId, sessionId), eq(held.cut, true))),
  ]);
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

/**
 * The live sessions in which both connections have a user, or with one connection all that hold it: a
 * page of them, in the order of their ids.
 * @param page `after`: the last id of the page before
 */
export async function findSessionsHolding(
  db: Database,
  organisationId: number,
  [connectionId, other]: readonly [string, string?],
  page: { after: string | null; limit: number },
): Promise<string[]> {
  const rows = await db
    .select({ sessionId: held.sessionId })
    .from(held)
    .where(
      and(
        eq(held.organisationId, organisationId),
        eq(held.connectionId, connectionId),
        page.after === null ? undefined : gt(held.sessionId, page.after),
        other === undefined || other === connectionId
          ? undefined
          : sql`exists (select 1 from ${held} as o where o.organisation_id = ${organisationId}
              and o.session_id = ${held}.session_id and o.connection_id = ${other})`,
      ),
    )
    .orderBy(asc(held.sessionId))
    .limit(page.limit);
  return rows.map((row) => row.sessionId);
}

/**
 * The statements that make D1 show which connections a session holds.
 * @param connectionIds of its users now; none once it has ended
 * @param isShown that D1 shows this state of the session, and no later one
 */
export function holdStatements(
  db: Database,
  session: { organisationId: number; id: string },
  connectionIds: readonly string[],
  isShown: SQL,
) {
  const now = JSON.stringify([...new Set(connectionIds)]);
  const release = db
    .delete(held)
    .where(
      and(
        isSession(session.organisationId, session.id),
        sql`${held.connectionId} not in (select value from json_each(${now}))`,
        isShown,
      ),
    );
  if (connectionIds.length === 0) return [release];
  const hold = db
    .insert(held)
    .select(
      sql`select ${session.organisationId}, ${session.id}, value, 0 from json_each(${now}) where ${isShown}`,
    )
    .onConflictDoNothing();
  return [release, hold];
}

/** The statement that forgets a session. */
export function releaseStatement(db: Database, session: { organisationId: number; id: string }) {
  return db.delete(held).where(isSession(session.organisationId, session.id));
}

function isSession(organisationId: number, sessionId: string) {
  return and(eq(held.organisationId, organisationId), eq(held.sessionId, sessionId));
}
