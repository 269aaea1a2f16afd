/**
 * What wrong tokens cost whoever sends them to a session, so that 31 bits cannot be guessed. Pure.
 *
 * It is kept in memory: a write for each wrong token would be a cost that a guesser sets. Hibernation,
 * which comes after ten silent seconds, would forget it: so from the fourth wrong token on, the owner keeps
 * the object awake for a minute (`MOST_FORGOTTEN`). What hibernation does forget is therefore three wrong tokens
 * in ten seconds at most, 18 a minute. A deploy or a crash forgets everything, and no guesser causes one.
 */

/** Distinct wrong tokens in `KEPT_MS` that lock their address. */
const MOST_OF_ADDRESS = 10;
/** Distinct wrong user tokens in `KEPT_MS` from all addresses together. */
const MOST_OF_SESSION = 60;
/** So many distinct wrong tokens, of an address or of a session, may be forgotten by hibernation. */
export const MOST_FORGOTTEN = 3;
/** How long a wrong token counts, and how long a lock lasts, in milliseconds. */
export const KEPT_MS = 60_000;
/** Addresses remembered. Each has ten tokens at most. */
const MOST_ADDRESSES = 1_000;

/** Wrong tokens of the last minute, each once, oldest first. Times are Unix milliseconds. */
class RecentTokens {
  readonly #firstSeenAt = new Map<string, number>();

  /** Adds a token; one that was there in the last minute changes nothing. Returns how many there are. */
  add(token: string, now: number): number {
    this.#forgetOld(now);
    if (!this.#firstSeenAt.has(token)) this.#firstSeenAt.set(token, now);
    return this.#firstSeenAt.size;
  }

  /** How many there are. */
  count(now: number): number {
    this.#forgetOld(now);
    return this.#firstSeenAt.size;
  }

  /** When the oldest one stops counting; null: there is none. */
  nextEndAt(): number | null {
    const { value } = this.#firstSeenAt.values().next();
    return value === undefined ? null : value + KEPT_MS;
  }

  #forgetOld(now: number): void {
    for (const [token, at] of this.#firstSeenAt) {
      if (at + KEPT_MS > now) return;
      this.#firstSeenAt.delete(token);
    }
  }
}

interface AddressEntry {
  readonly tokens: RecentTokens;
  lockedUntil: number;
}

/**
 * Locks an address for a minute after ten distinct wrong tokens within a minute. One token that is sent
 * again and again counts once: a client that does not know that it was revoked locks nobody out.
 * Addresses are buckets, as `addressBucket` names them; times are Unix milliseconds.
 */
export class WrongTokenLock {
  readonly #entries = new Map<string, AddressEntry>();

  /** For how many seconds this address is still locked; 0 when it is not. */
  secondsLeft(address: string, now: number): number {
    return secondsUntil(this.#entries.get(address)?.lockedUntil ?? 0, now);
  }

  /**
   * Counts a wrong token of an address. `token` is a short name for what was shown.
   * @returns how many the address has sent in the last minute
   */
  fail(address: string, token: string, now: number): number {
    const entry = this.#entries.get(address) ?? this.#remember(address, now);
    if (entry === null) return 0;
    const count = entry.tokens.add(token, now);
    if (count >= MOST_OF_ADDRESS) entry.lockedUntil = now + KEPT_MS;
    return count;
  }

  /**
   * Makes room for an address. Null: a thousand addresses are locked now, and a further one goes
   * uncounted. To lock so many takes ten thousand wrong tokens a minute; those with the right session
   * token are stopped by `WrongTokenBudget` long before, and without it there are 62 bits to guess.
   */
  #remember(address: string, now: number): AddressEntry | null {
    if (this.#entries.size >= MOST_ADDRESSES) {
      const victim = this.#leastDangerous(now);
      if (victim === null) return null;
      this.#entries.delete(victim);
    }
    const entry = { tokens: new RecentTokens(), lockedUntil: 0 };
    this.#entries.set(address, entry);
    return entry;
  }

  /** Who has no wrong token of the last minute, or else the fewest; never who is locked. */
  #leastDangerous(now: number): string | null {
    let found: string | null = null;
    let fewest = Number.POSITIVE_INFINITY;
    for (const [address, { tokens, lockedUntil }] of this.#entries) {
      if (lockedUntil > now) continue;
      const count = tokens.count(now);
      if (count === 0) return address;
      if (count >= fewest) continue;
      found = address;
      fewest = count;
    }
    return found;
  }
}

/**
 * How many distinct wrong user tokens a session takes in a minute from all addresses together, with its
 * right session token: who knows that one and has many addresses would else only have 31 bits to guess.
 */
export class WrongTokenBudget {
  readonly #tokens = new RecentTokens();

  /** 0 while there is some left, or in how many seconds there is some again. */
  secondsLeft(now: number): number {
    if (this.#tokens.count(now) < MOST_OF_SESSION) return 0;
    return secondsUntil(this.#tokens.nextEndAt() ?? now, now);
  }

  /**
   * Counts a wrong user token. When the budget is used up, nothing more is kept.
   * @returns how many there were in the last minute
   */
  fail(token: string, now: number): number {
    const count = this.#tokens.count(now);
    return count < MOST_OF_SESSION ? this.#tokens.add(token, now) : count;
  }
}

function secondsUntil(at: number, now: number): number {
  return Math.max(0, Math.ceil((at - now) / 1_000));
}
