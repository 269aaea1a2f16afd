/**
 * Devices and pairing requests as Alibaba's API shows them; its times are Unix milliseconds. Called by
 * `rpc.ts`.
 */
import type { Device } from "../../devices/device";
import type { DeviceWithLastSeen } from "../../devices/device-store";
import type { PairingRequest } from "../../pairing/pairing-request";

/** An entry of `Pending`. */
export function toRpcPending(request: PairingRequest) {
  return {
    PairRequestId: request.id,
    DeviceId: request.deviceId,
    PublicKey: request.publicKey,
    DisplayName: request.displayName,
    Platform: request.platform,
    DeviceFamily: request.family,
    ClientId: request.clientId,
    ClientMode: request.clientMode,
    Role: request.role,
    Roles: request.roles,
    Scopes: request.scopes,
    RemoteIp: request.remoteIp,
    Silent: request.silent,
    IsRepair: request.isRepair,
    Ts: request.requestedAt,
  };
}

/** An entry of `Paired`. The time of approval stands for a device that was never seen. */
export function toRpcPaired(device: DeviceWithLastSeen) {
  return {
    DeviceId: device.id,
    DisplayName: device.displayName,
    Platform: device.platform,
    DeviceFamily: device.family,
    ClientId: device.clientId,
    ClientMode: device.clientMode,
    Role: device.role,
    Scopes: device.scopes,
    CreatedAtMs: device.createdAt,
    LastSeenAtMs: Math.max(device.lastSeenAt ?? 0, device.createdAt),
  };
}

/** The `Device` of an approval. */
export function toRpcDevice(device: Device) {
  return {
    DeviceId: device.id,
    DisplayName: device.displayName,
    Platform: device.platform,
    DeviceFamily: device.family,
    Role: device.role,
    Scopes: device.scopes,
    CreatedAtMs: device.createdAt,
  };
}
