/** Waiting for something that must happen. */
import { vi } from "vitest";

/**
 * How long a test waits at most. Only a failing test waits so long, and no test relies on the time.
 */
export const LIMIT_MS = 60_000;

/** Resolves with the result of `look` as soon as it no longer throws. */
export function eventually<T>(look: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(look, { timeout: LIMIT_MS, interval: 50 });
}
