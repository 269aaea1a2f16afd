/** Hands a batch of queue messages to the consumer of its queue. */

import { openDatabase } from "./db/open";
import { cutByEvent } from "./devices/close-sockets";
import { EventOutbox } from "./events/outbox";
import { readConfig } from "./platform/config";
import { SessionClient } from "./session/client";
import { consumeChecks } from "./sources/checks";
import { webhookBodies } from "./surfaces/shared/webhook-bodies";
import { consumeDeadLetters } from "./webhooks/dead-letters";
import { consumeDeliveries } from "./webhooks/deliveries";
import { consumeEvents } from "./webhooks/fan-out";

/** The Worker's queue handler. */
export async function handleBatch(
  batch: MessageBatch,
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
): Promise<void> {
  const config = readConfig(env);
  const db = openDatabase(env);
  switch (batch.queue) {
    case "drawbridge-events":
      return withSessions(env, (sessions) =>
        consumeEvents(batch, {
          db,
          deliveries: env.DELIVERIES,
          react: (event) => cutByEvent(db, sessions, event),
        }),
      );
    case "drawbridge-deliveries":
      return consumeDeliveries(batch, {
        db,
        config,
        deliveries: env.DELIVERIES,
        events: new EventOutbox(db, env.EVENTS, ctx),
        waitUntil: (promise) => ctx.waitUntil(promise),
        render: webhookBodies(config),
      });
    case "drawbridge-checks":
      return withSessions(env, (sessions) => consumeChecks(batch, { ...config, db, sessions }));
    default:
      return consumeDeadLetters(batch, db);
  }
}

/** Does work with sessions, and waits for what it leaves behind: a queue's handler has no later. */
async function withSessions(
  env: Env,
  work: (sessions: SessionClient) => Promise<void>,
): Promise<void> {
  const background: Promise<unknown>[] = [];
  await work(new SessionClient(env, { waitUntil: (promise) => background.push(promise) }));
  await Promise.allSettled(background);
}
