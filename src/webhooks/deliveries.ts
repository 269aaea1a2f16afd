/**
 * Consumes the deliveries queue: one message is one attempt. The row in D1 says which attempt is due,
 * so that a message that comes twice is sent at most twice and recorded once, and a crash between the
 * request and its record repeats the request with the same `webhook-id`.
 */
import { z } from "zod";
import type { Config } from "../config";
import type { Database } from "../db/open";
import { type DomainEvent, isSessionEvent, type SessionEventData } from "../events/event";
import { describeError, log } from "../log";
import { findWebhookSecretVersion } from "../organisations/store";
import { judgeAddress } from "./address";
import { buryMessage, retryLater } from "./dead-letters";
import {
  type Attempt,
  findPendingDelivery,
  type PendingDelivery,
  recordAttempt,
} from "./delivery-store";
import { endpointSecret, setEndpointValid, TEST_EVENT } from "./endpoints";
import { toRequest } from "./request";
import { parseRetryAfter, planNextAttempt } from "./schedule";
import { organisationSecret } from "./signature";

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
  /** The JSON body of an event in each format; `retries`: how many attempts there were before. */
  render: {
    "relay-session": (event: DomainEvent<SessionEventData>) => unknown;
    ricloud: (event: DomainEvent, retries: number) => unknown;
  };
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
  const target = targetOf(deps, delivery, secretVersion);
  const judged = target.ok
    ? judgeAddress(target.url, {
        allowInsecure: deps.config.allowInsecureWebhooks,
        ownHost: new URL(target.origin).host,
      })
    : target;
  if (!target.ok || !judged.ok) {
    const reason = judged.ok ? "" : judged.refusal.reason;
    return recordAttempt(deps.db, delivery, noAttempt(reason), "discarded", null);
  }
  const body = JSON.stringify(target.render(message.attempt - 1));
  const { attempt, retryAfterSeconds, timedOut } = await post(
    judged.url,
    delivery,
    body,
    target.secret,
  );
  const { statusCode } = attempt;
  const succeeded = statusCode !== null && statusCode >= 200 && statusCode < 300;
  const isTest = delivery.eventType === TEST_EVENT && delivery.endpointId !== null;
  if (isTest && delivery.endpointId !== null) {
    await setEndpointValid(deps.db, message.organisationId, delivery.endpointId, succeeded);
  }
  if (succeeded) return recordAttempt(deps.db, delivery, attempt, "delivered", null);
  const plan = planNextAttempt({
    attempts: message.attempt,
    // Whoever tries an endpoint out waits for the answer: tomorrow's is of no use.
    delaysSeconds: isTest ? [] : deps.config.webhookRetrySeconds,
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

/** Where a delivery goes now, what it says and what signs it, or why it goes nowhere. */
type Target =
  | {
      ok: true;
      url: string;
      /** Where the API was called by whoever named the address. */
      origin: string;
      secret: string;
      render: (retries: number) => unknown;
    }
  | { ok: false; refusal: { reason: string } };

function targetOf(deps: DeliveryDeps, delivery: PendingDelivery, secretVersion: number): Target {
  const { event, endpointId, endpoint, organisationId } = delivery;
  const rootSecret = deps.config.secret;
  if (endpointId === null) {
    if (!isSessionEvent(event)) return nowhere("only events of sessions go to a webhook_url");
    const owner = { id: organisationId, webhookSecretVersion: secretVersion };
    return {
      ok: true,
      url: delivery.url,
      origin: event.data.session.origin,
      secret: organisationSecret(rootSecret, owner),
      render: () => deps.render["relay-session"](event),
    };
  }
  if (!endpoint) return nowhere("the webhook endpoint was deleted");
  if (!endpoint.enabled) return nowhere("the webhook endpoint was deactivated");
  return {
    ok: true,
    url: endpoint.url,
    origin: endpoint.origin,
    secret: endpointSecret(rootSecret, { id: endpointId, secretVersion: endpoint.secretVersion }),
    render: (retries) => deps.render.ricloud(event, retries),
  };
}

function nowhere(reason: string): Target {
  return { ok: false, refusal: { reason } };
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
  const { eventId } = delivery;
  const request = toRequest(delivery.format, { url, eventId, timestampSeconds, body, secret });
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const done = (outcome: Pick<Attempt, "statusCode" | "response" | "error">): Attempt => ({
    at,
    durationMs: Date.now() - at,
    ...outcome,
  });
  try {
    const response = await fetch(request.url, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "User-Agent": "Drawbridge",
        ...request.headers,
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
