/**
 * Keeps the numbers of relay permissions in a table, so that a list counts nothing: of an organisation, of
 * each connection as the local side, and of each as the remote side. Every statement here goes into the
 * batch that changes the permissions, before the change and under the same condition: so a count cannot
 * differ from what is stored.
 */
import { and, eq, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { relayPermissionCounts as counts, relayPermissions } from "../db/schema/relay-permissions";
import {
  DIRECTIONS,
  type PermissionDirection,
  type PermissionKey,
  type PermissionState,
} from "./permission";

/** Which permissions are counted: all of the organisation, or those with this local or remote side. */
export type CountedSide =
  | { side: "all" }
  | { side: "local"; connectionId: string }
  | { side: "remote"; connectionId: string };

/** What a change adds to the count of a state: 1 for the new state, -1 for the old one. */
export interface CountChange {
  readonly state: Pick<PermissionState, "direction" | "enabled">;
  readonly by: 1 | -1;
}

const columns = {
  send: { true: counts.sendEnabled, false: counts.sendDisabled },
  receive: { true: counts.receiveEnabled, false: counts.receiveDisabled },
} as const;

/** Where the row exists, its numbers are added to. */
const adding = {
  target: [counts.organisationId, counts.side, counts.connectionId],
  set: {
    sendEnabled: sql`${counts.sendEnabled} + excluded.send_enabled`,
    sendDisabled: sql`${counts.sendDisabled} + excluded.send_disabled`,
    receiveEnabled: sql`${counts.receiveEnabled} + excluded.receive_enabled`,
    receiveDisabled: sql`${counts.receiveDisabled} + excluded.receive_disabled`,
  },
};

const isZero = sql`${counts.sendEnabled} = 0 and ${counts.sendDisabled} = 0
  and ${counts.receiveEnabled} = 0 and ${counts.receiveDisabled} = 0`;

/** The statement that counts a change of one permission: three rows, if `onlyIf` is true. */
export function countPermissionChange(
  db: Database,
  organisationId: number,
  { key, changes }: { key: PermissionKey; changes: readonly CountChange[] },
  onlyIf: SQL,
) {
  const sum = (direction: PermissionDirection, enabled: boolean) =>
    changes
      .filter(({ state }) => state.direction === direction && state.enabled === enabled)
      .reduce((total, { by }) => total + by, 0);
  return db
    .insert(counts)
    .select(
      sql`select ${organisationId}, column1, column2, ${sum("send", true)}, ${sum("send", false)},
        ${sum("receive", true)}, ${sum("receive", false)}
        from (values ('all', ''), ('local', ${key.connectionId}), ('remote', ${key.remoteConnectionId}))
        where ${onlyIf}`,
    )
    .onConflictDoUpdate(adding);
}

/** The statement that deletes the row of a remote side whose counts are all 0. It follows a count of a removal. */
export function deleteEmptyRemoteCount(
  db: Database,
  organisationId: number,
  remoteConnectionId: string,
) {
  return db
    .delete(counts)
    .where(
      and(
        eq(counts.organisationId, organisationId),
        eq(counts.side, "remote"),
        eq(counts.connectionId, remoteConnectionId),
        isZero,
      ),
    );
}

/** The statements, in their order, that take all permissions of a local side out of the counts. */
export function countConnectionRemoval(
  db: Database,
  organisationId: number,
  connectionId: string,
  onlyIf: SQL,
) {
  const ofLocal = sql`${relayPermissions.organisationId} = ${organisationId}
    and ${relayPermissions.connectionId} = ${connectionId}`;
  const localRow = and(
    eq(counts.organisationId, organisationId),
    eq(counts.side, "local"),
    eq(counts.connectionId, connectionId),
  );
  const minus = (direction: PermissionDirection, enabled: boolean) =>
    sql`-sum(direction = ${direction} and enabled = ${Number(enabled)})`;
  return [
    db
      .insert(counts)
      .select(
        sql`select organisation_id, 'remote', remote_connection_id, ${minus("send", true)},
          ${minus("send", false)}, ${minus("receive", true)}, ${minus("receive", false)}
          from ${relayPermissions} where ${ofLocal} and ${onlyIf} group by 1, 3`,
      )
      .onConflictDoUpdate(adding),
    db
      .delete(counts)
      .where(
        and(
          eq(counts.organisationId, organisationId),
          eq(counts.side, "remote"),
          sql`${counts.connectionId} in (select remote_connection_id from ${relayPermissions} where ${ofLocal})`,
          isZero,
        ),
      ),
    db
      .insert(counts)
      .select(
        sql`select organisation_id, 'all', '', -send_enabled, -send_disabled, -receive_enabled,
          -receive_disabled from ${counts} where ${localRow} and ${onlyIf}`,
      )
      .onConflictDoUpdate(adding),
    db.delete(counts).where(and(localRow, onlyIf)),
  ] as const;
}

/** The query for the number of permissions with this direction and state; null: any. */
export function permissionCountQuery(
  db: Database,
  organisationId: number,
  of: CountedSide,
  wanted: { direction: PermissionDirection | null; enabled: boolean | null },
) {
  const terms = matchingStates(wanted).map(
    ({ direction, enabled }) => columns[direction][`${enabled}`],
  );
  return db
    .select({ total: sql<number>`${sql.join(terms, sql` + `)}` })
    .from(counts)
    .where(
      and(
        eq(counts.organisationId, organisationId),
        eq(counts.side, of.side),
        eq(counts.connectionId, of.side === "all" ? "" : of.connectionId),
      ),
    );
}

/** The one, two or four pairs of direction and state that match a filter; null matches all. */
export function matchingStates(wanted: {
  direction: PermissionDirection | null;
  enabled: boolean | null;
}) {
  const directions = wanted.direction === null ? DIRECTIONS : [wanted.direction];
  const states = wanted.enabled === null ? [true, false] : [wanted.enabled];
  return directions.flatMap((direction) => states.map((enabled) => ({ direction, enabled })));
}
