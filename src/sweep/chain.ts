/** Does tasks step by step, and hands what is left of them to the sweep's queue. */
import { doTaskStep } from "./steps";
import type { StepResult, SweepMessage, SweepServices, Task } from "./tasks";

/** Messages sent in one call: with the fullest one, of 100 sessions, below the queue's 256 KB. */
const SENT_AT_ONCE = 10;

/**
 * Does at most so many steps of a task. What is left goes on with another message, until `until` (Unix
 * milliseconds), when the next run has begun with it anew: so there is never more than one chain of a
 * kind for long, and its work is done as fast as D1 does it.
 */
export async function runTask(
  deps: SweepServices,
  task: Task,
  { steps, until }: { steps: number; until: number },
): Promise<void> {
  let next: Task | null = task;
  for (let i = 0; i < steps && next !== null; i++) {
    const { rest, more }: StepResult = await doTaskStep(deps, next);
    await send(deps, more, until);
    next = rest;
  }
  if (next !== null && Date.now() < until) await send(deps, [next], until);
}

async function send(
  { sweeps }: SweepServices,
  tasks: readonly Task[],
  until: number,
): Promise<void> {
  for (let i = 0; i < tasks.length; i += SENT_AT_ONCE) {
    const some = tasks.slice(i, i + SENT_AT_ONCE);
    await sweeps.sendBatch(
      some.map((task) => ({ body: { v: 1, task, until } satisfies SweepMessage })),
    );
  }
}
