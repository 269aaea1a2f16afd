/** Callers who wait until a session is no longer pending, in its object's memory: no write, no polling. */
export class OutcomeWaiters {
  readonly #resolves = new Set<() => void>();

  /** Resolves at the next `resolveAll`, or after so many milliseconds. */
  async wait(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    this.#resolves.add(resolve);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#resolves.delete(resolve);
    }
  }

  /** Lets all of them go on. */
  resolveAll(): void {
    for (const resolve of this.#resolves) resolve();
  }
}
