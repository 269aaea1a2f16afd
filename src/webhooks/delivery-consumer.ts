/**
 * Consumes the deliveries queue. A message asks for one attempt, and the row in D1 says whether that
 * attempt is still to be made. A message that comes twice is sent at most twice and recorded once. After
 * a crash between the request and its record, the request is repeated with the same `webhook-id`.
 *
 * A receiver that hangs must not delay the others. The handler therefore waits only a moment for a batch,
 * and the requests that are not over then go on behind it. Their messages come back when the requests
 * must be over: they are dropped if the attempt is recorded, and repeated if the Worker died.
 */

import { recordDeadLetter, retryLater } from "../dead-letters/dead-letter-store";
import type { DomainEvent } from "../events/event";
import type { ChangeStore } from "../events/event-outbox";
import { dropOldest } from "../platform/bounded-memory";
import { describeError, log } from "../platform/log";
import { withTimeout } from "../platform/wait";
import {
  type DeliveryKey,
  type DeliveryStatus,
  type DeliveryToSend,
  MOST_ATTEMPTS,
} from "./delivery";
import {
  type AttemptResult,
  makeAttempt,
  type SentAttempt,
  unsentAttempt,
  type WebhookSender,
} from "./delivery-attempt";
import { type DeliveryMessage, parseDeliveryMessage } from "./delivery-messages";
import { findDeliveriesToSend, recordResend, recordScheduled } from "./delivery-store";
import { isTestEvent } from "./endpoint";
import { isGone, updateEndpointHealth } from "./endpoint-health";
import { setEndpointValid } from "./endpoint-store";
import { recoverPage } from "./recovery";
import { planNextAttempt } from "./retry-schedule";

/** What the consumer works with. */
export interface DeliveryServices extends WebhookSender, ChangeStore {
  deliveries: Queue;
  /** Keeps the Worker alive for requests that go on after the batch. */
  waitUntil(promise: Promise<unknown>): void;
}

/** How long the handler waits for the receivers of a batch. */
const PATIENCE_MS = 1_000;
/** When the message of a request that goes on comes back: after the longest request and its record. */
const BACK_SECONDS = 45;
/** How long a message waits for the record of the attempt before its own. */
const EARLY_SECONDS = 5;
/**
 * An attempt of the schedule counts as under way from so long before it is due. A request that a recovery
 * makes earlier than that is over and recorded by then …
 */
const AHEAD_MS = 30_000;
/** … to so long after it: by then its message came off its queue, and its request is over and recorded. */
const BEHIND_MS = 120_000;
/** When a recovery looks again at a delivery of which an attempt is under way. */
const LOOK_AGAIN_SECONDS = 30;

/** Receivers that were slow the last time. The handler does not wait for them until they answer fast. */
const slow = new Map<string, true>();
const MOST_SLOW = 1_000;

/** A message of the batch that could be read. */
interface Task {
  message: Message;
  body: DeliveryMessage;
}

/** Handles a batch. What was done is acknowledged; what could not be done comes back. */
export async function consumeDeliveries(
  batch: MessageBatch,
  services: DeliveryServices,
): Promise<void> {
  const tasks: Task[] = [];
  for (const message of batch.messages) {
    const body = parseDeliveryMessage(message.body);
    if (body) tasks.push({ message, body });
    else await recordDeadLetter(services.db, batch.queue, message, "not a delivery message");
  }
  const found = await findAll(services, batch.queue, tasks);
  if (!found) return;

  const open = new Set<Message>();
  const waitedFor: Promise<void>[] = [];
  const work = tasks.map((task) => {
    const { message, body } = task;
    const delivery = "id" in body ? found.get(keyOf(body)) : undefined;
    const receiver = delivery && receiverOf(delivery);
    open.add(message);
    const startedAt = Date.now();
    const done = handle(services, batch.queue, task, delivery).then(() => {
      open.delete(message);
      if (receiver && Date.now() - startedAt < PATIENCE_MS) slow.delete(receiver);
    });
    if (!receiver || !slow.has(receiver)) waitedFor.push(done);
    return { message, receiver, done };
  });
  services.waitUntil(Promise.all(work.map(({ done }) => done)));
  // Time running out is no failure here: what is still open goes on behind.
  await withTimeout(PATIENCE_MS, Promise.all(waitedFor)).catch(() => undefined);
  for (const { message, receiver } of work) {
    if (!open.has(message)) continue;
    if (receiver) slow.set(receiver, true);
    dropOldest(slow, MOST_SLOW);
    message.retry({ delaySeconds: BACK_SECONDS });
  }
}

/** All deliveries of a batch, in one query. Null when D1 failed: then all messages come back later. */
async function findAll(
  { db }: DeliveryServices,
  queue: string,
  tasks: readonly Task[],
): Promise<Map<string, DeliveryToSend> | null> {
  const keys = tasks.flatMap(({ body }) => ("id" in body ? [body] : []));
  if (keys.length === 0) return new Map();
  try {
    const found = await findDeliveriesToSend(db, keys);
    return new Map(found.map((delivery) => [keyOf(delivery), delivery]));
  } catch (error) {
    log("queue batch failed", { queue, error: describeError(error) });
    for (const { message } of tasks) retryLater(message);
    return null;
  }
}

function keyOf({ organisationId, id }: DeliveryKey): string {
  return `${organisationId} ${id}`;
}

/** The name of the receiver: one that is slow for one delivery is taken to be slow for the next. */
function receiverOf({ organisationId, endpointId, url }: DeliveryToSend): string {
  return `${organisationId} ${endpointId ?? url}`;
}

/** Does what one message asks for. Never throws. */
async function handle(
  services: DeliveryServices,
  queue: string,
  { message, body }: Task,
  delivery: DeliveryToSend | undefined,
): Promise<void> {
  try {
    if ("recovery" in body) {
      await recoverPage(
        services,
        { organisationId: body.organisationId, id: body.recovery },
        Date.now(),
      );
    } else if (delivery && "resend" in body) {
      if (body.unlessUnderWay) {
        // What has arrived in the meantime needs no other attempt.
        if (delivery.status === "delivered") return;
        if (isUnderWay(delivery, Date.now())) {
          return message.retry({ delaySeconds: LOOK_AGAIN_SECONDS });
        }
      }
      await resend(services, delivery, body.resend);
    } else if (delivery && "attempt" in body) {
      const made = delivery.attemptCount;
      if (delivery.status !== "pending" || made >= body.attempt) return;
      if (made < body.attempt - 1) return message.retry({ delaySeconds: EARLY_SECONDS });
      await attemptScheduled(services, delivery);
    }
  } catch (error) {
    log("queue message failed", { queue, message_id: message.id, error: describeError(error) });
    retryLater(message);
  }
}

/** Whether an attempt of the schedule is being made about now. A second one would be one too many. */
function isUnderWay({ status, nextAttemptAt }: DeliveryToSend, now: number): boolean {
  if (status !== "pending" || nextAttemptAt === null) return false;
  return nextAttemptAt < now + AHEAD_MS && nextAttemptAt > now - BEHIND_MS;
}

/** Makes the next attempt of the schedule, puts the one after it on the queue, and records the attempt. */
async function attemptScheduled(
  services: DeliveryServices,
  delivery: DeliveryToSend,
): Promise<void> {
  const { db } = services;
  const { organisationId, id, endpoint, event, attemptCount } = delivery;
  const result = await send(services, delivery, attemptCount);
  const { attempt } = result;
  const finish = (status: DeliveryStatus) =>
    recordScheduled(db, delivery, attempt, { status, nextAttemptAt: null });
  if (!result.sent) return finish("discarded");
  const plan = isOver(event, result) ? null : planAfter(services, attemptCount + 1, result);
  if (endpoint && isTestEvent(event)) {
    await setEndpointValid(db, endpoint, result.succeeded);
  } else if (endpoint) {
    const report = { result, isLast: plan === null };
    await updateEndpointHealth(services, endpoint, report, Date.now());
  }
  if (plan === null) return finish(result.succeeded ? "delivered" : "failed");
  // The next message is sent first. If only the record were written, the delivery would be pending for
  // ever. A message that comes before the record waits for it.
  const nextAttemptAt = Date.now() + plan.delaySeconds * 1_000;
  const next: DeliveryMessage = { v: 1, organisationId, id, attempt: attemptCount + 2 };
  await services.deliveries.send(next, { delaySeconds: Math.ceil(plan.delaySeconds) });
  await recordScheduled(db, delivery, attempt, { status: "pending", nextAttemptAt });
}

/** Whether no attempt follows: it arrived, the receiver wants no more, or a later one is of no use. */
function isOver(event: DomainEvent, result: SentAttempt): boolean {
  // A person who tests an endpoint waits for the answer, and has no use for one of tomorrow.
  return result.succeeded || isGone(result) || isTestEvent(event);
}

/** When to try again after so many attempts; null: never. */
function planAfter(
  { config }: DeliveryServices,
  attempts: number,
  { attempt, timedOut, retryAfterSeconds }: SentAttempt,
): { delaySeconds: number } | null {
  const plan = planNextAttempt({
    attempts,
    delaysSeconds: config.webhookRetrySeconds,
    outcome: { statusCode: attempt.statusCode, timedOut, retryAfterSeconds },
    random: Math.random(),
  });
  return plan === "exhausted" ? null : plan;
}

/** Makes one more attempt, which a person or a recovery asked for. The schedule stays as it is. */
async function resend(
  services: DeliveryServices,
  delivery: DeliveryToSend,
  requestId: string,
): Promise<void> {
  const { attempts } = delivery;
  if (attempts.length >= MOST_ATTEMPTS) return;
  if (attempts.some((made) => made.resend === requestId)) return;
  const result = await send(services, delivery, attempts.length);
  if (result.sent && delivery.endpoint) {
    await updateEndpointHealth(services, delivery.endpoint, { result, isLast: false }, Date.now());
  }
  const succeeded = result.sent && result.succeeded;
  await recordResend(services.db, delivery, { ...result.attempt, resend: requestId }, succeeded);
}

async function send(
  services: DeliveryServices,
  delivery: DeliveryToSend,
  retries: number,
): Promise<AttemptResult> {
  return delivery.endpoint?.enabled === false
    ? unsentAttempt("the webhook endpoint is disabled", Date.now())
    : makeAttempt(services, delivery, retries);
}
