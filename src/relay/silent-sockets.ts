/**
 * Finds the sockets that are open only because nobody has told us that the other end is gone: a client that
 * pinged by text, and of which nothing was heard since. The hub asks it. Who never pings by text may be
 * silent for as long as it likes.
 */
import type { Participant } from "./participant";

/** After so long without any message, text pings included, the other end counts as gone. */
const SILENT_MS = 60_000;
/** How often it looks, at most: each look asks the platform about every socket. */
const LOOK_EVERY_MS = 5_000;

export class SilentSockets {
  readonly #lastPing: (ws: WebSocket) => number | null;
  #lookedAt = Number.NEGATIVE_INFINITY;

  /** @param lastPing when a socket has pinged by text last, Unix milliseconds; null: never */
  constructor(lastPing: (ws: WebSocket) => number | null) {
    this.#lastPing = lastPing;
  }

  /** Those of the participants that count as gone; none if it has looked a moment ago. */
  find(participants: Iterable<Participant>, now: number): Participant[] {
    // A clock that went backwards does not keep it from looking.
    if (Math.abs(now - this.#lookedAt) < LOOK_EVERY_MS) return [];
    this.#lookedAt = now;
    return [...participants].filter(({ ws, heardAt }) => {
      const ping = this.#lastPing(ws);
      return ping !== null && now - Math.max(ping, heardAt) >= SILENT_MS;
    });
  }
}
