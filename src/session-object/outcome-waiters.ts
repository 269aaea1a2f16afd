/** Who waits for a session to leave pending, in its object's memory: no write, no polling. */
export class Waiting {
  readonly #wakes = new Set<() => void>();

  /** Resolves at the next `wake`, or after so many milliseconds. */
  async wait(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    this.#wakes.add(resolve);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#wakes.delete(resolve);
    }
  }

  /** Lets all go on. */
  wake(): void {
    for (const wake of this.#wakes) wake();
  }
}
