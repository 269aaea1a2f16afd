/** The `device.pair.*` events of pairing requests. The functions that make, decide and end requests record them. */
import type { Device } from "../devices/device";
import { type DomainEvent, newEventId } from "../events/event";
import type { PairingRequest, PairingRequestEventData } from "./pairing-request";

/** The event of a new request, or of one that has ended with this status. */
export function pairingRequestEvent(
  type: "requested" | Exclude<PairingRequest["status"], "pending">,
  pairRequest: PairingRequestEventData["pairRequest"],
  now: number,
): DomainEvent<PairingRequestEventData> {
  return {
    id: newEventId(now),
    organisationId: pairRequest.organisationId,
    type: `device.pair.${type}`,
    at: now,
    data: { pairRequest },
  };
}

/**
 * The event of an approval that takes access from a device. Its consumer closes the sockets that the
 * device opened before this version of it.
 */
export function withSocketsToClose(
  event: DomainEvent<PairingRequestEventData>,
  { version }: Pick<Device, "version">,
): DomainEvent<PairingRequestEventData> {
  return {
    ...event,
    data: { pairRequest: { ...event.data.pairRequest, closesSocketsBefore: version } },
  };
}
