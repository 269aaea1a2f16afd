/** The `device.pair.*` events of pairing requests. The functions that make, decide and end requests record them. */
import type { Device } from "../devices/device";
import { type DomainEvent, newEventId } from "../events/event";
import type { PairRequest, PairRequestEventData } from "./pairing-request";

/** The event of a new request, or of one that has ended with this status. */
export function pairRequestEvent(
  type: "requested" | Exclude<PairRequest["status"], "pending">,
  pairRequest: PairRequestEventData["pairRequest"],
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

/**
 * The event of an approval that takes access from a device. Its consumer closes the sockets that the
 * device opened before this version of it.
 */
export function withSocketsToClose(
  event: DomainEvent<PairRequestEventData>,
  { version }: Pick<Device, "version">,
): DomainEvent<PairRequestEventData> {
  return {
    ...event,
    data: { pairRequest: { ...event.data.pairRequest, closesSocketsBefore: version } },
  };
}
