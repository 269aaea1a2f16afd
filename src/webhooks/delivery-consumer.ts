/**
 * Consumes both queues of deliveries. A message asks for one attempt, and the event's journal says whether
 * that attempt is still to be made. A message that comes twice causes at most two requests and one record. After
 * a crash between the request and its record, the request is repeated with the same `webhook-id`.
 *
 * A receiver that hangs must not delay the others. The handler therefore waits only a moment for a batch.
 * The requests that are not over by then go on after the handler has returned. The queue delivers their
 * messages again when the requests must be over. The consumer then drops a message whose attempt is
 * recorded, and makes the attempt again if the Worker died before the record.
 */

import { recordDeadLetter, retryLater } from "../dead-letters/dead-letter-store";
import type { DeliveryStatus } from "../events/delivery-record";
import type { DomainEvent } from "../events/event";
import type { ChangeStore } from "../events/event-outbox";
import { dropOldest } from "../platform/bounded-memory";
import { describeError, log } from "../platform/log";
import { withTimeout } from "../platform/wait";
import { AttemptRecorder } from "./attempt-recorder";
import { deliveryName, type FoundDeliveries, findDeliveriesToSend } from "./deliveries-to-send";
import { type DeliveryToSend, MAX_ATTEMPTS } from "./delivery";
import {
  type AttemptResult,
  makeAttempt,
  type SentAttempt,
  unsentAttempt,
  type WebhookSender,
} from "./delivery-attempt";
import { type DeliveryMessage, parseDeliveryMessage } from "./delivery-messages";
import { isTestEvent } from "./endpoint";
import { isGone, updateEndpointHealth } from "./endpoint-health";
import { setEndpointValid } from "./endpoint-store";
import { recoverPage } from "./recovery";
import { planNextAttempt } from "./retry-schedule";

/** What the consumer works with. */
export interface DeliveryServices extends WebhookSender, ChangeStore {
  /** Where next attempts go: the queue from which the batch came, so that a burst stays on the second queue. */
  deliveries: Queue;
  /** Keeps the Worker alive for requests that go on after the batch. */
  waitUntil(promise: Promise<unknown>): void;
}

/** How long the handler waits for the receivers of a batch. */
const WAIT_FOR_BATCH_MS = 1_000;
/** How long an attempt that is over waits for others of the batch, so that they are recorded together. */
const RECORD_TOGETHER_MS = 500;
/** A message whose request still runs is delivered again after this: the longest request is over and recorded. */
const REDELIVER_SLOW_SECONDS = 45;
/** How long a message waits for the record of the attempt before its own. */
const EARLY_SECONDS = 5;
/**
 * An attempt of the schedule counts as under way from this long before it is due. A recovery that makes its
 * own request earlier than that has recorded it when the attempt is due.
 */
const UNDER_WAY_BEFORE_MS = 30_000;
/**
 * An attempt of the schedule counts as under way until this long after it is due. By then its message came
 * off the queue, and its request is over and recorded.
 */
const UNDER_WAY_AFTER_MS = 120_000;
/** When a recovery looks again at a delivery of which an attempt is under way. */
const LOOK_AGAIN_SECONDS = 30;

/** Receivers that were slow the last time. The handler does not wait for them until they answer fast. */
const slow = new Map<string, true>();
const MAX_SLOW = 1_000;

/** A message of the batch that could be read. */
interface Task {
  message: Message;
  body: DeliveryMessage;
}

/** The services of one batch. */
interface BatchServices extends DeliveryServices {
  recorder: AttemptRecorder;
}

/**
 * Handles a batch. The consumer calls `retry()` for messages that are to come again. Messages that we do not
 * retry are acknowledged by the platform when the handler returns.
 */
export async function consumeDeliveries(
  batch: MessageBatch,
  given: DeliveryServices,
): Promise<void> {
  const recorder = new AttemptRecorder(given.events.journals);
  const services = { ...given, recorder };
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
  const known = tasks.map((task) => {
    const { body } = task;
    const delivery = "id" in body ? found.found.get(deliveryName(body)) : undefined;
    const receiver = delivery && receiverOf(delivery);
    const isWaitedFor = !receiver || !slow.has(receiver);
    if (delivery && isWaitedFor) recorder.expect(delivery);
    return { task, delivery, receiver, isWaitedFor };
  });
  const work = known.map(({ task, delivery, receiver, isWaitedFor }) => {
    const { message } = task;
    open.add(message);
    const startedAt = Date.now();
    const done = handle(services, batch.queue, task, { delivery, ...found }).then(() => {
      open.delete(message);
      if (delivery) recorder.over(delivery);
      if (receiver && Date.now() - startedAt < WAIT_FOR_BATCH_MS) slow.delete(receiver);
    });
    if (isWaitedFor) waitedFor.push(done);
    return { message, receiver, done };
  });
  services.waitUntil(Promise.all(work.map(({ done }) => done)));
  // A time-out is no failure here: the requests that are still open go on after the handler returns.
  const all = Promise.all(waitedFor);
  await withTimeout(RECORD_TOGETHER_MS, all).catch(() => undefined);
  recorder.release();
  await withTimeout(WAIT_FOR_BATCH_MS - RECORD_TOGETHER_MS, all).catch(() => undefined);
  for (const { message, receiver } of work) {
    if (!open.has(message)) continue;
    if (receiver) slow.set(receiver, true);
    dropOldest(slow, MAX_SLOW);
    message.retry({ delaySeconds: REDELIVER_SLOW_SECONDS });
  }
}

/** All deliveries of a batch. Null when D1 failed: all messages then come again later. */
async function findAll(
  { db, events }: DeliveryServices,
  queue: string,
  tasks: readonly Task[],
): Promise<FoundDeliveries | null> {
  const keys = tasks.flatMap(({ body }) => ("id" in body ? [body] : []));
  try {
    return await findDeliveriesToSend({ db, journals: events.journals }, keys);
  } catch (error) {
    log("queue batch failed", { queue, error: describeError(error) });
    for (const { message } of tasks) retryLater(message);
    return null;
  }
}

/** The name of a receiver. A receiver that was slow for one delivery is expected to be slow for the next. */
function receiverOf({ organisationId, endpointId, url }: DeliveryToSend): string {
  return `${organisationId} ${endpointId ?? url}`;
}

/** Does what one message asks for. Never throws. */
async function handle(
  services: BatchServices,
  queue: string,
  { message, body }: Task,
  {
    delivery,
    unreachable,
  }: Pick<FoundDeliveries, "unreachable"> & {
    delivery: DeliveryToSend | undefined;
  },
): Promise<void> {
  try {
    if ("id" in body && !delivery) {
      if (unreachable.has(deliveryName(body))) return retryLater(message);
      // A message follows its record: retention has dropped the journal, or the organisation was deleted.
      log("message of a delivery that is no longer recorded discarded", {
        organisation: body.organisationId,
        delivery: body.id,
      });
    } else if ("recovery" in body) {
      await recoverPage(
        { ...services, journals: services.events.journals },
        { organisationId: body.organisationId, id: body.recovery },
        Date.now(),
      );
    } else if (delivery && "resend" in body) {
      if (body.unlessUnderWay) {
        // A delivery that has arrived in the meantime needs no other attempt.
        if (delivery.status === "delivered") return;
        if (isUnderWay(delivery, Date.now())) {
          return message.retry({ delaySeconds: LOOK_AGAIN_SECONDS });
        }
      }
      await resend(services, delivery, body.resend);
    } else if (delivery && "attempt" in body) {
      const made = delivery.scheduledAttempts;
      if (delivery.status !== "pending" || made >= body.attempt) return;
      if (made < body.attempt - 1) return message.retry({ delaySeconds: EARLY_SECONDS });
      await attemptScheduled(services, delivery);
    }
  } catch (error) {
    log("queue message failed", { queue, message_id: message.id, error: describeError(error) });
    retryLater(message);
  }
}

/** Whether an attempt of the schedule is being made about now. With one more, the receiver would get the event twice. */
function isUnderWay({ status, nextAttemptAt }: DeliveryToSend, now: number): boolean {
  if (status !== "pending" || nextAttemptAt === null) return false;
  return nextAttemptAt < now + UNDER_WAY_BEFORE_MS && nextAttemptAt > now - UNDER_WAY_AFTER_MS;
}

/** Makes the next attempt of the schedule, puts the one after it on the queue, and records the attempt. */
async function attemptScheduled(services: BatchServices, delivery: DeliveryToSend): Promise<void> {
  const { db, recorder } = services;
  const { organisationId, id, endpoint, event, scheduledAttempts } = delivery;
  const result = await send(services, delivery, scheduledAttempts);
  const { attempt } = result;
  const record = (status: DeliveryStatus, nextAttemptAt: number | null) =>
    recorder.record(organisationId, {
      kind: "scheduled",
      deliveryId: id,
      attempt,
      before: scheduledAttempts,
      status,
      nextAttemptAt,
    });
  const finish = (status: DeliveryStatus) => record(status, null);
  if (!result.sent) return finish("discarded");
  const plan = isOver(event, result) ? null : planAfter(services, scheduledAttempts + 1, result);
  if (endpoint && isTestEvent(event)) {
    await setEndpointValid(db, endpoint, result.succeeded);
  } else if (endpoint) {
    const report = { result, isLast: plan === null };
    await updateEndpointHealth(services, endpoint, report, Date.now());
  }
  if (plan === null) return finish(result.succeeded ? "delivered" : "failed");
  // The next message is sent first. If only the record were written, the delivery would stay pending for
  // ever. If the next message comes before the record, it waits for the record.
  const nextAttemptAt = Date.now() + plan.delaySeconds * 1_000;
  const next: DeliveryMessage = { v: 1, organisationId, id, attempt: scheduledAttempts + 2 };
  await services.deliveries.send(next, { delaySeconds: Math.ceil(plan.delaySeconds) });
  await record("pending", nextAttemptAt);
}

/** Whether no attempt follows: this one arrived, the receiver wants no more, or a later one is of no use. */
function isOver(event: DomainEvent, result: SentAttempt): boolean {
  // A person who tests an endpoint waits for the answer, and has no use for an answer tomorrow.
  return result.succeeded || isGone(result) || isTestEvent(event);
}

/** When to make the next attempt after this many; null: never. */
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
  services: BatchServices,
  delivery: DeliveryToSend,
  requestId: string,
): Promise<void> {
  const { attempts } = delivery;
  if (attempts.length >= MAX_ATTEMPTS) return;
  if (attempts.some((made) => made.resend === requestId)) return;
  const result = await send(services, delivery, attempts.length);
  if (result.sent && delivery.endpoint) {
    await updateEndpointHealth(services, delivery.endpoint, { result, isLast: false }, Date.now());
  }
  const succeeded = result.sent && result.succeeded;
  await services.recorder.record(delivery.organisationId, {
    kind: "resend",
    deliveryId: delivery.id,
    attempt: { ...result.attempt, resend: requestId },
    succeeded,
  });
}

async function send(
  services: DeliveryServices,
  delivery: DeliveryToSend,
  attemptsBefore: number,
): Promise<AttemptResult> {
  return delivery.endpoint?.enabled === false
    ? unsentAttempt("the webhook endpoint is disabled", Date.now())
    : makeAttempt(services, delivery, attemptsBefore);
}
