/** How much waits to be sent to another process or to Drawbridge: what would be too much is dropped. Pure. */

/** In bytes of payload. Above it frames are dropped, as a full socket drops datagrams. */
export const MAX_WAITING_BYTES = 1_048_576;

export class WaitingBytes {
  #bytes = 0;

  /** @returns what to call when so many bytes have left; null: too many wait, and these are not to be sent */
  add(bytes: number): (() => void) | null {
    if (this.#bytes > MAX_WAITING_BYTES) return null;
    this.#bytes += bytes;
    return () => {
      this.#bytes -= bytes;
    };
  }
}
