/** Reads, registers and removes connections in D1. */
import { and, asc, desc, eq, gt, type SQL, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import { NumberedPages } from "../db/numbered-pages";
import type { Database } from "../db/open";
import { connectionCounts, connections, relayPermissions } from "../db/schema/relay-permissions";
import { sessionConnections } from "../db/schema/sessions";
import type { EventInsertion } from "../events/event-outbox";
import type { Connection } from "./permission";
import { countConnectionRemoval } from "./permission-counts";

const columns = { connectionId: connections.connectionId, memo: connections.memo };

/** Where the pages end that this isolate has read. */
const pages = new NumberedPages<string>();

/**
 * A page of connections in the order of their ids, and how many there are in all, whatever `after` is. Null: it
 * is too deep in a list that is too long.
 */
export async function listConnections(
  db: Database,
  organisationId: number,
  query: { after: string | null; offset: number; limit: number; now: number },
): Promise<{ rows: Connection[]; total: number } | null> {
  const counted = () =>
    db
      .select({ total: connectionCounts.registered })
      .from(connectionCounts)
      .where(eq(connectionCounts.organisationId, organisationId));
  const toTotal = ([count]: { total: number }[]) => count?.total ?? 0;
  return pages.read(
    { ...query, list: `${organisationId}/${query.after ?? ""}` },
    {
      // How many follow on `after` is not known.
      count: query.after === null ? async () => toTotal(await counted()) : null,
      keyOf: ({ connectionId }: Connection) => connectionId,
      async read({ after, fromEnd, skip, limit }) {
        const behind = after ?? query.after;
        const { rows, counts } = await runBatch(db, {
          rows: db
            .select(columns)
            .from(connections)
            .where(
              and(
                eq(connections.organisationId, organisationId),
                behind === null ? undefined : gt(connections.connectionId, behind),
              ),
            )
            .orderBy((fromEnd ? desc : asc)(connections.connectionId))
            .limit(limit)
            .offset(skip),
          counts: counted(),
        });
        return { rows: fromEnd ? rows.reverse() : rows, total: toTotal(counts) };
      },
    },
  );
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
