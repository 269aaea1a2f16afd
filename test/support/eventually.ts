/** Waiting for something that must happen. */

/**
 * How long a test waits at most. Only a failing test waits so long, and no test relies on the time.
 */
export const LIMIT_MS = 60_000;

/** The real timer, also while a test has stopped the clock. */
const realSetTimeout = globalThis.setTimeout.bind(globalThis);

/**
 * Resolves with the result of `look` as soon as it no longer throws. A stopped clock stays where it
 * is: `vi.waitFor` would move it at every try.
 */
export async function eventually<T>(look: () => T | Promise<T>): Promise<T> {
  const endsAt = performance.now() + LIMIT_MS;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > endsAt) throw error;
    }
    await new Promise<void>((resolve) => realSetTimeout(() => resolve(), 50));
  }
}
