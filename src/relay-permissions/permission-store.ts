/** Reads and changes relay permissions in D1, one row at a time. */
import { and, eq, type SQL, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { relayPermissions as permissions } from "../db/schema/relay-permissions";
import type { EventInsertion } from "../events/event-outbox";
import { registeredQuery } from "./connection-store";
import type { PermissionKey, RelayPermission } from "./permission";
import { countPermissionChange, deleteEmptyRemoteCount } from "./permission-counts";

/** The columns of a permission. */
export const permissionColumns = {
  connectionId: permissions.connectionId,
  remoteConnectionId: permissions.remoteConnectionId,
  direction: permissions.direction,
  enabled: permissions.enabled,
  memo: permissions.memo,
  version: permissions.version,
};

/** A permission; null if there is none. */
export async function findPermission(
  db: Database,
  organisationId: number,
  key: PermissionKey,
): Promise<RelayPermission | null> {
  const rows = await db
    .select(permissionColumns)
    .from(permissions)
    .where(isAt(organisationId, key));
  return rows[0] ?? null;
}

/** Those of two permissions that exist. */
export async function findPermissions(
  db: Database,
  organisationId: number,
  keys: readonly [PermissionKey, PermissionKey],
): Promise<RelayPermission[]> {
  const [a, b] = keys;
  const found = await runBatch(db, {
    a: db.select(permissionColumns).from(permissions).where(isAt(organisationId, a)),
    b: db.select(permissionColumns).from(permissions).where(isAt(organisationId, b)),
  });
  return [...found.a, ...found.b];
}

/**
 * Stores a new permission with its event, unless it exists or its local side is not registered.
 * @param record the statement that stores the event, under the condition that it is given
 */
export async function insertPermission(
  db: Database,
  organisationId: number,
  permission: RelayPermission,
  record: (when: SQL) => EventInsertion,
): Promise<"inserted" | "exists" | "unregistered"> {
  const { connectionId, remoteConnectionId, direction, enabled, memo, version } = permission;
  const isNew = sql`exists ${registeredQuery(db, organisationId, connectionId)}
    and not exists (select 1 from ${permissions} where ${isAt(organisationId, permission)})`;
  const { known, inserted } = await runBatch(db, {
    known: registeredQuery(db, organisationId, connectionId),
    count: countPermissionChange(
      db,
      organisationId,
      { key: permission, changes: [{ state: permission, by: 1 }] },
      isNew,
    ),
    events: record(isNew),
    inserted: db
      .insert(permissions)
      .select(
        sql`select ${organisationId}, ${connectionId}, ${remoteConnectionId}, ${direction},
          ${Number(enabled)}, ${memo}, ${version} where ${isNew}`,
      )
      .returning({ direction: permissions.direction }),
  });
  if (inserted.length > 0) return "inserted";
  return known.length > 0 ? "exists" : "unregistered";
}

/** Changes a permission, with its event. False when the row is no longer as `before`: nothing was stored. */
export async function replacePermission(
  db: Database,
  organisationId: number,
  {
    before,
    after,
  }: {
    before: RelayPermission;
    after: Pick<RelayPermission, "enabled" | "memo" | "version">;
  },
  record: (when: SQL) => EventInsertion,
): Promise<boolean> {
  const asBefore = isStill(organisationId, before);
  const change = db
    .update(permissions)
    // D1 writes an index entry for each indexed column that is named here, even if its value stays.
    .set({
      memo: after.memo,
      version: after.version,
      ...(before.enabled === after.enabled ? {} : { enabled: after.enabled }),
    })
    .where(asBefore)
    .returning({ direction: permissions.direction });
  const still = sql`exists (select 1 from ${permissions} where ${asBefore})`;
  if (before.enabled === after.enabled) {
    const { changed } = await runBatch(db, { events: record(still), changed: change });
    return changed.length > 0;
  }
  const changes = [
    { state: before, by: -1 },
    { state: { ...before, enabled: after.enabled }, by: 1 },
  ] as const;
  const { changed } = await runBatch(db, {
    count: countPermissionChange(db, organisationId, { key: before, changes }, still),
    events: record(still),
    changed: change,
  });
  return changed.length > 0;
}

/** Removes a permission, with its event. False when the row is no longer as `before`: nothing was removed. */
export async function removePermission(
  db: Database,
  organisationId: number,
  before: RelayPermission,
  record: (when: SQL) => EventInsertion,
): Promise<boolean> {
  const asBefore = isStill(organisationId, before);
  const still = sql`exists (select 1 from ${permissions} where ${asBefore})`;
  const { removed } = await runBatch(db, {
    count: countPermissionChange(
      db,
      organisationId,
      { key: before, changes: [{ state: before, by: -1 }] },
      still,
    ),
    remote: deleteEmptyRemoteCount(db, organisationId, before.remoteConnectionId),
    events: record(still),
    removed: db.delete(permissions).where(asBefore).returning({ direction: permissions.direction }),
  });
  return removed.length > 0;
}

function isAt(organisationId: number, key: PermissionKey): SQL | undefined {
  return and(
    eq(permissions.organisationId, organisationId),
    eq(permissions.connectionId, key.connectionId),
    eq(permissions.remoteConnectionId, key.remoteConnectionId),
    eq(permissions.direction, key.direction),
  );
}

function isStill(organisationId: number, before: RelayPermission): SQL | undefined {
  return and(isAt(organisationId, before), eq(permissions.version, before.version));
}
