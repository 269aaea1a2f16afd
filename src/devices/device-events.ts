/** The events of devices. */
import { type DomainEvent, newEventId } from "../events/event";
import type { Device } from "./device";

/** What happened to a device. */
export interface DeviceAnnouncement {
  type: "device.removed" | "device.token.rotated" | "device.token.revoked";
  /** Whose token it is about; null: those of all roles. */
  role: string | null;
  /** Whether the sockets are closed that the device has open. */
  closesSockets: boolean;
}

/** What is announced of a device. It holds nothing that its tokens are known by. */
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
