/**
 * Operators remove devices and revoke their tokens. The pending request of the device ends in the same
 * batch. So no request from before can let the device back in; it has to make a new one.
 */
import type { Actor } from "../devices/actor";
import { grantOf, removeDevice, revokeToken } from "../devices/device";
import type { DeviceServices } from "../devices/device-services";
import {
  type BatchAddition,
  changeDevice,
  type DeviceChangeResult,
  type OwnDeviceRef,
} from "../devices/manage-devices";
import { isExpired } from "./pairing-request";
import { endingOf } from "./request-endings";
import {
  hasRequestEnded,
  isPendingRequestUnchanged,
  requestEndingUpdate,
  selectPendingRequest,
  toPairingRequest,
} from "./request-store";

/** Removes a device. Its tokens stop working, and only a new approval lets it back in. */
export function removePairedDevice(
  services: DeviceServices,
  actor: Actor,
  own: OwnDeviceRef,
  now: number,
): Promise<DeviceChangeResult> {
  const ref = { ...own, organisationId: actor.organisationId };
  return changeDevice(services, ref, now, async (device) => ({
    device: removeDevice(device, now),
    event: { type: "device.removed", role: null, closesSockets: true },
    addition: await endPendingRequest(services, actor, { ...own, reason: "device-removed" }, now),
  }));
}

/** Revokes the token of a role. Only a new approval gives the role a token again. */
export function revokeDeviceToken(
  services: DeviceServices,
  actor: Actor,
  { role, ...own }: OwnDeviceRef & { role: string },
  now: number,
): Promise<DeviceChangeResult> {
  const ref = { ...own, organisationId: actor.organisationId };
  return changeDevice(services, ref, now, async (device) => {
    if (!device.roles.includes(role)) return { code: "role-not-approved", role };
    if (grantOf(device, role).revoked) return { code: "token-revoked", role };
    return {
      device: revokeToken(device, role),
      event: { type: "device.token.revoked", role, closesSockets: true },
      addition: await endPendingRequest(services, actor, { ...own, reason: "token-revoked" }, now),
    };
  });
}

/** Ends the pending request of a device, if it has one: as rejected by the actor, or as expired. */
async function endPendingRequest(
  { db }: DeviceServices,
  actor: Actor,
  { applicationId, deviceId, reason }: OwnDeviceRef & { reason: string },
  now: number,
): Promise<BatchAddition> {
  const rows = await selectPendingRequest(db, applicationId, deviceId);
  if (!rows[0]) {
    const mayGoOn = isPendingRequestUnchanged(applicationId, deviceId, null);
    return { statements: () => [], mayGoOn, events: [] };
  }
  const request = toPairingRequest(rows[0]);
  const { ending, event } = isExpired(request, now)
    ? endingOf(request, "expired", now)
    : endingOf(request, "rejected", now, {
        decidedBy: actor.keyId,
        decidedByEmail: actor.session?.email ?? null,
        granted: null,
        reason,
      });
  return {
    statements: (onlyIf) => [requestEndingUpdate(db, ending, onlyIf)],
    mayGoOn: hasRequestEnded(ending),
    events: [event],
  };
}
