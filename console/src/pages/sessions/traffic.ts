/** Rates from counts that are read now and then. Pure. */

/** How far the service's counts may be behind, in milliseconds. */
export const BEHIND_MS = 5_000;
/** How long is remembered. */
export const KEPT_MS = 10 * 60_000;
/** The distance of two values that are drawn. */
const STEP_MS = 2_000;

/** What one reading says of a user. */
export interface Counts {
  /** Tells the users apart. */
  authorization_token: number;
  /** Bytes that the user has sent, and that were sent to the user. Null: not known. */
  bytes_in: number | null;
  bytes_out: number | null;
}

/** The two ways: from the users to the relay, and from it to the users. */
export type Way = "bytes_in" | "bytes_out";
const WAYS = ["bytes_in", "bytes_out"] as const;

/** Bytes that went in a time. Unix milliseconds. */
interface Amount {
  way: Way;
  bytes: number;
  from: number;
  to: number;
}

/** Rates over time, to be drawn: Unix seconds, and bytes a second. */
export interface Rates {
  at: number[];
  bytes_in: number[];
  bytes_out: number[];
}

/**
 * What goes through a session, from readings of the counts of its users. A count moves in steps, because
 * it is up to five seconds behind: what it has risen by is spread over the time in which that went.
 */
export class Traffic {
  #amounts: Amount[] = [];
  readonly #last = new Map<string, { count: number; risenAt: number }>();
  /** Who was there, and of whom no count is known yet. */
  readonly #notCounted = new Set<string>();
  #first: number | null = null;
  #latest = 0;

  /** Takes a reading. @param at when, Unix milliseconds: later than the one before */
  add(at: number, users: readonly Counts[]): void {
    const before = this.#first === null ? null : this.#latest;
    for (const user of users) {
      for (const way of WAYS) this.#count(way, user, { at, before });
    }
    this.#first ??= at;
    this.#latest = at;
    this.#amounts = this.#amounts.filter(({ to }) => to > at - KEPT_MS);
  }

  #count(way: Way, user: Counts, { at, before }: { at: number; before: number | null }): void {
    const key = `${way} ${user.authorization_token}`;
    const count = user[way];
    if (count === null) {
      if (!this.#last.has(key)) this.#notCounted.add(key);
      return;
    }
    // Who is new since the reading before has sent nothing until then.
    const isNew = before !== null && !this.#notCounted.delete(key);
    const last = this.#last.get(key) ?? (isNew ? { count: 0, risenAt: before } : null);
    if (last !== null && count > last.count) {
      const from = Math.max(last.risenAt, Math.min(before ?? at, at - BEHIND_MS));
      this.#amounts.push({ way, bytes: count - last.count, from, to: at });
    }
    const moved = last === null || count !== last.count;
    this.#last.set(key, { count, risenAt: moved ? at : last.risenAt });
  }

  /** The rates until five seconds before the last reading: what is later may still come. */
  rates(): Rates {
    const rates: Rates = { at: [], bytes_in: [], bytes_out: [] };
    if (this.#first === null) return rates;
    const end = this.#latest - BEHIND_MS;
    const oldest = Math.max(this.#first, end - KEPT_MS);
    // Steps are at whole multiples, so that what was drawn once stays as it is.
    for (let to = Math.ceil(oldest / STEP_MS + 1) * STEP_MS; to <= end; to += STEP_MS) {
      rates.at.push(to / 1_000);
      for (const way of WAYS) rates[way].push(this.#rate(way, to - STEP_MS, to));
    }
    return rates;
  }

  /** The last rates, averages of five seconds; null: it is too early to say. Bytes a second. */
  latest(): Record<Way, number> | null {
    const end = this.#latest - BEHIND_MS;
    if (this.#first === null || end - BEHIND_MS < this.#first) return null;
    return {
      bytes_in: this.#rate("bytes_in", end - BEHIND_MS, end),
      bytes_out: this.#rate("bytes_out", end - BEHIND_MS, end),
    };
  }

  #rate(way: Way, from: number, to: number): number {
    let bytes = 0;
    for (const amount of this.#amounts) {
      if (amount.way !== way) continue;
      const common = Math.min(to, amount.to) - Math.max(from, amount.from);
      if (common > 0) bytes += (amount.bytes * common) / (amount.to - amount.from);
    }
    return (bytes * 1_000) / (to - from);
  }
}
