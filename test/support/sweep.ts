/** Runs the Worker's minute by hand. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { sweep } from "../../src/sweep/sweep";

/** One run of the sweep, as it is now; resolves when all that it started is done. */
export async function runSweep(): Promise<void> {
  const ctx = createExecutionContext();
  await sweep(env, ctx, Date.now());
  await waitOnExecutionContext(ctx);
}

/** Moves the clock of the Worker and of all objects; undone by `vi.useRealTimers`. */
export function pass(milliseconds: number): void {
  const now = Date.now() + milliseconds;
  vi.useRealTimers();
  vi.useFakeTimers({ toFake: ["Date"], now });
}
