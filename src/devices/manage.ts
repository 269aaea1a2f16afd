/**
 * Paired devices are renamed, removed, and their tokens rotated and revoked. A change is written over
 * the version that it was decided on; who comes second decides again.
 */
import { runBatch } from "../db/batch";
import { retryChange } from "../db/retry";
import { selectApplication } from "./application-store";
import { closeSockets } from "./close-sockets";
import { type Device, grantOf, issueToken, removeDevice, revokeToken, rotateToken } from "./device";
import {
  deviceWrite,
  isUnchanged,
  type SeenDevice,
  selectDevice,
  toDevice,
  tokenWrites,
} from "./device-store";
import { deviceEvent } from "./events";
import type { DeviceDeps, Operator } from "./operator";
import { findScopeNotHeld, isWithin, scopesOf } from "./scopes";
import { newDeviceToken } from "./token";

/** Why a device was not changed. */
export type ManageRefusal =
  | { code: "application-not-found" }
  | { code: "device-not-found" }
  | { code: "role-not-approved"; role: string }
  | { code: "token-revoked"; role: string }
  | { code: "exceeds-approved"; scope: string }
  | { code: "scope-not-held"; scope: string };

/** The changed device, or why there was no change. */
export type ManageResult = { ok: true; device: SeenDevice } | { ok: false; refusal: ManageRefusal };

/** Which device, and of whose. */
export interface DeviceAddress {
  organisationId: number;
  applicationId: string;
  deviceId: string;
}

/** What a change makes of a device. */
interface Change {
  device: Device;
  event: { type: Parameters<typeof deviceEvent>[0]; role: string | null } | null;
  /** A token stops working that may have opened sockets. */
  stops: boolean;
  /** A token that was made with it. */
  token?: { digest: string; role: string };
}
type Decide = (device: Device) => Change | ManageRefusal;

/** Gives a device a name of the operators', or (null) takes it. */
export function labelDevice(
  deps: DeviceDeps,
  address: DeviceAddress,
  label: string | null,
  now: number,
): Promise<ManageResult> {
  return change(deps, address, now, (device) => ({
    device: { ...device, version: device.version + 1, label },
    event: null,
    stops: false,
  }));
}

/** Removes a device: its tokens stop, and only a new approval lets it back in. */
export function removePairedDevice(
  deps: DeviceDeps,
  address: DeviceAddress,
  now: number,
): Promise<ManageResult> {
  return change(deps, address, now, (device) => ({
    device: removeDevice(device, now),
    event: { type: "device.removed", role: null },
    stops: true,
  }));
}

/** Revokes a role's token: only a new approval brings it back. */
export function revokeDeviceToken(
  deps: DeviceDeps,
  address: DeviceAddress,
  role: string,
  now: number,
): Promise<ManageResult> {
  return change(deps, address, now, (device) => {
    if (!device.roles.includes(role)) return { code: "role-not-approved", role };
    if (grantOf(device, role).revoked) return { code: "token-revoked", role };
    return {
      device: revokeToken(device, role),
      event: { type: "device.token.revoked", role },
      stops: true,
    };
  });
}

/**
 * Stops a role's token, whose device collects another one by a signed request.
 * @param scopes what tokens of the role may carry from now on; null: as before. Within what is
 *   approved, and held by the operator
 */
export function rotateForOperator(
  deps: DeviceDeps,
  operator: Operator,
  address: Omit<DeviceAddress, "organisationId">,
  role: string,
  scopes: readonly string[] | null,
  now: number,
): Promise<ManageResult> {
  const whole = { ...address, organisationId: operator.organisationId };
  return change(deps, whole, now, (device) => {
    const grant = grantOf(device, role);
    const limit = scopes ?? grant.limit;
    const refusal = judgeRotation(device, role, limit) ?? judgeHeld(operator.permissions, limit);
    if (refusal) return refusal;
    return {
      device: rotateToken(device, role, limit),
      event: { type: "device.token.rotated", role },
      stops: true,
    };
  });
}

/** A device that shows its own token gets another one in its place, with its scopes or some of them. */
export async function rotateForDevice(
  deps: DeviceDeps,
  own: { device: Device; role: string; scopes: readonly string[] },
  wanted: readonly string[] | null,
  now: number,
): Promise<
  | { ok: true; token: string; role: string; scopes: readonly string[] }
  | { ok: false; refusal: ManageRefusal }
> {
  const { applicationId, organisationId, id: deviceId } = own.device;
  const { role } = own;
  const { token, digest } = newDeviceToken();
  const scopes = wanted ?? own.scopes;
  let carried: readonly string[] = [];
  const address = { organisationId, applicationId, deviceId };
  const result = await change(deps, address, now, (device) => {
    const beyond = scopes.find((scope) => !isWithin([scope], own.scopes));
    if (beyond !== undefined) return { code: "scope-not-held", scope: beyond };
    const refusal = judgeRotation(device, role, scopes);
    if (refusal) return refusal;
    const issued = issueToken(device, role, scopes, digest);
    carried = issued.scopes;
    return {
      device: issued.device,
      event: { type: "device.token.rotated", role },
      stops: false,
      token: { digest, role },
    };
  });
  return result.ok ? { ok: true, token, role, scopes: carried } : result;
}

function judgeRotation(
  device: Device,
  role: string,
  scopes: readonly string[],
): ManageRefusal | null {
  if (!device.roles.includes(role)) return { code: "role-not-approved", role };
  if (grantOf(device, role).revoked) return { code: "token-revoked", role };
  const approved = scopesOf(role, device.scopes);
  const scope = scopes.find((each) => !isWithin([each], approved));
  return scope === undefined ? null : { code: "exceeds-approved", scope };
}

function judgeHeld(
  permissions: readonly string[],
  scopes: readonly string[],
): ManageRefusal | null {
  const scope = findScopeNotHeld(permissions, scopes);
  return scope === null ? null : { code: "scope-not-held", scope };
}

async function change(
  deps: DeviceDeps,
  address: DeviceAddress,
  now: number,
  decide: Decide,
): Promise<ManageResult> {
  const { db } = deps;
  return retryChange<ManageResult>("the device", async () => {
    const { applications, rows } = await runBatch(db, {
      applications: selectApplication(db, address.organisationId, address.applicationId),
      rows: selectDevice(db, address.applicationId, address.deviceId),
    });
    if (!applications[0]) return { ok: false, refusal: { code: "application-not-found" } };
    const before = rows[0] ? toDevice(rows[0]) : null;
    if (!before || before.removedAt !== null) {
      return { ok: false, refusal: { code: "device-not-found" } };
    }
    const decided = decide(before);
    if ("code" in decided) return { ok: false, refusal: decided };
    if (await write(deps, before, decided, now)) {
      if (decided.stops) await closeSockets(deps, decided.device);
      return { ok: true, device: { ...decided.device, lastSeenAt: before.lastSeenAt } };
    }
    return undefined;
  });
}

/** Writes a change with its event; false when the device was changed since it was read. */
async function write(
  deps: DeviceDeps,
  before: Device,
  { device, event, token }: Change,
  now: number,
): Promise<boolean> {
  const { db, events } = deps;
  const unchanged = isUnchanged(device.applicationId, device.id, before);
  const owed = event ? [deviceEvent(event.type, device, event.role, now)] : [];
  // The write of the device comes last: it makes the condition of the others untrue.
  const { written } = await runBatch(db, {
    events: event ? events.insertion(owed, unchanged) : [],
    tokens: token ? tokenWrites(db, before, device, token, unchanged) : [],
    written: deviceWrite(db, before, device, unchanged),
  });
  if (written.length === 0) return false;
  if (event) events.announce(owed);
  return true;
}
