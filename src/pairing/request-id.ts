/** Ids of pairing requests. They begin with the time, so they sort in the order of the requests. */
import { newEventId } from "../events/event";
import { firstEventIdAt } from "../events/journal-key";

/** A new id for a request that is made now. */
export function newPairingRequestId(now: number): string {
  return `pr-${newEventId(now)}`;
}

/** The smallest id that a request of this moment can have. */
export function firstPairingRequestIdAt(time: number): string {
  return `pr-${firstEventIdAt(time)}`;
}
