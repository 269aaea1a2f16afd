/**
 * Open relay sockets of a device that was removed, revoked, rotated by an operator or narrowed are
 * closed: at once by whoever did it, and again by the consumer of the event, in case that Worker died
 * or a session could not be reached. Who was let in since then stays.
 */
import type { Database } from "../db/open";
import type { DomainEvent } from "../events/event";
import { describeError, log } from "../platform/log";
import { findSessionsWithDevice } from "../session/presence";
import type { SessionClient } from "../session/session-client";
import type { Device, DeviceEventData } from "./device";

/** Sessions reached side by side: all that a device has are told within a second. */
const AT_ONCE = 50;

/** What of a device its sockets are known by. */
export type CutDevice = Pick<Device, "organisationId" | "applicationId" | "id" | "version">;

/**
 * Tells every session in which the device is a user to close the sockets that it opened before this
 * version of it.
 * @throws UnavailableError when a session could not be told; the others were
 */
export async function cutDevice(
  db: Database,
  sessions: SessionClient,
  device: CutDevice,
): Promise<void> {
  const ids = await findSessionsWithDevice(db, device.organisationId, device.id);
  const failures: unknown[] = [];
  for (let i = 0; i < ids.length; i += AT_ONCE) {
    const told = ids.slice(i, i + AT_ONCE).map((id) =>
      sessions.cutDevice(id, {
        organisationId: device.organisationId,
        applicationId: device.applicationId,
        deviceId: device.id,
        version: device.version,
      }),
    );
    for (const one of await Promise.allSettled(told)) {
      if (one.status === "rejected") failures.push(one.reason);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** Closes the sockets of a device, and never fails: what could not be reached is left to the consumer. */
export async function closeSockets(
  { db, sessions }: { db: Database; sessions: SessionClient },
  device: CutDevice,
): Promise<void> {
  await cutDevice(db, sessions, device).catch((error) =>
    log("device sockets not closed", { error: describeError(error) }),
  );
}

/**
 * What the consumer of events does for a device.
 * @throws UnavailableError when a session could not be told: the event is to come again
 */
export async function cutByEvent(
  db: Database,
  sessions: SessionClient,
  { data }: DomainEvent,
): Promise<void> {
  const cut = toCut(data);
  if (cut) await cutDevice(db, sessions, cut);
}

/** What the event of an approval says of the device: the pairing request itself is not this room's. */
interface ApprovedRequest {
  organisationId: number;
  applicationId: string;
  deviceId: string;
  closesSocketsBefore?: number;
}

/** The device whose sockets an event closes; null: it closes none. */
function toCut(
  data: DeviceEventData | { pairRequest: ApprovedRequest } | object,
): CutDevice | null {
  const about =
    "device" in data
      ? data.device
      : "pairRequest" in data
        ? { ...data.pairRequest, id: data.pairRequest.deviceId }
        : null;
  const version = about?.closesSocketsBefore ?? null;
  if (about === null || version === null) return null;
  const { organisationId, applicationId, id } = about;
  return { organisationId, applicationId, id, version };
}
