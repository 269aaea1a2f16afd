/**
 * Which live sessions have users with which connections and devices, as D1 has it. Code that deletes a
 * connection or revokes a device finds here the sessions to tell.
 */
import { and, asc, desc, eq, gt, type SQL, type SQLWrapper, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type { Database } from "../db/open";
import { sessionConnections as held, sessionDevices } from "../db/schema/sessions";
import type { SessionKey } from "./session-key";

/** By what a session is known here. */
type SessionName = Pick<SessionKey, "organisationId" | "createdAt" | "id">;

type PresenceTable = typeof held | typeof sessionDevices;

/**
 * A page of the live sessions in which both connections have a user; with one connection, of all in
 * which it has one. In the order of their ids.
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
 * By what the rows of the live sessions are found in which this device is a user, newest first: the order of
 * their list.
 */
export async function findSessionRowsWithDevice(
  db: Database,
  organisationId: number,
  deviceId: string,
): Promise<{ createdAt: number; id: string }[]> {
  const { createdAt, sessionId: id } = sessionDevices;
  return db
    .select({ createdAt, id })
    .from(sessionDevices)
    .where(
      and(eq(sessionDevices.organisationId, organisationId), eq(sessionDevices.deviceId, deviceId)),
    )
    .orderBy(desc(createdAt), desc(id));
}

/** What D1 is to have about a session. */
interface Presence {
  session: SessionName;
  /** Of the session's users now; none once it has ended. */
  ids: readonly string[];
  /** Must hold: that the session's row in D1 has this version, and no later one. */
  onlyIf: SQL;
}

/** The statements that write to D1 which connections a session has. */
export function connectionStatements(db: Database, presence: Presence): BatchItem<"sqlite">[] {
  const { session, ids, onlyIf } = presence;
  const removal = removalOfOthers(db, held, held.connectionId, presence);
  if (ids.length === 0) return [removal];
  const insertion = db
    .insert(held)
    .select(
      sql`select ${session.organisationId}, ${session.id}, value, 0 from ${each(ids)} where ${onlyIf}`,
    )
    .onConflictDoNothing();
  return [removal, insertion];
}

/** The statements that write to D1 which devices a session has. */
export function deviceStatements(db: Database, presence: Presence): BatchItem<"sqlite">[] {
  const { session, ids, onlyIf } = presence;
  const removal = removalOfOthers(db, sessionDevices, sessionDevices.deviceId, presence);
  if (ids.length === 0) return [removal];
  const insertion = db
    .insert(sessionDevices)
    .select(
      sql`select ${session.organisationId}, ${session.id}, value, ${session.createdAt}
        from ${each(ids)} where ${onlyIf}`,
    )
    .onConflictDoNothing();
  return [removal, insertion];
}

/** The statement that takes these sessions away from all connections. */
export function connectionRemoval(db: Database, organisationId: number, ids: readonly string[]) {
  return db.delete(held).where(areSessions(held, organisationId, ids));
}

/** The statement that takes these sessions away from all devices. */
export function deviceRemoval(db: Database, organisationId: number, ids: readonly string[]) {
  return db.delete(sessionDevices).where(areSessions(sessionDevices, organisationId, ids));
}

/** Removes the rows of a session that are not of these ids. */
function removalOfOthers(
  db: Database,
  table: PresenceTable,
  column: SQLWrapper,
  { session, ids, onlyIf }: Presence,
) {
  return db
    .delete(table)
    .where(
      and(
        rowsOfSession(table, session),
        sql`${column} not in (select value from ${each(ids)})`,
        onlyIf,
      ),
    );
}

/** A table of these ids, each once, in the column `value`. */
function each(ids: readonly string[]): SQL {
  return sql`json_each(${JSON.stringify([...new Set(ids)])})`;
}

function areSessions(table: PresenceTable, organisationId: number, ids: readonly string[]) {
  return and(
    eq(table.organisationId, organisationId),
    sql`${table.sessionId} in (select value from json_each(${JSON.stringify(ids)}))`,
  );
}

/** The condition for the rows of one session. */
export function rowsOfSession(
  table: PresenceTable,
  { organisationId, id }: Pick<SessionName, "organisationId" | "id">,
) {
  return and(eq(table.organisationId, organisationId), eq(table.sessionId, id));
}
