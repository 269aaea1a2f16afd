/** Hands a batch of queue messages to the consumer of its queue. */
import { readConfig } from "./config";
import { openDatabase } from "./db/open";
import { consumeEvents } from "./events/consumer";
import { SessionClient } from "./session/client";
import { consumeChecks } from "./sources/checks";
import { toRelaySession } from "./surfaces/relay-sessions/wire";
import { toEvent } from "./surfaces/source-sessions/wire";
import { consumeDeadLetters } from "./webhooks/dead-letters";
import { consumeDeliveries } from "./webhooks/deliveries";

/** The Worker's queue handler. */
export async function handleBatch(batch: MessageBatch, env: Env): Promise<void> {
  const config = readConfig(env);
  const db = openDatabase(env);
  switch (batch.queue) {
    case "drawbridge-events":
      return consumeEvents(batch, { db, deliveries: env.DELIVERIES });
    case "drawbridge-deliveries":
      // Bodies are in wire formats, which only the surfaces know: they are handed in from here.
      return consumeDeliveries(batch, {
        db,
        config,
        deliveries: env.DELIVERIES,
        render: {
          "relay-session": ({ data: { session } }) =>
            toRelaySession(session, null, { origin: session.origin, secret: config.secret }),
          ricloud: (event, retries) =>
            toEvent(event, { state: "pending", retries, deliveredAt: null }),
        },
      });
    case "drawbridge-checks": {
      const background: Promise<unknown>[] = [];
      const sessions = new SessionClient(env, { waitUntil: (work) => background.push(work) });
      const { secret, allowInsecureWebhooks: allowInsecure } = config;
      await consumeChecks(batch, { db, sessions, secret, allowInsecure });
      await Promise.allSettled(background);
      return;
    }
    default:
      return consumeDeadLetters(batch, db);
  }
}
