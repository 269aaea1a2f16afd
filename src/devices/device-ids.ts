/** Ids of pairing requests and applications. */
import { newEventId } from "../events/event";
import { firstEventIdAt } from "../events/event-store";

/** Of a request: begins with its time, so that ids sort as requests were made. */
export function newRequestId(now: number): string {
  return `pr-${newEventId(now)}`;
}

/** The smallest id of a request of that moment. */
export function firstRequestIdAt(time: number): string {
  return `pr-${firstEventIdAt(time)}`;
}

const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";
const APPLICATION_LENGTH = 14;

/** Of an application: `pa-` and 14 characters, 72 random bits, as the vendor has it. */
export function newApplicationId(): string {
  let id = "";
  while (id.length < APPLICATION_LENGTH) {
    for (const byte of crypto.getRandomValues(new Uint8Array(APPLICATION_LENGTH))) {
      // 252 is the largest multiple of 36 below 256: above it the remainder would favour some characters.
      if (byte < 252 && id.length < APPLICATION_LENGTH) id += ALPHABET.charAt(byte % 36);
    }
  }
  return `pa-${id}`;
}
