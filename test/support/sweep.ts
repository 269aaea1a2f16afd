/** Runs the Worker's minute by hand. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { sweep } from "../../src/sweep/sweep";

/**
 * One run of the sweep, as it is now; resolves when all that it started is done.
 * @param minute the one that it stands for, which picks the organisations whose retention it looks at
 */
export async function runSweep(minute?: number): Promise<void> {
  const ctx = createExecutionContext();
  await sweep(env, ctx, minute === undefined ? Date.now() : minute * 60_000);
  await waitOnExecutionContext(ctx);
}

/** Moves the clock of the Worker and of all objects; undone by `vi.useRealTimers`. */
export function pass(milliseconds: number): void {
  const now = Date.now() + milliseconds;
  vi.useRealTimers();
  vi.useFakeTimers({ toFake: ["Date"], now });
}
