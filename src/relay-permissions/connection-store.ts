/** Reads, registers and removes connections in D1. */
import { and, asc, eq, gt, type SQL, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { connectionCounts, connections, relayPermissions } from "../db/schema/relay-permissions";
import { sessionConnections } from "../db/schema/sessions";
import type { EventInsertion } from "../events/event-outbox";
import type { Connection } from "./permission";
import { countConnectionRemoval } from "./permission-counts";

const columns = { connectionId: connections.connectionId, memo: connections.memo };

/** A page of connections in the order of their ids, and how many there are in all, whatever `after` is. */
export async function listConnections(
  db: Database,
  organisationId: number,
  query: { after: string | null; offset: number; limit: number },
): Promise<{ connections: Connection[]; total: number }> {
  const { rows, counted } = await runBatch(db, {
    rows: db
      .select(columns)
      .from(connections)
      .where(
        and(
          eq(connections.organisationId, organisationId),
          query.after === null ? undefined : gt(connections.connectionId, query.after),
        ),
      )
      .orderBy(asc(connections.connectionId))
      .limit(query.limit)
      .offset(query.offset),
    counted: db
      .select({ total: connectionCounts.registered })
      .from(connectionCounts)
      .where(eq(connectionCounts.organisationId, organisationId)),
  });
  return { connections: rows, total: counted[0]?.total ?? 0 };
}

/** A connection; null if there is none. */
export async function findConnection(
  db: Database,
  organisationId: number,
  connectionId: string,
): Promise<Connection | null> {
  const rows = await db.select(columns).from(connections).where(isAt(organisationId, connectionId));
  return rows[0] ?? null;
}

/** Registers a connection, with its event. False when one with this id exists: nothing was stored. */
export async function insertConnection(
  db: Database,
  organisationId: number,
  { connectionId, memo }: Connection,
  record: (when: SQL) => EventInsertion,
): Promise<boolean> {
  const isNew = sql`not exists (select 1 from ${connections} where ${isAt(organisationId, connectionId)})`;
  const { inserted } = await runBatch(db, {
    count: db
      .insert(connectionCounts)
      .select(sql`select ${organisationId}, 1 where ${isNew}`)
      .onConflictDoUpdate({
        target: connectionCounts.organisationId,
        set: { registered: sql`${connectionCounts.registered} + 1` },
      }),
    events: record(isNew),
    inserted: db
      .insert(connections)
      .select(sql`select ${organisationId}, ${connectionId}, ${memo} where ${isNew}`)
      .returning({ connectionId: connections.connectionId }),
  });
  return inserted.length > 0;
}

/**
 * Removes a connection and all permissions in which it is the local side, with its event. Marks it as
 * deleted in the live sessions that have users with it. False when it is no longer as `before`: nothing
 * was removed.
 */
export async function removeConnection(
  db: Database,
  organisationId: number,
  before: Connection,
  record: (when: SQL) => EventInsertion,
): Promise<boolean> {
  const { connectionId } = before;
  const asBefore = and(isAt(organisationId, connectionId), eq(connections.memo, before.memo));
  const still = sql`exists (select 1 from ${connections} where ${asBefore})`;
  const { removed } = await runBatch(db, {
    counts: countConnectionRemoval(db, organisationId, connectionId, still),
    permissions: db
      .delete(relayPermissions)
      .where(
        and(
          eq(relayPermissions.organisationId, organisationId),
          eq(relayPermissions.connectionId, connectionId),
          still,
        ),
      ),
    marked: db
      .update(sessionConnections)
      .set({ deleted: true })
      .where(
        and(
          eq(sessionConnections.organisationId, organisationId),
          eq(sessionConnections.connectionId, connectionId),
          still,
        ),
      ),
    count: db
      .update(connectionCounts)
      .set({ registered: sql`${connectionCounts.registered} - 1` })
      .where(and(eq(connectionCounts.organisationId, organisationId), still)),
    events: record(still),
    removed: db
      .delete(connections)
      .where(asBefore)
      .returning({ connectionId: connections.connectionId }),
  });
  return removed.length > 0;
}

/** The query that gives a row if the connection is registered. */
export function registeredQuery(db: Database, organisationId: number, connectionId: string) {
  return db
    .select({ connectionId: connections.connectionId })
    .from(connections)
    .where(isAt(organisationId, connectionId));
}

function isAt(organisationId: number, connectionId: string) {
  return and(
    eq(connections.organisationId, organisationId),
    eq(connections.connectionId, connectionId),
  );
}
