/** Whether the device of somebody who knocks at a session may be connected, as D1 says now. */
import type { Database } from "../db/open";
import { findPaired, verifyDeviceToken } from "../devices/verify-device";
import { describeError, log } from "../platform/log";
import { withTimeout } from "../platform/wait";
import type { Pairing } from "../session/device-revocation";
import type { RelayUser, Session } from "../session/machine";
import type { AdmissionRefusal, Knock } from "./admission";

/** Reading has failed when it takes longer: a join waits for it. */
const TIMEOUT_MS = 2_000;

/** What the reading stands on: `ctx` keeps what is written behind the answer alive. */
interface Deps {
  db: Database;
  ctx: { waitUntil(promise: Promise<unknown>): void };
}

/** A device that may be connected. */
export interface AdmittedDevice {
  id: string;
  pairing: Pairing;
}

/**
 * The device of who knocks: by the token that it shows, or by the `deviceId` of the user whose tokens
 * were shown. Either way it has to be paired and not revoked.
 * @param users whom it may be
 * @returns null where the user has no device: nothing is read then
 */
export async function readDevice(
  deps: Deps,
  { organisationId }: Session,
  knock: Knock,
  users: readonly RelayUser[],
): Promise<AdmittedDevice | AdmissionRefusal | null> {
  const deviceId = users[0]?.deviceId ?? null;
  if (deviceId === null) return null;
  const { deviceToken } = knock;
  const reading = async () =>
    deviceToken === null
      ? findPaired(deps.db, organisationId, deviceId)
      : verifyDeviceToken(deps, deviceToken, { organisationId, scope: null }, Date.now());
  try {
    const found = await withTimeout(TIMEOUT_MS, reading());
    // A token of a device that is nobody here is as wrong as one that there is not.
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

/** How a session says why a device may not be connected. */
const REFUSALS = {
  "not-found": "wrong-token",
  "not-paired": "device-not-paired",
  revoked: "device-revoked",
  "device-removed": "device-removed",
  // Not asked for: a relay needs no scope.
  "scope-missing": "wrong-token",
} as const;
