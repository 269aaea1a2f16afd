/** Removes all connections and relay permissions of a deleted organisation, for the sweep. */
import { type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import {
  connectionCounts,
  connections,
  relayPermissionCounts,
  relayPermissions,
} from "../db/schema/relay-permissions";
import { sessionConnections } from "../db/schema/sessions";

/** The tables, each with the columns of its key that follow the organisation. */
const TABLES: readonly [SQL, SQL][] = [
  [sql`${relayPermissions}`, sql`connection_id, remote_connection_id, direction`],
  [sql`${connections}`, sql`connection_id`],
  [sql`${relayPermissionCounts}`, sql`side, connection_id`],
  [sql`${sessionConnections}`, sql`session_id, connection_id`],
];

/** Removes up to `limit` rows of each table. Returns the largest number that was removed from one table. */
export async function removeConnectionsAndPermissions(
  db: Database,
  organisationId: number,
  limit: number,
): Promise<number> {
  let most = 0;
  for (const [table, key] of TABLES) {
    const { meta } = await db.run(sql`delete from ${table} where organisation_id = ${organisationId}
      and (${key}) in (select ${key} from ${table} where organisation_id = ${organisationId}
        limit ${limit})`);
    most = Math.max(most, meta.changes);
  }
  await db.run(sql`delete from ${connectionCounts} where organisation_id = ${organisationId}`);
  return most;
}
