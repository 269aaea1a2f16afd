/**
 * When the users of a session left, as its object remembers it: how long their seats are kept, and when a
 * host is replaced, counts from then. `UsageStore` keeps it across evictions.
 */
import type { Departure, Traffic } from "../session/session-calls";

export class Departures {
  readonly #departures = new Map<number, Departure>();
  #connected: Set<number>;
  /** The users whose websockets the object has lost when it died. They count as having left when it is loaded. */
  readonly lost: readonly number[];

  /**
   * @param saved the counters that were stored, by user
   * @param connected the users who have an open websocket
   */
  constructor(saved: ReadonlyMap<number, Traffic>, connected: Set<number>, now: number) {
    for (const [n, { left }] of saved) if (left) this.#departures.set(n, left);
    this.lost = [...saved].flatMap(([n, { here }]) => (here && !connected.has(n) ? n : []));
    for (const n of this.lost) this.#departures.set(n, { at: now });
    this.#connected = connected;
  }

  /** Whether this user has an open websocket, as far as was noted. */
  isHere(n: number): boolean {
    return this.#connected.has(n);
  }

  /** All of them, by user. Of a user who has come back, it is the last time that they left. */
  get all(): ReadonlyMap<number, Departure> {
    return this.#departures;
  }

  /** When this user's last connection ended, Unix milliseconds; null: there was none. */
  leftAt(n: number): number | null {
    return this.#departures.get(n)?.at ?? null;
  }

  /** When somebody left last, Unix milliseconds; null: nobody has. */
  get last(): number | null {
    const times = [...this.#departures.values()].map(({ at }) => at);
    return times.length === 0 ? null : Math.max(...times);
  }

  /** Takes note that this user had a websocket: its closing has woken the object, which did not know of it. */
  noteClosing(n: number): void {
    this.#connected.add(n);
  }

  /** Forgets somebody who is no user of the session any more. */
  forget(n: number): void {
    this.#departures.delete(n);
    this.#connected.delete(n);
  }

  /**
   * Takes note of who has an open websocket now.
   * @returns the users who had one before, and have none any more
   */
  note(connected: Set<number>, now: number): number[] {
    const left = [...this.#connected].filter((n) => !connected.has(n));
    for (const n of left) this.#departures.set(n, { at: now });
    this.#connected = connected;
    return left;
  }

  /**
   * Takes note that a relay node does not hear a user. It does not say when that began: it counts from the
   * first time that it was asked, and anew if the user was back meanwhile.
   * @param bytes what the node has counted of them; 0: it never heard them
   * @returns whether that is new
   */
  noteOnNode(n: number, bytes: number, now: number): boolean {
    const known = this.#departures.get(n);
    if (bytes === (known?.nodeBytes ?? 0)) return false;
    this.#departures.set(n, { at: now, nodeBytes: bytes });
    return true;
  }
}
