/**
 * Counts the wrong tokens that are sent to one session, so that nobody can guess a token of 31 bits: by
 * address (`WrongTokenLock`), and of all addresses together (`WrongTokenBudget`). Pure.
 *
 * `WrongTokens` in `session-object/wrong-tokens.ts` owns one of each. It decides which token counts where,
 * and refuses requests. On a relay node, `WrongTokens` in `relay-node/wrong-tokens.ts` does so for each
 * session, with the clock of the node.
 *
 * The counts are in memory: with a write for each wrong token, a guesser would decide what we pay. An
 * object hibernates after ten silent seconds, and would forget them. So from the fourth wrong token on,
 * `WrongTokens` keeps the object awake for a minute (`MAX_FORGOTTEN`). Hibernation therefore forgets at most
 * three wrong tokens in ten seconds, 18 a minute. A deploy or a crash forgets all of them, but a guesser
 * cannot cause one.
 */

/** Distinct wrong tokens in `KEPT_MS` that lock their address. */
const MAX_PER_ADDRESS = 10;
/** The smallest part of them: with one, somebody who has one old token would lock an address. */
const LEAST_PER_ADDRESS = 2;
/** Distinct wrong user tokens in `KEPT_MS` from all addresses together. */
const MAX_PER_SESSION = 60;
/** How many distinct wrong tokens, of an address or of a session, hibernation may forget. */
export const MAX_FORGOTTEN = 3;
/** How long a wrong token counts, and how long a lock lasts, in milliseconds. */
export const KEPT_MS = 60_000;
/** How many addresses are remembered, with at most ten tokens each. */
const MAX_ADDRESSES = 1_000;

/** Wrong tokens of the last minute, each once, oldest first. Times are Unix milliseconds. */
class RecentTokens {
  readonly #firstSeenAt = new Map<string, number>();

  /** Adds a token, if it was not sent in the last minute already. Returns how many there are. */
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
 * Locks an address for a minute after ten distinct wrong tokens within a minute. A token that is sent
 * again and again counts once: so a client that does not know that it was revoked locks nobody out.
 * Addresses are buckets, as `addressBucket` names them; times are Unix milliseconds.
 */
export class WrongTokenLock {
  readonly #entries = new Map<string, AddressEntry>();
  readonly #most: number;

  /** `share`: the part of the bound that is this counter's, if several count for one session. */
  constructor(share = 1) {
    this.#most = Math.max(LEAST_PER_ADDRESS, Math.floor(MAX_PER_ADDRESS * share));
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#entries.size;
  }

  /** For how many seconds this address is still locked; 0 when it is not. */
  secondsLeft(address: string, now: number): number {
    return secondsUntil(this.#entries.get(address)?.lockedUntil ?? 0, now);
  }

  /**
   * Whether a wrong token of this address would be counted. Not if a thousand other addresses are locked now:
   * then the caller has to stop the address by something else.
   */
  canCount(address: string, now: number): boolean {
    if (this.#entries.size < MAX_ADDRESSES || this.#entries.has(address)) return true;
    return this.#leastDangerous(now) !== null;
  }

  /**
   * Counts a wrong token of an address. `token` is a short text that stands for it.
   * @returns how many the address has sent in the last minute
   */
  fail(address: string, token: string, now: number): number {
    const entry = this.#entries.get(address) ?? this.#remember(address, now);
    if (entry === null) return 0;
    const count = entry.tokens.add(token, now);
    if (count >= this.#most) entry.lockedUntil = now + KEPT_MS;
    return count;
  }

  /** Forgets the addresses that are not to be kept, locked ones too. */
  forgetUnless(isKept: (address: string) => boolean): void {
    for (const address of this.#entries.keys()) {
      if (!isKept(address)) this.#entries.delete(address);
    }
  }

  /** Makes room for an address. Null: a thousand addresses are locked now, and this one is not counted. */
  #remember(address: string, now: number): AddressEntry | null {
    if (this.#entries.size >= MAX_ADDRESSES) {
      const forgotten = this.#leastDangerous(now);
      if (forgotten === null) return null;
      this.#entries.delete(forgotten);
    }
    const entry = { tokens: new RecentTokens(), lockedUntil: 0 };
    this.#entries.set(address, entry);
    return entry;
  }

  /** An address without a wrong token in the last minute, or else the one with the fewest; none that is locked. */
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
 * right session token. Without this, somebody who knows the session token and has many addresses could
 * guess a user token, of 31 bits.
 */
export class WrongTokenBudget {
  readonly #tokens = new RecentTokens();
  readonly #most: number;

  /** `share`: the part of the bound that is this counter's, if several count for one session. */
  constructor(share = 1) {
    this.#most = Math.max(1, Math.floor(MAX_PER_SESSION * share));
  }

  /** 0 while there is some left, or in how many seconds there is some again. */
  secondsLeft(now: number): number {
    if (this.#tokens.count(now) < this.#most) return 0;
    return secondsUntil(this.#tokens.nextEndAt() ?? now, now);
  }

  /**
   * Counts a wrong user token. When the budget is used up, nothing more is kept.
   * @returns how many there were in the last minute
   */
  fail(token: string, now: number): number {
    const count = this.#tokens.count(now);
    return count < this.#most ? this.#tokens.add(token, now) : count;
  }
}

function secondsUntil(at: number, now: number): number {
  return Math.max(0, Math.ceil((at - now) / 1_000));
}
