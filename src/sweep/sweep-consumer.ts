/** The consumer of the sweep's queue: does the tasks that a run could not finish by itself. */
import * as z from "zod";
import { recordDeadLetter } from "../dead-letters/dead-letter-store";
import { describeError, log } from "../platform/log";
import { runTask } from "./chain";
import { STEPS_PER_MESSAGE } from "./page-sizes";
import { type BackgroundContext, sweepServices } from "./sweep";
import type { SweepMessage } from "./tasks";

/** How often a message is tried. After that it is dropped: the run of the next minute finds its work again. */
const MAX_TRIES = 3;
const RETRY_SECONDS = 30;

/** Only Drawbridge writes these messages: this checks just enough to tell them from others. */
const messageShape = z.object({
  v: z.literal(1),
  task: z.looseObject({ job: z.string() }),
  until: z.number(),
});

/** Handles a batch, one message after another: D1 runs one query at a time anyway. */
export async function consumeSweeps(
  batch: MessageBatch,
  env: Env,
  ctx: BackgroundContext,
): Promise<void> {
  const services = sweepServices(env, ctx);
  for (const message of batch.messages) {
    if (!messageShape.safeParse(message.body).success) {
      await recordDeadLetter(services.db, batch.queue, message, "not a message of the sweep");
      continue;
    }
    const { task, until } = message.body as SweepMessage;
    try {
      await runTask(services, task, { steps: STEPS_PER_MESSAGE, until });
      message.ack();
    } catch (error) {
      log("sweep failed", { work: task.job, error: describeError(error) });
      if (message.attempts < MAX_TRIES) message.retry({ delaySeconds: RETRY_SECONDS });
      else message.ack();
    }
  }
}
