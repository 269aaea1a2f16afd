/**
 * Hands a batch of queue messages to the consumer of its queue. The platform calls it through
 * `worker.ts`.
 */

import { openDatabase } from "./db/open";
import { openOutbox } from "./devices/event-outbox";
import { JournalClient } from "./events/journal-client";
import { readConfig } from "./platform/config";
import { log } from "./platform/log";
import { SessionClient } from "./session/session-client";
import { consumeChecks } from "./sources/access-checks";
import { webhookBodies } from "./surfaces/shared/webhook-bodies";
import type { BackgroundContext } from "./sweep/sweep";
import { consumeSweeps } from "./sweep/sweep-consumer";
import { consumeDeadLetters } from "./webhooks/dead-letter-consumer";
import { consumeDeliveries } from "./webhooks/delivery-consumer";

/**
 * How the name of each queue ends that this Worker reads. What stands before it differs from deployment to
 * deployment: `drawbridge-deliveries`, `drawbridge-staging-deliveries`.
 */
const QUEUE = /(?:^|-)(deliveries|checks|sweep|dead-letters)$/;
/** How the name of the second queue of deliveries ends, which is for bursts and recoveries. */
const BULK = /(?:^|-)bulk-deliveries$/;

/** The Worker's queue handler. */
export async function handleBatch(
  batch: MessageBatch,
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
): Promise<void> {
  const config = readConfig(env);
  const db = openDatabase(env);
  switch (QUEUE.exec(batch.queue)?.[1]) {
    case "deliveries":
      return consumeDeliveries(batch, {
        db,
        config,
        // What follows from a message of a burst, such as its next attempt, is part of the burst.
        deliveries: BULK.test(batch.queue) ? env.BULK_DELIVERIES : env.DELIVERIES,
        events: openOutbox(env, ctx, db),
        waitUntil: (promise) => ctx.waitUntil(promise),
        render: webhookBodies(config),
      });
    case "checks":
      return withSessions(env, (sessions) => consumeChecks(batch, { config, db, sessions }));
    case "sweep":
      return withBackground((background) => consumeSweeps(batch, env, background));
    case "dead-letters":
      return consumeDeadLetters(batch, db, new JournalClient(env));
    default:
      return keepUnknown(batch);
  }
}

/** After how long the messages of an unknown queue are delivered again. */
const UNKNOWN_RETRY_SECONDS = 900;

/** Leaves the messages of a queue that this Worker does not know on that queue: they must not be lost. */
function keepUnknown(batch: MessageBatch): void {
  log("unknown queue", {
    queue: batch.queue,
    messages: batch.messages.length,
    advice:
      "Nothing was consumed; the messages come back in 15 minutes. Add the queue to src/queues.ts and deploy, or remove its consumer from wrangler.toml.",
  });
  batch.retryAll({ delaySeconds: UNKNOWN_RETRY_SECONDS });
}

/**
 * Does work, and then waits for what it gave to `waitUntil`: when a queue's handler returns, the work
 * has to be done.
 */
async function withBackground(work: (ctx: BackgroundContext) => Promise<void>): Promise<void> {
  const background: Promise<unknown>[] = [];
  await work({ waitUntil: (promise) => background.push(promise) });
  await Promise.allSettled(background);
}

function withSessions(env: Env, work: (sessions: SessionClient) => Promise<void>): Promise<void> {
  return withBackground((ctx) => work(new SessionClient(env, ctx)));
}
