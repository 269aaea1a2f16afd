/** The `device.*` events of changes of a paired device, as `manage-devices.ts` records them. */
import { type DomainEvent, newEventId } from "../events/event";
import type { Device } from "./device";

/** Which event a change of a device has. */
export interface DeviceAnnouncement {
  type: "device.removed" | "device.token.rotated" | "device.token.revoked";
  /** The role whose token the event is about; null: all roles. */
  role: string | null;
  /** Whether the sockets that the device has open are closed. */
  closesSockets: boolean;
}

/** The event of a changed device. It leaves out the digests of the device's tokens. */
export function deviceEvent(
  { type, role, closesSockets }: DeviceAnnouncement,
  device: Device,
  now: number,
): DomainEvent {
  const { grants: _, ...facts } = device;
  const closesSocketsBefore = closesSockets ? device.version : null;
  return {
    id: newEventId(now),
    organisationId: device.organisationId,
    type,
    at: now,
    data: { device: { ...facts, tokenRole: role, closesSocketsBefore } },
  };
}
