/**
 * Devices and pairing requests as Alibaba's API shows them; its times are Unix milliseconds. Called by
 * `actions.ts`.
 */
import * as z from "zod";
import type { Device } from "../../devices/device";
import type { DeviceWithLastSeen } from "../../devices/device-store";
import type { Shown } from "../../http/operation";
import type { PairingRequest } from "../../pairing/pairing-request";

/** The schema of a time. */
const time = z.int().meta({ description: "Unix milliseconds." });
const texts = z.array(z.string());

/** The schema of an entry of `Pending`. */
export const rpcPending = z
  .object({
    PairRequestId: z.string(),
    DeviceId: z.string(),
    PublicKey: z.string(),
    DisplayName: z.string(),
    Platform: z.string(),
    DeviceFamily: z.string(),
    ClientId: z.string(),
    ClientMode: z.string(),
    Role: z.string(),
    Roles: texts,
    Scopes: texts,
    RemoteIp: z.string(),
    Silent: z.boolean(),
    IsRepair: z.boolean().meta({ description: "The device was paired already." }),
    Ts: time,
  })
  .meta({ id: "RpcPendingRequest" });

/** The schema of an entry of `Paired`. */
export const rpcPaired = z
  .object({
    DeviceId: z.string(),
    DisplayName: z.string(),
    Platform: z.string(),
    DeviceFamily: z.string(),
    ClientId: z.string(),
    ClientMode: z.string(),
    Role: z.string(),
    Scopes: texts,
    CreatedAtMs: time,
    LastSeenAtMs: time,
  })
  .meta({ id: "RpcPairedDevice" });

/** The schema of the `Device` of an approval. */
export const rpcDevice = z
  .object({
    DeviceId: z.string(),
    DisplayName: z.string(),
    Platform: z.string(),
    DeviceFamily: z.string(),
    Role: z.string(),
    Scopes: texts,
    CreatedAtMs: time,
  })
  .meta({ id: "RpcDevice" });

/** An entry of `Pending`. */
export function toRpcPending(request: PairingRequest): Shown<typeof rpcPending> {
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
export function toRpcPaired(device: DeviceWithLastSeen): Shown<typeof rpcPaired> {
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
export function toRpcDevice(device: Device): Shown<typeof rpcDevice> {
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
