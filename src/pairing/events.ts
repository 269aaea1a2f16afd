import { type DomainEvent, newEventId } from "../events/event";
import type { PairRequest, PairRequestEventData } from "./request";

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
