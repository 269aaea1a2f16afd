/** The events of pairing requests. */
import type { Device } from "../devices/device";
import { type DomainEvent, newEventId } from "../events/event";
import type { PairRequest, PairRequestEventData } from "./pairing-request";

/** What is announced of a pairing request, by what became of it. */
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

/** An approval that gives this device less than it had: its open sockets are to be closed. */
export function withSocketsToClose(
  event: DomainEvent<PairRequestEventData>,
  { version }: Pick<Device, "version">,
): DomainEvent<PairRequestEventData> {
  return {
    ...event,
    data: { pairRequest: { ...event.data.pairRequest, closesSocketsBefore: version } },
  };
}
