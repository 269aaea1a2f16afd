/** Waiting for what must come. */
import { vi } from "vitest";

/** How long a test waits: only one that fails waits so long, and none relies on how long it takes. */
export const LIMIT_MS = 60_000;

/** Resolves with what `look` gives once it throws no more. */
export function eventually<T>(look: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(look, { timeout: LIMIT_MS, interval: 50 });
}
