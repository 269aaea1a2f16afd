/**
 * The pings of a connection: they measure the round trip, confirm what was sent, and find out that the other
 * end is gone. The relay's platform answers them, so that a silent session costs nothing.
 */

/** How often is pinged when nothing is sent. The relay takes who is silent for 60 s as gone. */
const IDLE_MS = 20_000;
/** How long after a message was sent it is pinged, so that it is confirmed soon. */
const SOON_MS = 2_000;
/** How long nothing may come after a ping until the other end is taken as gone. */
const SILENCE_MS = 10_000;

export class Heartbeat {
  readonly #ping: () => void;
  readonly #gone: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #pingedAt = 0;
  #isSoon = false;
  #heard = false;

  /**
   * @param ping sends a ping
   * @param gone the other end does not answer any more
   */
  constructor(ping: () => void, gone: () => void) {
    this.#ping = ping;
    this.#gone = gone;
  }

  /** A connection is made: something has to come soon. */
  watch(): void {
    this.#heard = false;
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => (this.#heard ? this.watch() : this.#gone()), SILENCE_MS);
  }

  /** Pings now. */
  ping(): void {
    this.#isSoon = false;
    this.#pingedAt = performance.now();
    this.#ping();
    this.watch();
  }

  /** Something came. */
  heard(): void {
    this.#heard = true;
  }

  /**
   * The ping was answered.
   * @param soon whether something waits to be confirmed
   * @returns the round trip in milliseconds
   */
  answered(soon: boolean): number {
    clearTimeout(this.#watch);
    this.#isSoon = soon;
    this.#schedule();
    return performance.now() - this.#pingedAt;
  }

  /** Something was sent: the next ping comes soon. */
  sent(): void {
    if (this.#isSoon) return;
    this.#isSoon = true;
    // Otherwise the answer to the ping that is on its way schedules the next one.
    if (this.#timer) this.#schedule();
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    this.#timer = undefined;
    this.#isSoon = false;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const wait = this.#isSoon ? SOON_MS : IDLE_MS;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.ping();
    }, wait);
  }
}
