/**
 * Consumes the deliveries queue: one message is one attempt. The row in D1 says which attempt is due,
 * so that a message that comes twice is sent at most twice and recorded once, and a crash between the
 * request and its record repeats the request with the same `webhook-id`.
 */
import { z } from "zod";
import type { Config } from "../config";
import type { Database } from "../db/open";
import type { DomainEvent, SessionEventData } from "../events/event";
import { describeError, log } from "../log";
import { findWebhookSecretVersion } from "../organisations/store";
import { judgeAddress } from "./address";
import { buryMessage, retryLater } from "./dead-letters";
import {
  type Attempt,
  type DeliveryFormat,
  findPendingDelivery,
  type PendingDelivery,
  recordAttempt,
} from "./delivery-store";
import { parseRetryAfter, planNextAttempt } from "./schedule";
import { organisationSecret, signWebhook } from "./signature";

/** What travels on the deliveries queue. */
export interface DeliveryMessage {
  v: 1;
  organisationId: number;
  id: string;
  /** Which attempt this asks for, from 1. */
  attempt: number;
}

/** What the consumer stands on. */
export interface DeliveryDeps {
  db: Database;
  config: Config;
  deliveries: Queue;
  /** The JSON body of an event in each format. */
  render: Record<DeliveryFormat, (event: DomainEvent<SessionEventData>) => unknown>;
}

const messageShape = z.object({
  v: z.literal(1),
  organisationId: z.int(),
  id: z.string(),
  attempt: z.int().min(1),
});

/** A receiver has this long to answer. */
const TIMEOUT_MS = 15_000;
/** How much of an answer is kept. */
const KEPT_RESPONSE_BYTES = 1_024;
/** How long a message waits for the record of the attempt before its own. */
const EARLY_SECONDS = 5;

/** Handles a batch; its deliveries run side by side, so a slow receiver delays its own only. */
export async function consumeDeliveries(batch: MessageBatch, deps: DeliveryDeps): Promise<void> {
  await Promise.all(
    batch.messages.map(async (message) => {
      try {
        const parsed = messageShape.safeParse(message.body);
        if (!parsed.success) {
          await buryMessage(deps.db, batch.queue, message, "not a delivery message");
        } else if ((await attemptDelivery(deps, parsed.data)) === "too-early") {
          message.retry({ delaySeconds: EARLY_SECONDS });
        } else {
          message.ack();
        }
      } catch (error) {
        log("queue message failed", {
          queue: batch.queue,
          message_id: message.id,
          error: describeError(error),
        });
        retryLater(message);
      }
    }),
  );
}

async function attemptDelivery(
  deps: DeliveryDeps,
  message: DeliveryMessage,
): Promise<"too-early" | undefined> {
  const delivery = await findPendingDelivery(deps.db, message);
  const made = delivery?.attempts.length ?? 0;
  if (!delivery || made >= message.attempt) return undefined;
  if (made < message.attempt - 1) return "too-early";
  await makeAttempt(deps, delivery, message);
  return undefined;
}

async function makeAttempt(
  deps: DeliveryDeps,
  delivery: PendingDelivery,
  message: DeliveryMessage,
): Promise<void> {
  const secretVersion = await findWebhookSecretVersion(deps.db, message.organisationId);
  if (secretVersion === null) {
    const attempt = noAttempt("the organisation was deleted");
    return recordAttempt(deps.db, delivery, attempt, "discarded", null);
  }
  const session = delivery.event.data.session;
  const judged = judgeAddress(delivery.url, {
    allowInsecure: deps.config.allowInsecureWebhooks,
    ownHost: new URL(session.origin).host,
  });
  if (!judged.ok) {
    const attempt = noAttempt(judged.refusal.reason);
    return recordAttempt(deps.db, delivery, attempt, "discarded", null);
  }
  const secret = organisationSecret(deps.config.secret, {
    id: message.organisationId,
    webhookSecretVersion: secretVersion,
  });
  const body = JSON.stringify(deps.render[delivery.format](delivery.event));
  const { attempt, retryAfterSeconds, timedOut } = await post(judged.url, delivery, body, secret);
  const { statusCode } = attempt;
  if (statusCode !== null && statusCode >= 200 && statusCode < 300) {
    return recordAttempt(deps.db, delivery, attempt, "delivered", null);
  }
  const plan = planNextAttempt({
    attempts: message.attempt,
    delaysSeconds: deps.config.webhookRetrySeconds,
    outcome: { statusCode, timedOut, retryAfterSeconds },
    random: Math.random(),
  });
  if (plan === "exhausted") return recordAttempt(deps.db, delivery, attempt, "failed", null);
  // The next message first: recorded without it, the delivery would be pending for ever. Should it
  // come before the record, it waits for it.
  const nextAttemptAt = Date.now() + plan.delaySeconds * 1_000;
  const next = { ...message, attempt: message.attempt + 1 };
  await deps.deliveries.send(next, { delaySeconds: Math.ceil(plan.delaySeconds) });
  await recordAttempt(deps.db, delivery, attempt, "pending", nextAttemptAt);
}

interface Outcome {
  attempt: Attempt;
  timedOut: boolean;
  retryAfterSeconds: number | null;
}

async function post(
  url: URL,
  delivery: PendingDelivery,
  body: string,
  secret: string,
): Promise<Outcome> {
  const at = Date.now();
  const timestampSeconds = Math.floor(at / 1_000);
  const id = delivery.eventId;
  const signature = signWebhook({ secrets: [secret], id, timestampSeconds, body });
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const done = (outcome: Pick<Attempt, "statusCode" | "response" | "error">): Attempt => ({
    at,
    durationMs: Date.now() - at,
    ...outcome,
  });
  try {
    const response = await fetch(url.href, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "User-Agent": "Drawbridge",
        "webhook-id": id,
        "webhook-timestamp": String(timestampSeconds),
        "webhook-signature": signature,
      },
      body,
      // A redirect is a failure: where it leads was never judged.
      redirect: "manual",
      signal: timeout,
    });
    const text = await readStart(response);
    return {
      attempt: done({ statusCode: response.status, response: text, error: null }),
      timedOut: false,
      retryAfterSeconds: parseRetryAfter(response.headers.get("Retry-After"), Date.now()),
    };
  } catch (error) {
    const problem = timeout.aborted ? `no answer within ${TIMEOUT_MS / 1_000} s` : String(error);
    return {
      attempt: done({ statusCode: null, response: null, error: problem }),
      timedOut: timeout.aborted,
      retryAfterSeconds: null,
    };
  }
}

async function readStart(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (response.body) {
    for await (const chunk of response.body) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= KEPT_RESPONSE_BYTES) break;
    }
  }
  return Buffer.concat(chunks).subarray(0, KEPT_RESPONSE_BYTES).toString("utf8");
}

function noAttempt(error: string): Attempt {
  return { at: Date.now(), durationMs: 0, statusCode: null, response: null, error };
}
