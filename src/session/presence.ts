/**
 * Which live sessions hold which connections and devices, as D1 shows it: whoever deletes a connection
 * or revokes a device finds here the sessions to tell.
 */
import { and, asc, eq, gt, type SQL, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type { Database } from "../db/open";
import { sessionConnections as held, sessionDevices } from "../db/schema/sessions";

type SessionKey = { organisationId: number; id: string };

/**
 * The live sessions in which both connections have a user, or with one connection all that hold it: a
 * page of them, in the order of their ids.
 * @param page `after`: the last id of the page before
 */
export async function findSessionsWithConnections(
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
export function connectionStatements(
  db: Database,
  session: SessionKey,
  connectionIds: readonly string[],
  isShown: SQL,
) {
  const now = JSON.stringify([...new Set(connectionIds)]);
  const release = db
    .delete(held)
    .where(
      and(
        rowsOfSession(held, session),
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

/** The statement that takes these sessions away from all connections. */
export function connectionRemoval(db: Database, organisationId: number, ids: readonly string[]) {
  return db.delete(held).where(areSessions(held, organisationId, ids));
}

/** The live sessions in which this device is a user. */
export async function findSessionsWithDevice(
  db: Database,
  organisationId: number,
  deviceId: string,
): Promise<string[]> {
  const rows = await db
    .select({ sessionId: sessionDevices.sessionId })
    .from(sessionDevices)
    .where(
      and(eq(sessionDevices.organisationId, organisationId), eq(sessionDevices.deviceId, deviceId)),
    );
  return rows.map(({ sessionId }) => sessionId);
}

/**
 * The statements that make D1 show which devices a session has.
 * @param deviceIds of its users now; none once it has ended
 * @param onlyIf must hold: that the batch writes the session's newest state
 */
export function deviceStatements(
  db: Database,
  session: SessionKey,
  deviceIds: readonly string[],
  onlyIf: SQL,
): BatchItem<"sqlite">[] {
  const now = JSON.stringify([...new Set(deviceIds)]);
  const removal = db
    .delete(sessionDevices)
    .where(
      and(
        rowsOfSession(sessionDevices, session),
        sql`${sessionDevices.deviceId} not in (select value from json_each(${now}))`,
        onlyIf,
      ),
    );
  if (deviceIds.length === 0) return [removal];
  const insertion = db
    .insert(sessionDevices)
    .select(
      sql`select ${session.organisationId}, ${session.id}, value from json_each(${now}) where ${onlyIf}`,
    )
    .onConflictDoNothing();
  return [removal, insertion];
}

/** The statement that takes these sessions away from all devices. */
export function deviceRemoval(db: Database, organisationId: number, ids: readonly string[]) {
  return db.delete(sessionDevices).where(areSessions(sessionDevices, organisationId, ids));
}

function areSessions(
  table: typeof held | typeof sessionDevices,
  organisationId: number,
  ids: readonly string[],
) {
  return and(
    eq(table.organisationId, organisationId),
    sql`${table.sessionId} in (select value from json_each(${JSON.stringify(ids)}))`,
  );
}

/** The rows of one session. */
export function rowsOfSession(
  table: typeof held | typeof sessionDevices,
  { organisationId, id }: SessionKey,
) {
  return and(eq(table.organisationId, organisationId), eq(table.sessionId, id));
}
