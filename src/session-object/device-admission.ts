/** Whether D1 says now that the device of a user may be connected. Admission asks before it lets a user in. */
import type { Database } from "../db/open";
import { findPairedDevice, verifyDeviceToken } from "../devices/verify-device";
import { describeError, log } from "../platform/log";
import { withTimeout } from "../platform/wait";
import type { DevicePairing } from "../session/device-revocation";
import type { RelayUser, Session } from "../session/session";
import type { UpgradeRequest } from "./upgrade-request";

/** Reading has failed when it takes longer: a join waits for it. */
const TIMEOUT_MS = 2_000;

/** What reading a device needs: `ctx` keeps alive what is written behind the answer. */
interface DeviceReader {
  db: Database;
  ctx: { waitUntil(promise: Promise<unknown>): void };
}

/** A device that may be connected. */
export interface AdmittedDevice {
  id: string;
  pairing: DevicePairing;
}

/** Why a device may not be connected. */
export interface DeviceAdmissionRefusal {
  code:
    | "wrong-token"
    | "device-not-paired"
    | "device-revoked"
    | "device-removed"
    | "device-not-read";
}

/**
 * The device of a request: by the device token that it shows, or by the `deviceId` of the user whose
 * tokens it shows. Either way the device has to be paired and not revoked.
 * @param users the possible users of the request
 * @returns null where the user has no device: nothing is read then
 */
export async function readDevice(
  reader: DeviceReader,
  { organisationId }: Session,
  { deviceToken }: UpgradeRequest,
  users: readonly RelayUser[],
): Promise<AdmittedDevice | DeviceAdmissionRefusal | null> {
  const deviceId = users[0]?.deviceId ?? null;
  if (deviceId === null) return null;
  const reading = async () =>
    deviceToken === null
      ? findPairedDevice(reader.db, organisationId, deviceId)
      : verifyDeviceToken(reader, deviceToken, { organisationId, scope: null }, Date.now());
  try {
    const found = await withTimeout(TIMEOUT_MS, reading());
    // The token of a device that is no user's here is as wrong as a token that does not exist.
    const isOfUser = (id: string) => users.some((user) => user.deviceId === id);
    if ("device" in found && !isOfUser(found.device.id)) return { code: "wrong-token" };
    if (!found.ok) return { code: REFUSALS[found.code] };
    const { id, applicationId, version } = found.device;
    return { id, pairing: { applicationId, version } };
  } catch (error) {
    log("device not read", { organisation: organisationId, error: describeError(error) });
    return { code: "device-not-read" };
  }
}

/** The session's code for each code of the devices' room. */
const REFUSALS = {
  "not-found": "wrong-token",
  "not-paired": "device-not-paired",
  revoked: "device-revoked",
  "device-removed": "device-removed",
  // Never the answer here: the relay asks for no scope.
  "scope-missing": "wrong-token",
} as const;

/**
 * Which of these devices are paired now, and not revoked: users with another one get no datagrams. Where
 * that cannot be read, none is.
 */
export async function readPairedDevices(
  db: Database,
  organisationId: number,
  deviceIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const reading = deviceIds.map((id) => findPairedDevice(db, organisationId, id));
  try {
    const found = await withTimeout(TIMEOUT_MS, Promise.all(reading));
    return new Set(deviceIds.filter((_, i) => found[i]?.ok));
  } catch (error) {
    log("devices not read", { organisation: organisationId, error: describeError(error) });
    return new Set();
  }
}
