/**
 * Consumes the deliveries queue. A message asks for one attempt, and the row in D1 says whether it is
 * due: a message that comes twice is sent at most twice and recorded once, and a crash between the
 * request and its record repeats the request with the same `webhook-id`.
 *
 * A receiver that hangs must not hold up the others. The handler waits a moment for a batch, and then
 * lets go of it: the request goes on behind, and its message comes back when it must be over, to be
 * dropped if the attempt is recorded and repeated if its Worker died.
 */

import { buryMessage, retryLater } from "../dead-letters/dead-letter-store";
import type { DomainEvent } from "../events/event";
import { dropOldest } from "../platform/bounded-memory";
import { describeError, log } from "../platform/log";
import { withTimeout } from "../platform/wait";
import { type AttemptDeps, makeAttempt, type Outcome, type Sent, unsent } from "./delivery-attempt";
import { type DeliveryMessage, parseDeliveryMessage } from "./delivery-messages";
import {
  type DeliveryKey,
  type DeliveryStatus,
  type DueDelivery,
  findDueDeliveries,
  MOST_ATTEMPTS,
  recordResend,
  recordScheduled,
} from "./delivery-store";
import { isTest } from "./endpoint";
import type { EndpointDeps } from "./endpoint-changes";
import { isGone, noteHealth } from "./endpoint-health";
import { setEndpointValid } from "./endpoint-store";
import { recoverPage } from "./recovery";
import { planNextAttempt } from "./retry-schedule";

/** What the consumer stands on. */
export interface DeliveryDeps extends AttemptDeps, EndpointDeps {
  deliveries: Queue;
  /** Keeps the Worker alive for what goes on after the batch. */
  waitUntil(promise: Promise<unknown>): void;
}

/** The handler waits so long for the receivers of a batch. */
const PATIENCE_MS = 1_000;
/** When a message comes back whose request goes on: the longest request, its record, and some. */
const BACK_SECONDS = 45;
/** How long a message waits for the record of the attempt before its own. */
const EARLY_SECONDS = 5;
/**
 * An attempt of the schedule counts as under way from so long before it is due (a request that a recovery
 * makes then is over and recorded by the time that it is due) …
 */
const AHEAD_MS = 30_000;
/** … to so long after: by then its message has come off its queue, and its request is over and recorded. */
const BEHIND_MS = 120_000;
/** When a recovery looks again at a delivery of which an attempt is under way. */
const LOOK_AGAIN_SECONDS = 30;

/** Receivers that were slow the last time: nobody waits for them. A fast answer ends it. */
const slow = new Map<string, true>();
const MOST_SLOW = 1_000;

/** Handles a batch: what can be done is acknowledged, what cannot comes back. */
export async function consumeDeliveries(batch: MessageBatch, deps: DeliveryDeps): Promise<void> {
  const asked: { message: Message; body: DeliveryMessage }[] = [];
  for (const message of batch.messages) {
    const body = parseDeliveryMessage(message.body);
    if (body) asked.push({ message, body });
    else await buryMessage(deps.db, batch.queue, message, "not a delivery message");
  }
  const found = await findAll(deps, batch.queue, asked);
  if (!found) return;

  const open = new Set<Message>();
  const waitedFor: Promise<void>[] = [];
  const work = asked.map(({ message, body }) => {
    const delivery = "id" in body ? found.get(keyOf(body)) : undefined;
    const receiver = delivery && receiverOf(delivery);
    open.add(message);
    const startedAt = Date.now();
    const done = handle(deps, batch.queue, message, body, delivery).then(() => {
      open.delete(message);
      if (receiver && Date.now() - startedAt < PATIENCE_MS) slow.delete(receiver);
    });
    if (!receiver || !slow.has(receiver)) waitedFor.push(done);
    return { message, receiver, done };
  });
  deps.waitUntil(Promise.all(work.map(({ done }) => done)));
  // Too late is no failure: what is open then goes on behind.
  await withTimeout(PATIENCE_MS, Promise.all(waitedFor)).catch(() => undefined);
  for (const { message, receiver } of work) {
    if (!open.has(message)) continue;
    if (receiver) slow.set(receiver, true);
    dropOldest(slow, MOST_SLOW);
    message.retry({ delaySeconds: BACK_SECONDS });
  }
}

/** All deliveries that a batch asks for, in one query; null when D1 failed, and all come back later. */
async function findAll(
  { db }: DeliveryDeps,
  queue: string,
  asked: readonly { message: Message; body: DeliveryMessage }[],
): Promise<Map<string, DueDelivery> | null> {
  const keys = asked.flatMap(({ body }) => ("id" in body ? [body] : []));
  if (keys.length === 0) return new Map();
  try {
    const found = await findDueDeliveries(db, keys);
    return new Map(found.map((delivery) => [keyOf(delivery), delivery]));
  } catch (error) {
    log("queue batch failed", { queue, error: describeError(error) });
    for (const { message } of asked) retryLater(message);
    return null;
  }
}

function keyOf({ organisationId, id }: DeliveryKey): string {
  return `${organisationId} ${id}`;
}

/** Whom a delivery goes to: who is slow for one is slow for the next. */
function receiverOf({ organisationId, endpointId, url }: DueDelivery): string {
  return `${organisationId} ${endpointId ?? url}`;
}

/** Does what one message asks for. Never throws. */
async function handle(
  deps: DeliveryDeps,
  queue: string,
  message: Message,
  body: DeliveryMessage,
  delivery: DueDelivery | undefined,
): Promise<void> {
  try {
    if ("recovery" in body) {
      await recoverPage(deps, body.organisationId, body.recovery);
    } else if (delivery && "resend" in body) {
      if (body.unlessUnderWay) {
        // What has arrived meanwhile needs nothing more.
        if (delivery.status === "delivered") return;
        if (isUnderWay(delivery, Date.now())) {
          return message.retry({ delaySeconds: LOOK_AGAIN_SECONDS });
        }
      }
      await resend(deps, delivery, body.resend);
    } else if (delivery && "attempt" in body) {
      const made = delivery.attemptCount;
      if (delivery.status !== "pending" || made >= body.attempt) return;
      if (made < body.attempt - 1) return message.retry({ delaySeconds: EARLY_SECONDS });
      await attemptScheduled(deps, delivery);
    }
  } catch (error) {
    log("queue message failed", { queue, message_id: message.id, error: describeError(error) });
    retryLater(message);
  }
}

/** Whether an attempt of the schedule is being made about now: another would be one too many. */
function isUnderWay({ status, nextAttemptAt }: DueDelivery, now: number): boolean {
  if (status !== "pending" || nextAttemptAt === null) return false;
  return nextAttemptAt < now + AHEAD_MS && nextAttemptAt > now - BEHIND_MS;
}

/** Makes the next attempt of the schedule, sees to the one after it, and records it. */
async function attemptScheduled(deps: DeliveryDeps, delivery: DueDelivery): Promise<void> {
  const { db } = deps;
  const { organisationId, id, endpoint, event, attemptCount } = delivery;
  const outcome = await send(deps, delivery, attemptCount);
  const { attempt } = outcome;
  const settle = (status: DeliveryStatus) =>
    recordScheduled(db, delivery, attempt, { status, nextAttemptAt: null });
  if (!outcome.sent) return settle("discarded");
  const plan = isOver(event, outcome) ? null : planAfter(deps, attemptCount + 1, outcome);
  if (endpoint && isTest(event)) {
    await setEndpointValid(db, endpoint, outcome.succeeded);
  } else if (endpoint) {
    await noteHealth(deps, endpoint, outcome, plan === null);
  }
  if (plan === null) return settle(outcome.succeeded ? "delivered" : "failed");
  // The next message first: recorded without it, the delivery would be pending for ever. Should it
  // come before the record, it waits for it.
  const nextAttemptAt = Date.now() + plan.delaySeconds * 1_000;
  const next: DeliveryMessage = { v: 1, organisationId, id, attempt: attemptCount + 2 };
  await deps.deliveries.send(next, { delaySeconds: Math.ceil(plan.delaySeconds) });
  await recordScheduled(db, delivery, attempt, { status: "pending", nextAttemptAt });
}

/** Whether an attempt was the last: it arrived, its receiver wants no more, or it is of no use later. */
function isOver(event: DomainEvent, outcome: Sent): boolean {
  // Whoever tries an endpoint out waits for the answer: tomorrow's is of no use.
  return outcome.succeeded || isGone(outcome) || isTest(event);
}

/** When to try again after so many attempts; null: never. */
function planAfter(
  { config }: DeliveryDeps,
  attempts: number,
  { attempt, timedOut, retryAfterSeconds }: Sent,
): { delaySeconds: number } | null {
  const plan = planNextAttempt({
    attempts,
    delaysSeconds: config.webhookRetrySeconds,
    outcome: { statusCode: attempt.statusCode, timedOut, retryAfterSeconds },
    random: Math.random(),
  });
  return plan === "exhausted" ? null : plan;
}

/** Sends once more what somebody asked for; the schedule stays as it is. */
async function resend(deps: DeliveryDeps, delivery: DueDelivery, by: string): Promise<void> {
  const { attempts } = delivery;
  if (attempts.length >= MOST_ATTEMPTS || attempts.some(({ resend }) => resend === by)) return;
  const outcome = await send(deps, delivery, attempts.length);
  if (outcome.sent && delivery.endpoint) await noteHealth(deps, delivery.endpoint, outcome, false);
  const succeeded = outcome.sent && outcome.succeeded;
  await recordResend(deps.db, delivery, { ...outcome.attempt, resend: by }, succeeded);
}

async function send(deps: DeliveryDeps, delivery: DueDelivery, retries: number): Promise<Outcome> {
  return delivery.endpoint?.enabled === false
    ? unsent("the webhook endpoint is disabled")
    : makeAttempt(deps, delivery, retries);
}
