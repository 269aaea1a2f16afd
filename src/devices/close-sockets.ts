/**
 * Closes the relay sockets of a device that was removed or revoked, whose token an operator rotated, or
 * which lost access. This happens twice. The call that makes the change closes them at once. The outbox
 * of the event closes them again, because that Worker may have died or a session may not have answered.
 * Sockets that the device opened after the change stay open.
 */
import type { Database } from "../db/open";
import type { DomainEvent } from "../events/event";
import { describeError, log } from "../platform/log";
import { sideBySide } from "../platform/side-by-side";
import { findSessionsWithDevice } from "../session/connections-and-devices";
import type { SessionClient } from "../session/session-client";
import type { Device, DeviceEventData } from "./device";

/** How many sessions are told at the same time: all sessions of a device are told within a second. */
const AT_ONCE = 50;

/** A device at one version. */
export type DeviceVersion = Pick<Device, "organisationId" | "applicationId" | "id" | "version">;

/**
 * Tells every session in which the device is a user to close the sockets that the device opened before
 * this version of it.
 * @throws UnavailableError when a session could not be told. All others were told
 */
export async function closeDeviceSockets(
  db: Database,
  sessions: SessionClient,
  device: DeviceVersion,
): Promise<void> {
  const ids = await findSessionsWithDevice(db, device.organisationId, device.id);
  const calls = await sideBySide(ids, AT_ONCE, (id) =>
    sessions.closeDeviceSockets(id, {
      organisationId: device.organisationId,
      applicationId: device.applicationId,
      deviceId: device.id,
      version: device.version,
    }),
  );
  const failed = calls.find((call) => call.status === "rejected");
  if (failed) throw failed.reason;
}

/**
 * Closes the sockets of a device for the call that has changed it. It never fails, because the change is
 * stored already. Where a session could not be told, the outbox of the event tells it later.
 */
export async function closeDeviceSocketsNow(
  { db, sessions }: { db: Database; sessions: SessionClient },
  device: DeviceVersion,
): Promise<void> {
  await closeDeviceSockets(db, sessions, device).catch((error) =>
    log("device sockets not closed", { error: describeError(error) }),
  );
}

/**
 * Closes the sockets that an event is to close; of most events these are none. Of an approval it also tells
 * the device's sessions, if it closes none: where the device was a user before it was paired, the session's
 * relay node does not let it in yet. The outbox calls it when the event is recorded.
 * @throws UnavailableError when a session could not be told. It is called again then
 */
export async function closeSocketsForEvent(
  db: Database,
  sessions: SessionClient,
  event: DomainEvent<DeviceEventData | { pairRequest: ApprovedRequest } | object>,
): Promise<void> {
  const device = deviceToTellOf(event);
  if (device) await closeDeviceSockets(db, sessions, device);
}

/** The part of an approval's event that is read here. The type of the event belongs to `pairing/`, a later room. */
interface ApprovedRequest {
  organisationId: number;
  applicationId: string;
  deviceId: string;
  /** A version of the device, not a time. */
  closesSocketsBefore?: number;
}

/** No socket was opened before this version. */
const BEFORE_ALL = 0;

/** The device whose sessions are told of an event, and before which version sockets close; null: none are. */
function deviceToTellOf({
  type,
  data,
}: DomainEvent<DeviceEventData | { pairRequest: ApprovedRequest } | object>): DeviceVersion | null {
  const about =
    "device" in data
      ? data.device
      : "pairRequest" in data
        ? { ...data.pairRequest, id: data.pairRequest.deviceId }
        : null;
  const closesNone = type === "device.pair.approved" ? BEFORE_ALL : null;
  const version = about?.closesSocketsBefore ?? closesNone;
  if (about === null || version === null) return null;
  const { organisationId, applicationId, id } = about;
  return { organisationId, applicationId, id, version };
}
