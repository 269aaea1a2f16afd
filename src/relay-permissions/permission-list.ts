/** Lists relay permissions of an organisation: pages in the order of their key, filtered or not. */
import { and, eq, type SQL, sql } from "drizzle-orm";
import { unionAll } from "drizzle-orm/sqlite-core";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { relayPermissions as permissions } from "../db/schema/relay-permissions";
import { registeredQuery } from "./connection-store";
import type { PermissionDirection, PermissionFacts, PermissionKey } from "./permission";
import { type CountedSide, matchingStates, permissionCountQuery } from "./permission-counts";
import { permissionColumns } from "./permission-store";

/** The filters of a list, and which page of it. Null: any. */
export interface PermissionListQuery {
  readonly connectionId: string | null;
  readonly remoteConnectionId: string | null;
  readonly direction: PermissionDirection | null;
  readonly enabled: boolean | null;
  /** Only those that follow this one in the order of the key. */
  readonly after: PermissionKey | null;
  /** How many to skip. D1 reads each of them. */
  readonly offset: number;
  readonly limit: number;
}

/** The columns, for a table that is named with the index to use: Drizzle does not recognise that as its table. */
const rawColumns = {
  connectionId: sql<string>`connection_id`,
  remoteConnectionId: sql<string>`remote_connection_id`,
  direction: sql<PermissionDirection>`direction`,
  enabled: sql<boolean>`enabled`.mapWith(permissions.enabled),
  memo: sql<string>`memo`,
};
const keyOrder = [
  permissions.connectionId,
  permissions.remoteConnectionId,
  permissions.direction,
] as const;

/**
 * A page of permissions in the order of their key, and how many there are in all (`after` aside).
 * Null when a connection is named that is not registered.
 */
export async function listPermissions(
  db: Database,
  organisationId: number,
  query: PermissionListQuery,
): Promise<{ permissions: PermissionFacts[]; total: number } | null> {
  const { connectionId, remoteConnectionId } = query;
  if (connectionId !== null && remoteConnectionId !== null) {
    return listBetween(db, organisationId, { ...query, connectionId, remoteConnectionId });
  }
  const side: CountedSide =
    connectionId !== null
      ? { side: "local", connectionId }
      : remoteConnectionId !== null
        ? { side: "remote", connectionId: remoteConnectionId }
        : { side: "all" };
  const { rows, counted, known } = await runBatch(db, {
    rows: pageQuery(db, organisationId, query),
    counted: permissionCountQuery(db, organisationId, side, query),
    known: registeredQuery(db, organisationId, connectionId ?? ""),
  });
  if (connectionId !== null && known.length === 0) return null;
  return { permissions: rows, total: counted[0]?.total ?? 0 };
}

/** From one connection to another there are at most two permissions: both are read, and counted here. */
async function listBetween(
  db: Database,
  organisationId: number,
  query: PermissionListQuery & { connectionId: string; remoteConnectionId: string },
): Promise<{ permissions: PermissionFacts[]; total: number } | null> {
  const { rows, known } = await runBatch(db, {
    rows: db
      .select(permissionColumns)
      .from(permissions)
      .where(
        and(
          eq(permissions.organisationId, organisationId),
          eq(permissions.connectionId, query.connectionId),
          eq(permissions.remoteConnectionId, query.remoteConnectionId),
        ),
      )
      .orderBy(...keyOrder),
    known: registeredQuery(db, organisationId, query.connectionId),
  });
  if (known.length === 0) return null;
  const wanted = rows.filter(
    (row) =>
      (query.direction === null || row.direction === query.direction) &&
      (query.enabled === null || row.enabled === query.enabled),
  );
  const { after } = query;
  const following = wanted.filter((row) => after === null || toOrder(row) > toOrder(after));
  const page = following.slice(query.offset, query.offset + query.limit);
  return { permissions: page, total: wanted.length };
}

function pageQuery(db: Database, organisationId: number, query: PermissionListQuery) {
  const { connectionId, remoteConnectionId, direction, enabled, after, offset, limit } = query;
  const range = (from: SQL, state?: SQL) =>
    db
      .select(rawColumns)
      .from(from)
      .where(
        and(
          eq(permissions.organisationId, organisationId),
          connectionId === null ? undefined : eq(permissions.connectionId, connectionId),
          remoteConnectionId === null
            ? undefined
            : eq(permissions.remoteConnectionId, remoteConnectionId),
          state,
          after === null ? undefined : follows(after, connectionId),
        ),
      );
  if (remoteConnectionId === null && direction === null && enabled === null) {
    return range(sql`${permissions}`)
      .orderBy(...keyOrder)
      .limit(limit)
      .offset(offset);
  }
  // Each state is one range of an index, in the order of the key, and the union merges the ranges while it
  // reads them. The index is named because SQLite, which has no statistics here, would choose the key.
  const index = sql.identifier(
    remoteConnectionId === null ? "relay_permissions_by_state" : "relay_permissions_by_remote",
  );
  const indexed = sql`${permissions} indexed by ${index}`;
  const ranges = matchingStates(query).map((state) =>
    range(
      indexed,
      and(eq(permissions.direction, state.direction), eq(permissions.enabled, state.enabled)),
    ),
  );
  const [first, second, ...rest] = ranges;
  if (!first) throw new Error("a filter lets at least one state through");
  const merged = second ? unionAll(first, second, ...rest) : first;
  return merged
    .orderBy(...keyOrder)
    .limit(limit)
    .offset(offset);
}

/** The condition for the permissions after a key, written so that SQLite starts a local side's range there. */
function follows(after: PermissionKey, connectionId: string | null): SQL {
  const { remoteConnectionId, direction } = after;
  if (connectionId === null) {
    return sql`(connection_id, remote_connection_id, direction) >
      (${after.connectionId}, ${remoteConnectionId}, ${direction})`;
  }
  if (after.connectionId !== connectionId) return sql`${after.connectionId} < ${connectionId}`;
  return sql`(remote_connection_id, direction) > (${remoteConnectionId}, ${direction})`;
}

/** Text that sorts as the key does in SQL: ids are ASCII, and no character in them comes before the separator. */
function toOrder({ connectionId, remoteConnectionId, direction }: PermissionKey): string {
  return `${connectionId}\0${remoteConnectionId}\0${direction}`;
}
