/**
 * A limit per minute, counted in this isolate: no write, no call. The limit is therefore per isolate,
 * of which Cloudflare runs few per place; it stops guessing and floods, it does not bill.
 */
import { dropOldest } from "../platform/bounded-memory";

const WINDOW_MS = 60_000;
/** Subjects remembered; above it the oldest go, so a flood of addresses cannot fill the memory. */
const MOST_SUBJECTS = 20_000;

/** Counts events by subject, such as an address. */
export class MinuteLimit {
  readonly #counts = new Map<string, { count: number; endsAt: number }>();

  /**
   * Whether the subject may go on: 0, or in how many seconds to try again.
   * @param perMinute 0 switches the limit off
   * @param now Unix milliseconds
   */
  retryAfterSeconds(subject: string, perMinute: number, now: number): number {
    const entry = this.#counts.get(subject);
    if (perMinute === 0 || !entry || entry.endsAt <= now || entry.count < perMinute) return 0;
    return Math.ceil((entry.endsAt - now) / 1_000);
  }

  /** Counts one event of the subject. */
  count(subject: string, now: number): void {
    const entry = this.#counts.get(subject);
    if (entry && entry.endsAt > now) {
      entry.count += 1;
      return;
    }
    this.#counts.delete(subject);
    this.#counts.set(subject, { count: 1, endsAt: now + WINDOW_MS });
    dropOldest(this.#counts, MOST_SUBJECTS);
  }
}
