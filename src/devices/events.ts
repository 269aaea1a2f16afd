/** The events of pairing. */
import { type DomainEvent, newEventId } from "../events/event";
import { type Device, type DeviceFacts, deviceFacts } from "./device";

/** What is announced of a device. */
export function deviceEvent(
  type: "device.removed" | "device.token.rotated" | "device.token.revoked",
  device: Device,
  tokenRole: DeviceFacts["tokenRole"],
  now: number,
): DomainEvent {
  return {
    id: newEventId(now),
    organisationId: device.organisationId,
    type,
    at: now,
    data: { device: deviceFacts(device, tokenRole) },
  };
}
