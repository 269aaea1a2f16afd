/**
 * Counts how often something happens within a window of time, in memory. Called by
 * `rate-limits.ts`. Pure.
 */

/** How many subjects are kept when room is made. Those at their limit come on top. */
export const KEPT_SUBJECTS = 20_000;

/**
 * The counts of subjects, such as addresses. Each subject's window begins when it is first counted.
 *
 * When memory is short, only subjects below their limit are forgotten. So an attacker with many addresses
 * cannot make it forget one that is at its limit. The number of those at their limit needs no bound: each
 * was counted up to the limit within one window, and an isolate can answer only so many requests in that
 * time.
 */
export class WindowCounts {
  readonly #windowMs: number;
  readonly #counts = new Map<string, { count: number; endsAt: number }>();
  /** At this many subjects, room is made. That looks at all of them, so it has to be rare. */
  #fullAt = 2 * KEPT_SUBJECTS;

  /** @param seconds the length of a window */
  constructor(seconds: number) {
    this.#windowMs = seconds * 1_000;
  }

  /**
   * How many seconds of the subject's window are left if it was counted `most` times or more; otherwise 0.
   * @param now Unix milliseconds
   */
  secondsLeft(subject: string, most: number, now: number): number {
    const entry = this.#counts.get(subject);
    if (!entry || entry.endsAt <= now || entry.count < most) return 0;
    return Math.ceil((entry.endsAt - now) / 1_000);
  }

  /**
   * Counts the subject once.
   * @param most its limit: a subject that has reached it is not forgotten
   */
  count(subject: string, most: number, now: number): void {
    const entry = this.#counts.get(subject);
    if (entry && entry.endsAt > now) {
      entry.count += 1;
      return;
    }
    // Room is made before the subject is added, or it would be one of the first to be forgotten.
    if (this.#counts.size >= this.#fullAt) this.#forget(most, now);
    this.#counts.set(subject, { count: 1, endsAt: now + this.#windowMs });
  }

  /** Forgets subjects whose window is over, then those with the lowest counts. Never one at its limit. */
  #forget(most: number, now: number): void {
    const below: [subject: string, count: number][] = [];
    for (const [subject, { count, endsAt }] of this.#counts) {
      if (endsAt <= now) this.#counts.delete(subject);
      else if (count < most) below.push([subject, count]);
    }
    below.sort(([, a], [, b]) => a - b);
    const surplus = Math.max(0, this.#counts.size - KEPT_SUBJECTS);
    for (const [subject] of below.slice(0, surplus)) this.#counts.delete(subject);
    this.#fullAt = KEPT_SUBJECTS + Math.max(KEPT_SUBJECTS, this.#counts.size);
  }
}
