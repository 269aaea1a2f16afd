/** Where messages wait while a connection is away, as many as it may keep, and the count of the dropped. Pure. */

/** A message, and in the format of which role it is. */
export interface Outgoing {
  frame: Uint8Array<ArrayBuffer>;
  asHost: boolean;
}

export class Outbox {
  readonly #capacity: number;
  #waiting: Outgoing[] = [];
  #dropped = 0;
  #reported = 0;

  /** @param capacity how many may wait. If there are more, the oldest is dropped */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** How many messages were dropped in all. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Counts messages that were lost elsewhere. */
  drop(count: number): void {
    this.#dropped += count;
  }

  /** Keeps a message for later, if there is room. */
  keep(message: Outgoing): void {
    this.#waiting.push(message);
    if (this.#waiting.length <= this.#capacity) return;
    this.#waiting.shift();
    this.#dropped += 1;
  }

  /**
   * Gives all that waits, in order. What has the format of the other role is dropped.
   * @param send returns whether it was sent
   */
  flush(isHost: boolean, send: (frame: Uint8Array<ArrayBuffer>) => boolean): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { frame, asHost } of waiting) {
      if (asHost !== isHost || !send(frame)) this.#dropped += 1;
    }
  }

  /** Drops what waits. */
  clear(): void {
    this.drop(this.#waiting.length);
    this.#waiting = [];
  }

  /** How many were dropped since this was asked for last. */
  takeReport(): number {
    const since = this.#dropped - this.#reported;
    this.#reported = this.#dropped;
    return since;
  }
}
