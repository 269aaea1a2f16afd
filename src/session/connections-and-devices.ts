/**
 * Which live sessions have users with which connections and devices, as D1 has it. Code that deletes a
 * connection or revokes a device finds here the sessions to tell.
 */
import { and, asc, eq, gt, sql } from "drizzle-orm";
import type { FixedSql } from "../db/fixed-sql";
import type { Database } from "../db/open";
import { sessionConnections as held, sessionDevices, sessions } from "../db/schema/sessions";
import type { Session } from "./session";
import { endedOf, type SessionKey } from "./session-key";

/** By what a session is known here. */
type SessionName = Pick<SessionKey, "organisationId" | "id">;

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
 * their list. A Worker of before migration 0014, which runs during an upgrade or after a rollback, writes no
 * `created_at`: then it is looked up among the live sessions of the organisation.
 */
export async function findSessionRowsWithDevice(
  db: Database,
  organisationId: number,
  deviceId: string,
): Promise<{ createdAt: number; id: string }[]> {
  const { sessionId: id } = sessionDevices;
  const createdAt = sql<number>`coalesce(nullif(${sessionDevices.createdAt}, 0), (
    select s.created_at from ${sessions} s where s.kind = 'relay' and s.ended = 0
      and s.organisation_id = ${organisationId} and s.id = ${id}))`;
  const rows = await db
    .select({ createdAt, id })
    .from(sessionDevices)
    .where(
      and(eq(sessionDevices.organisationId, organisationId), eq(sessionDevices.deviceId, deviceId)),
    );
  // Sorted here: D1 counts a sort as a row that it has read (2026-11).
  return rows.sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1));
}

/** What D1 is to have about a session. */
interface Presence {
  /** The state that is written. */
  session: Session;
  /** Of the session's users now; none once it has ended. */
  ids: readonly string[];
}

/** The statements that write to D1 which connections a session has. They do nothing if D1 has another version of it. */
export function connectionStatements(d1: FixedSql, presence: Presence): D1PreparedStatement[] {
  return presenceStatements(d1, CONNECTIONS, presence);
}

/** The statements that write to D1 which devices a session has. They do nothing if D1 has another version of it. */
export function deviceStatements(d1: FixedSql, presence: Presence): D1PreparedStatement[] {
  return presenceStatements(d1, DEVICES, presence);
}

// In all of it ?1 is the organisation, ?2 the session, ?3 the ids as JSON, ?4 the kind, ?5 `ended`, ?6 when the
// session was created, ?7 its version.
const HAS_THIS_VERSION = `exists (select 1 from sessions where kind = ?4 and ended = ?5
  and organisation_id = ?1 and created_at = ?6 and id = ?2 and version = ?7)`;

/** The fixed SQL for one of the tables: its column of ids, and its last column with what a new row has there. */
function presenceSql(table: string, id: string, [last, value]: [string, string]) {
  return {
    removal: `delete from ${table} where organisation_id = ?1 and session_id = ?2
      and ${id} not in (select value from json_each(?3)) and ${HAS_THIS_VERSION}`,
    insertion: `insert into ${table} (organisation_id, session_id, ${id}, ${last})
      select ?1, ?2, value, ${value} from json_each(?3) where ${HAS_THIS_VERSION} on conflict do nothing`,
  };
}

const CONNECTIONS = presenceSql("session_connections", "connection_id", ["cut", "0"]);
const DEVICES = presenceSql("session_devices", "device_id", ["created_at", "?6"]);

function presenceStatements(
  d1: FixedSql,
  { removal, insertion }: ReturnType<typeof presenceSql>,
  { session, ids }: Presence,
): D1PreparedStatement[] {
  const { organisationId, id, kind, createdAt, version } = session;
  const rows = JSON.stringify([...new Set(ids)]);
  const values = [organisationId, id, rows, kind, endedOf(session), createdAt, version];
  const statements = ids.length === 0 ? [removal] : [removal, insertion];
  return statements.map((sql) => d1.prepare(sql).bind(...values));
}

/** The statement that takes these sessions away from all connections. */
export function connectionRemoval(db: Database, names: readonly SessionName[]) {
  return db.delete(held).where(areSessions(held, names));
}

/** The statement that takes these sessions away from all devices. */
export function deviceRemoval(db: Database, names: readonly SessionName[]) {
  return db.delete(sessionDevices).where(areSessions(sessionDevices, names));
}

function areSessions(table: PresenceTable, names: readonly SessionName[]) {
  const listed = JSON.stringify(names.map(({ organisationId, id }) => [organisationId, id]));
  return sql`(${table.organisationId}, ${table.sessionId}) in (
    select value ->> 0, value ->> 1 from json_each(${listed}))`;
}

/** The condition for the rows of one session. */
export function rowsOfSession(table: PresenceTable, { organisationId, id }: SessionName) {
  return and(eq(table.organisationId, organisationId), eq(table.sessionId, id));
}
