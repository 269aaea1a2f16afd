/**
 * Locks an address out of a session after too many wrong tokens. In memory: a write for each wrong
 * guess would be a cost that a guesser sets, and an eviction needs ten quiet seconds.
 */
import { dropOldest } from "../platform/bounded-memory";

const FAILURES = 10;
const WINDOW_MS = 60_000;
const LOCK_MS = 60_000;
/** Addresses remembered; above it the oldest go, so a flood of addresses cannot fill the memory. */
const MOST_ADDRESSES = 1_000;

interface Entry {
  failures: number;
  windowEndsAt: number;
  lockedUntil: number;
}

/** Counts failures by address. Times are Unix milliseconds. */
export class FailureLock {
  readonly #entries = new Map<string, Entry>();

  /** For how many seconds this address is still locked out; 0 when it is not. */
  secondsLeft(address: string, now: number): number {
    const until = this.#entries.get(address)?.lockedUntil ?? 0;
    return Math.max(0, Math.ceil((until - now) / 1_000));
  }

  /** Counts a failure; the tenth within a minute locks the address for a minute. */
  fail(address: string, now: number): void {
    const before = this.#entries.get(address);
    const entry =
      before && before.windowEndsAt > now
        ? before
        : { failures: 0, windowEndsAt: now + WINDOW_MS, lockedUntil: 0 };
    entry.failures += 1;
    if (entry.failures >= FAILURES) entry.lockedUntil = now + LOCK_MS;
    this.#entries.delete(address);
    this.#entries.set(address, entry);
    dropOldest(this.#entries, MOST_ADDRESSES);
  }
}
