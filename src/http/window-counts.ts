/** Counts of subjects, such as addresses, in windows of time; in memory, and bounded. Pure. */

/** Subjects that are kept when room is made, beside those that are at their limit. */
export const KEPT_SUBJECTS = 20_000;

/**
 * How often each subject was counted within a window that begins with its first count.
 *
 * Nobody can make it forget a subject that is at its limit: only those that are not are forgotten for
 * want of room. Those at their limit need no bound of their own, since each was counted up to the limit
 * within one window, and an isolate answers only so many calls in that time.
 */
export class WindowCounts {
  readonly #windowMs: number;
  readonly #counts = new Map<string, { count: number; endsAt: number }>();
  /** At so many, room is made: seldom, since all are looked through then. */
  #fullAt = 2 * KEPT_SUBJECTS;

  /** @param seconds the length of a window */
  constructor(seconds: number) {
    this.#windowMs = seconds * 1_000;
  }

  /**
   * 0 where the subject was counted less than `most` times in its window, else how many seconds are left of it.
   * @param now Unix milliseconds
   */
  secondsLeft(subject: string, most: number, now: number): number {
    const entry = this.#counts.get(subject);
    if (!entry || entry.endsAt <= now || entry.count < most) return 0;
    return Math.ceil((entry.endsAt - now) / 1_000);
  }

  /** Counts the subject once; `most` is its limit, at which it must not be forgotten. */
  count(subject: string, most: number, now: number): void {
    const entry = this.#counts.get(subject);
    if (entry && entry.endsAt > now) {
      entry.count += 1;
      return;
    }
    // Before it is added: it would be among those that were counted least.
    if (this.#counts.size >= this.#fullAt) this.#forget(most, now);
    this.#counts.set(subject, { count: 1, endsAt: now + this.#windowMs });
  }

  /** Forgets whose window is over, then who was counted least, and never who is at the limit. */
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
