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

  /** Whether it is time to look: it is asked for every frame. A clock that went backwards changes nothing. */
  isTime(now: number): boolean {
    return Math.abs(now - this.#lookedAt) >= LOOK_EVERY_MS;
  }

  /** Those of the participants that count as gone. */
  find(participants: Iterable<Participant>, now: number): Participant[] {
    this.#lookedAt = now;
    return [...participants].filter(({ ws, heardAt }) => {
      const ping = this.#lastPing(ws);
      return ping !== null && now - Math.max(ping, heardAt) >= SILENT_MS;
    });
  }
}
