/** Does a task step by step, and sends what is left of it to the sweep's queue. The cron job and the consumer of that queue call it. */
import { doTaskStep } from "./steps";
import type { StepResult, SweepMessage, SweepServices, Task } from "./tasks";

/** Messages sent in one call. The largest message, of 100 sessions, times ten is below the queue's 256 KB. */
const SENT_AT_ONCE = 10;

/**
 * Does at most `steps` steps of a task, and sends the rest as a message to the sweep's queue. The consumer
 * calls this function again for that message, and so on: a chain of messages.
 * @param limits.until Unix milliseconds: then the chain ends, because the next run of the sweep has begun
 *   the same task again. So there are not two chains of one task for long
 */
export async function runTask(
  services: SweepServices,
  task: Task,
  limits: { steps: number; until: number },
): Promise<void> {
  const { steps, until } = limits;
  let next: Task | null = task;
  for (let i = 0; i < steps && next !== null; i++) {
    const { rest, more }: StepResult = await doTaskStep(services, next);
    await send(services, more, until);
    next = rest;
  }
  if (next !== null && Date.now() < until) await send(services, [next], until);
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
