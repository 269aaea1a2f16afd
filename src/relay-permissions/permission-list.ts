/** Lists relay permissions of an organisation: pages in the order of their key, filtered or not. */
import { and, asc, desc, eq, type SQL, sql } from "drizzle-orm";
import { unionAll } from "drizzle-orm/sqlite-core";
import { runBatch } from "../db/batch";
import { NumberedPages, type PageReading } from "../db/numbered-pages";
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
  /** How many to skip. */
  readonly offset: number;
  readonly limit: number;
  /** Unix milliseconds. */
  readonly now: number;
}

/** What a list gives: a page of permissions, and how many there are in all (`after` aside). */
export type PermissionList =
  | { ok: true; rows: PermissionFacts[]; total: number }
  /** A connection is named that is not registered. */
  | { ok: false; code: "connection-not-found" }
  /** The page is too deep in a list that is too long. */
  | { ok: false; code: "page-too-deep" };

/** Where the pages end that this isolate has read. */
const pages = new NumberedPages<PermissionKey>();

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

/** A page of permissions in the order of their key. */
export async function listPermissions(
  db: Database,
  organisationId: number,
  query: PermissionListQuery,
): Promise<PermissionList> {
  const { connectionId, remoteConnectionId, direction, enabled } = query;
  if (connectionId !== null && remoteConnectionId !== null) {
    return listBetween(db, organisationId, { ...query, connectionId, remoteConnectionId });
  }
  const side: CountedSide =
    connectionId !== null
      ? { side: "local", connectionId }
      : remoteConnectionId !== null
        ? { side: "remote", connectionId: remoteConnectionId }
        : { side: "all" };
  /** What is read beside the page, or alone for its count. */
  const countStatements = () => ({
    counts: permissionCountQuery(db, organisationId, side, query),
    known: registeredQuery(db, organisationId, connectionId ?? ""),
  });
  let isRegistered = true;
  /** How many there are in all; notes whether the connection is registered. */
  const totalOf = ({ counts, known }: { counts: { total: number }[]; known: unknown[] }) => {
    isRegistered = connectionId === null || known.length > 0;
    return counts[0]?.total ?? 0;
  };
  const filters = [connectionId, remoteConnectionId, direction, enabled, query.after];
  const page = await pages.read(
    { ...query, list: JSON.stringify([organisationId, ...filters]) },
    {
      // How many follow on `after` is not known.
      count:
        query.after === null ? async () => totalOf(await runBatch(db, countStatements())) : null,
      keyOf: ({ connectionId, remoteConnectionId, direction }: PermissionFacts) => ({
        connectionId,
        remoteConnectionId,
        direction,
      }),
      async read(reading) {
        const { rows, ...rest } = await runBatch(db, {
          rows: pageQuery(db, organisationId, query, reading),
          ...countStatements(),
        });
        return { rows: reading.fromEnd ? rows.reverse() : rows, total: totalOf(rest) };
      },
    },
  );
  if (!isRegistered) return { ok: false, code: "connection-not-found" };
  return page ? { ok: true, ...page } : { ok: false, code: "page-too-deep" };
}

/** From one connection to another there are at most two permissions: both are read, and counted here. */
async function listBetween(
  db: Database,
  organisationId: number,
  query: PermissionListQuery & { connectionId: string; remoteConnectionId: string },
): Promise<PermissionList> {
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
  if (known.length === 0) return { ok: false, code: "connection-not-found" };
  const wanted = rows.filter(
    (row) =>
      (query.direction === null || row.direction === query.direction) &&
      (query.enabled === null || row.enabled === query.enabled),
  );
  const { after } = query;
  const following = wanted.filter((row) => after === null || toOrder(row) > toOrder(after));
  const page = following.slice(query.offset, query.offset + query.limit);
  return { ok: true, rows: page, total: wanted.length };
}

function pageQuery(
  db: Database,
  organisationId: number,
  query: PermissionListQuery,
  { fromEnd, skip, limit, ...reading }: PageReading<PermissionKey>,
) {
  const { connectionId, remoteConnectionId, direction, enabled } = query;
  const after = reading.after ?? query.after;
  const order = keyOrder.map((column) => (fromEnd ? desc(column) : asc(column)));
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
      .orderBy(...order)
      .limit(limit)
      .offset(skip);
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
    .orderBy(...order)
    .limit(limit)
    .offset(skip);
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
