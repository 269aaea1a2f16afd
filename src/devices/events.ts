/** The events of pairing. */
import { type DomainEvent, newEventId, type PairRequestEventData } from "../events/event";
import { type Device, type DeviceFacts, deviceFacts } from "./device";
import type { PairRequest } from "./pairing";

/** What is announced of a pairing request, by what became of it. */
export function pairRequestEvent(
  type: "requested" | Exclude<PairRequest["status"], "pending">,
  pairRequest: PairRequest,
  now: number,
): DomainEvent<PairRequestEventData> {
  return {
    id: newEventId(now),
    organisationId: pairRequest.organisationId,
    type: `device.pair.${type}`,
    at: now,
    data: { pairRequest },
  };
}

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
