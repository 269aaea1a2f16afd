/**
 * Devices are removed and their tokens revoked. What the device asks for at that moment ends with it, in
 * the same batch: only what it asks for afterwards can let it back in.
 */
import { grantOf, removeDevice, revokeToken } from "../devices/device";
import {
  type BatchAddition,
  changeDevice,
  type DeviceChangeResult,
  type DeviceRef,
} from "../devices/manage-devices";
import type { Actor, DeviceServices } from "../devices/operator";
import { isExpired } from "./pairing-request";
import { endingOf } from "./request-endings";
import {
  hasRequestEnded,
  isPendingRequestUnchanged,
  requestEndingUpdate,
  selectPendingRequest,
  toPairRequest,
} from "./request-store";

/** Which device of the operator's organisation. */
type OwnDevice = Omit<DeviceRef, "organisationId">;

/** Removes a device: its tokens stop, and only a new approval lets it back in. */
export function removePairedDevice(
  deps: DeviceServices,
  operator: Actor,
  own: OwnDevice,
  now: number,
): Promise<DeviceChangeResult> {
  const address = { ...own, organisationId: operator.organisationId };
  return changeDevice(deps, address, now, async (device) => ({
    device: removeDevice(device, now),
    event: { type: "device.removed", role: null, closesSockets: true },
    further: await endPending(deps, operator, { ...own, reason: "device-removed" }, now),
  }));
}

/** Revokes a role's token: only a new approval brings it back. */
export function revokeDeviceToken(
  deps: DeviceServices,
  operator: Actor,
  { role, ...own }: OwnDevice & { role: string },
  now: number,
): Promise<DeviceChangeResult> {
  const address = { ...own, organisationId: operator.organisationId };
  return changeDevice(deps, address, now, async (device) => {
    if (!device.roles.includes(role)) return { code: "role-not-approved", role };
    if (grantOf(device, role).revoked) return { code: "token-revoked", role };
    return {
      device: revokeToken(device, role),
      event: { type: "device.token.revoked", role, closesSockets: true },
      further: await endPending(deps, operator, { ...own, reason: "token-revoked" }, now),
    };
  });
}

/** The end of what the device asks for now: the operator has rejected it, unless its time was over. */
async function endPending(
  { db }: DeviceServices,
  operator: Actor,
  { applicationId, deviceId, reason }: OwnDevice & { reason: string },
  now: number,
): Promise<BatchAddition> {
  const rows = await selectPendingRequest(db, applicationId, deviceId);
  if (!rows[0]) {
    const mayGoOn = isPendingRequestUnchanged(applicationId, deviceId, null);
    return { statements: () => [], mayGoOn, owed: [] };
  }
  const request = toPairRequest(rows[0]);
  const { ending, event } = isExpired(request, now)
    ? endingOf(request, "expired", now)
    : endingOf(request, "rejected", now, {
        decidedBy: operator.keyId,
        decidedByEmail: operator.session?.email ?? null,
        granted: null,
        reason,
      });
  return {
    statements: (onlyIf) => [requestEndingUpdate(db, ending, onlyIf)],
    mayGoOn: hasRequestEnded(ending),
    owed: [event],
  };
}
