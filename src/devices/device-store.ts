/** Devices and their tokens in D1: what reads and writes their rows. */
import { and, desc, eq, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { devices, deviceTokens } from "../db/schema/devices";
import { type Device, tokenDigestsOf } from "./device";

/** A device, and when it was last seen (Unix milliseconds). That time changes without a new version. */
export type DeviceWithLastSeen = Device & { lastSeenAt: number | null };

/** The statement that reads a device, removed or not. `id` may be an SQL expression. */
export function selectDevice(db: Database, applicationId: string, id: string | SQL) {
  return db
    .select(deviceColumns)
    .from(devices)
    .where(and(eq(devices.applicationId, applicationId), sql`${devices.id} = ${id}`));
}

/** The last device of a page. The next page begins behind it. */
export interface DevicePosition {
  createdAt: number;
  id: string;
}

/** The statement that reads a page of an application's paired devices, newest first. */
export function selectDevices(
  db: Database,
  query: { applicationId: string; after: DevicePosition | null; limit: number },
) {
  const position = sql`(${devices.createdAt}, ${devices.id})`;
  return db
    .select(deviceColumns)
    .from(devices)
    .where(
      and(
        eq(devices.applicationId, query.applicationId),
        eq(devices.removed, false),
        query.after === null
          ? undefined
          : sql`${position} < (${query.after.createdAt}, ${query.after.id})`,
      ),
    )
    .orderBy(desc(devices.createdAt), desc(devices.id))
    .limit(query.limit);
}

/** Makes a device of its row. */
export function toDevice(row: { state: string; lastSeenAt: number | null }): DeviceWithLastSeen {
  return { ...JSON.parse(row.state), lastSeenAt: row.lastSeenAt };
}

/** A token that was handed out at some time, and its device. It need not work any more. */
export interface FoundDeviceToken {
  digest: string;
  role: string;
  device: DeviceWithLastSeen;
}

/** Finds the device and role of a token by the token's digest. */
export async function findDeviceToken(
  db: Database,
  digest: string,
): Promise<FoundDeviceToken | null> {
  const rows = await db
    .select({ ...deviceColumns, role: deviceTokens.role })
    .from(deviceTokens)
    .innerJoin(
      devices,
      and(
        eq(devices.applicationId, deviceTokens.applicationId),
        eq(devices.id, deviceTokens.deviceId),
      ),
    )
    .where(eq(deviceTokens.digest, digest));
  const row = rows[0];
  return row ? { digest, role: row.role, device: toDevice(row) } : null;
}

/** A device, removed or not, in each application of an organisation in which it was ever paired. */
export async function findDeviceInAllApplications(
  db: Database,
  organisationId: number,
  id: string,
): Promise<Device[]> {
  const rows = await db
    .select(deviceColumns)
    .from(devices)
    .where(and(eq(devices.id, id), sql`${devices.state} ->> 'organisationId' = ${organisationId}`));
  return rows.map(toDevice);
}

/**
 * A condition for a batch: the device is still at the version that was read.
 * @param before the device that was read; null: there was none, and there still is none
 */
export function isDeviceUnchanged(
  applicationId: string,
  id: string,
  before: Pick<Device, "version"> | null,
): SQL {
  return sql`(select version from ${devices} where application_id = ${applicationId}
    and id = ${id}) is ${before?.version ?? null}`;
}

/**
 * The statement that writes a device over the version that it was made from, where `onlyIf` holds. It
 * returns a row if it wrote.
 * @param before the version that it was made from; null: the device is new
 */
export function deviceWrite(db: Database, before: Device | null, device: Device, onlyIf: SQL) {
  const { applicationId, id, createdAt, version } = device;
  const removed = device.removedAt !== null;
  const state = JSON.stringify(stateOf(device));
  if (before === null) {
    return db
      .insert(devices)
      .select(
        sql`select ${applicationId}, ${Number(removed)}, ${createdAt}, ${id}, ${version}, null,
          ${state} where ${onlyIf}`,
      )
      .onConflictDoNothing()
      .returning({ id: devices.id });
  }
  // A statement that sets columns of the key moves the row and its index entry, so it sets them only
  // when they change.
  const moves = removed !== (before.removedAt !== null) || createdAt !== before.createdAt;
  return db
    .update(devices)
    .set({ version, state, ...(moves ? { removed, createdAt } : {}) })
    .where(
      and(
        eq(devices.applicationId, applicationId),
        eq(devices.id, id),
        eq(devices.version, before.version),
        onlyIf,
      ),
    )
    .returning({ id: devices.id });
}

/** A device with a new token, and the device before; null: it is new. */
export interface TokenChange {
  before: Device | null;
  device: Device;
  token: { digest: string; role: string };
}

/** The statements that store the digest of a new token, and delete digests that no longer lead to the device. */
export function tokenWrites(db: Database, { before, device, token }: TokenChange, onlyIf: SQL) {
  const known = tokenDigestsOf(device);
  const dropped = (before ? tokenDigestsOf(before) : []).filter((d) => !known.includes(d));
  const insertion = db
    .insert(deviceTokens)
    .select(
      sql`select ${token.digest}, ${device.applicationId}, ${device.id}, ${token.role} where ${onlyIf}`,
    );
  const removals = dropped.map((digest) =>
    db.delete(deviceTokens).where(and(eq(deviceTokens.digest, digest), onlyIf)),
  );
  return [insertion, ...removals] as const;
}

/**
 * Deletes a page of an application's devices with their tokens.
 * @returns how many
 */
export async function deleteDevices(
  db: Database,
  { applicationId, limit }: { applicationId: string; limit: number },
): Promise<number> {
  const inApplication = eq(devices.applicationId, applicationId);
  return deleteAsRead(
    db,
    await db.select(deviceColumns).from(devices).where(inApplication).limit(limit),
  );
}

/**
 * The statement that reads a page of the devices of all applications that were removed before this moment (Unix
 * milliseconds), those first that were removed first.
 */
export function selectRemovedDevices(db: Database, before: number, limit: number) {
  // Written as in the index `devices_removed`, so that SQLite uses it.
  const removedAt = sql`state ->> 'removedAt'`;
  return db
    .select(deviceColumns)
    .from(devices)
    .where(sql`removed = 1 and ${removedAt} < ${before}`)
    .orderBy(removedAt)
    .limit(limit);
}

/**
 * Deletes devices as they were read, with their tokens. One that was changed since then stays.
 * @returns how many were read
 */
export async function deleteAsRead(
  db: Database,
  rows: readonly { state: string; lastSeenAt: number | null }[],
): Promise<number> {
  const found = rows.map(toDevice);
  if (found.length === 0) return 0;
  const digests = JSON.stringify(found.flatMap(tokenDigestsOf));
  const known = found.map(({ applicationId, id, version }) => ({ applicationId, id, version }));
  await db.batch([
    db
      .delete(deviceTokens)
      .where(sql`${deviceTokens.digest} in (select value from json_each(${digests}))`),
    db.delete(devices).where(
      sql`(${devices.applicationId}, ${devices.id}, ${devices.version}) in (
        select value ->> 'applicationId', value ->> 'id', value ->> 'version'
        from json_each(${JSON.stringify(known)}))`,
    ),
  ]);
  return found.length;
}

const deviceColumns = { state: devices.state, lastSeenAt: devices.lastSeenAt };

/** What a row's `state` holds. When the device was last seen is not in it: that has a column of its own. */
function stateOf(device: Device): Device {
  const { lastSeenAt: _, ...state } = device as DeviceWithLastSeen;
  return state;
}
