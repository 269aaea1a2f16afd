/** Devices in live relay sessions: which sessions have a user with which device. */
import { and, eq, type SQL, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type { Database } from "../db/open";
import { devices, sessionDevices } from "../db/schema";

type SessionKey = { organisationId: number; id: string };

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

/** The version of a device, which every change of it raises; null: there is no such device. */
export async function findDeviceVersion(
  db: Database,
  applicationId: string,
  deviceId: string,
): Promise<number | null> {
  const rows = await db
    .select({ version: devices.version })
    .from(devices)
    .where(and(eq(devices.applicationId, applicationId), eq(devices.id, deviceId)));
  return rows[0]?.version ?? null;
}

/**
 * The statements that make D1 show which devices a session has.
 * @param deviceIds of its users now; none once it has ended
 * @param onlyIf must hold: that the batch writes the session's newest state
 */
export function deviceStatements(
  db: Database,
  session: SessionKey,
  deviceIds: readonly string[],
  onlyIf: SQL,
): BatchItem<"sqlite">[] {
  const now = JSON.stringify([...new Set(deviceIds)]);
  const removal = db
    .delete(sessionDevices)
    .where(
      and(
        isSession(session),
        sql`${sessionDevices.deviceId} not in (select value from json_each(${now}))`,
        onlyIf,
      ),
    );
  if (deviceIds.length === 0) return [removal];
  const insertion = db
    .insert(sessionDevices)
    .select(
      sql`select ${session.organisationId}, ${session.id}, value from json_each(${now}) where ${onlyIf}`,
    )
    .onConflictDoNothing();
  return [removal, insertion];
}

/** The statement that forgets a session. */
export function deviceRemoval(db: Database, session: SessionKey) {
  return db.delete(sessionDevices).where(isSession(session));
}

function isSession({ organisationId, id }: SessionKey) {
  return and(eq(sessionDevices.organisationId, organisationId), eq(sessionDevices.sessionId, id));
}
