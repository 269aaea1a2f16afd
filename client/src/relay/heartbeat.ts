/**
 * When a connection pings. A ping measures the round trip, confirms what was sent, and tells the relay that we
 * still read. The relay's platform answers it, so that a silent session costs nothing.
 */

/** How often is pinged when nothing happens. The relay takes who is silent for 60 s as gone. */
const IDLE_MS = 20_000;
/** How often is pinged while messages go or come. */
const BUSY_MS = 2_000;
/** After so many bytes it is pinged at once. The relay closes who gets 4 MB and is not heard. */
const BUSY_BYTES = 1_048_576;
/** How long nothing may come after a ping until the other end is taken as gone. */
const SILENCE_MS = 10_000;

export class Heartbeat {
  readonly #sendPing: () => void;
  readonly #gone: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #pingedAt = 0;
  #isAwaited = false;
  /** Bytes that went or came since the last ping, and whether there were any messages. */
  #bytes = 0;
  #isBusy = false;
  #isHeard = false;

  /**
   * @param sendPing sends a ping
   * @param gone nothing comes from the other end any more
   */
  constructor(sendPing: () => void, gone: () => void) {
    this.#sendPing = sendPing;
    this.#gone = gone;
  }

  /** Something has to come soon. */
  watch(): void {
    this.#isHeard = false;
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => (this.#isHeard ? this.watch() : this.#gone()), SILENCE_MS);
  }

  /** Pings now, and from now on whenever it is time. */
  ping(): void {
    clearTimeout(this.#timer);
    this.#isAwaited = true;
    this.#isBusy = false;
    this.#bytes = 0;
    this.#pingedAt = performance.now();
    this.#sendPing();
    this.watch();
  }

  /** Something came. */
  heard(): void {
    this.#isHeard = true;
  }

  /**
   * The ping was answered.
   * @returns the round trip in milliseconds
   */
  answered(): number {
    clearTimeout(this.#watch);
    this.#isAwaited = false;
    this.#schedule();
    return performance.now() - this.#pingedAt;
  }

  /** A message of so many bytes went or came. */
  busy(bytes: number): void {
    this.#bytes += bytes;
    const wasBusy = this.#isBusy;
    this.#isBusy = true;
    if (!this.#isAwaited && (!wasBusy || this.#bytes >= BUSY_BYTES)) this.#schedule();
  }

  /** The connection is gone. */
  stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    // Nothing is scheduled until the next `ping`.
    this.#isAwaited = true;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#bytes >= BUSY_BYTES) this.ping();
    else this.#timer = setTimeout(() => this.ping(), this.#isBusy ? BUSY_MS : IDLE_MS);
  }
}
