/**
 * How fast a request is polled, remembered in this isolate: a poll writes nothing. A device that is
 * answered by several isolates in turn may poll as often in each.
 */
import { dropOldest } from "../platform/bounded-memory";

/** A poll that is early by so little is in time: networks jitter. */
const TOLERANCE_MS = 500;
/** Requests remembered; above it the oldest go. */
const MOST_REQUESTS = 20_000;

export class PollPace {
  readonly #intervalMs: number;
  readonly #last = new Map<string, number>();

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Whether this poll comes at its time; one that does not changes nothing. */
  allows(requestId: string, now: number): boolean {
    const last = this.#last.get(requestId);
    if (last !== undefined && now - last < this.#intervalMs - TOLERANCE_MS) return false;
    this.#last.delete(requestId);
    this.#last.set(requestId, now);
    dropOldest(this.#last, MOST_REQUESTS);
    return true;
  }
}
