/**
 * Deliveries as a journal stores them, in the row of their event: only what cannot be derived from the event
 * and from the table of receivers. Pure.
 */
import type {
  Attempt,
  AttemptRecord,
  Delivery,
  DeliveryStatus,
  StoredDelivery,
} from "../events/delivery-record";

/** A receiver of deliveries. The `webhook_url` of a session is none: its address is in the event. */
export type Receiver = Pick<Delivery, "endpointId" | "url" | "format">;

/**
 * A delivery: the number of its receiver (0: the session's `webhook_url`), its status, the time of its next
 * attempt (0: none), and its attempts. Times count from the event's.
 */
export type PackedDelivery = [
  receiver: number,
  status: number,
  nextAttemptAt: number,
  ...attempts: PackedAttempt[],
];

/** An attempt. What is missing at its end is null. */
type PackedAttempt = [
  at: number,
  durationMs: number,
  statusCode?: number | null,
  response?: string | null,
  error?: string | null,
  resend?: string | null,
];

const STATUSES: readonly DeliveryStatus[] = ["pending", "delivered", "failed", "discarded"];

/** The stored form of a delivery. `receiver`: the number of its receiver. */
export function packDelivery(
  { status, nextAttemptAt, attempts }: StoredDelivery,
  receiver: number,
  eventAt: number,
): PackedDelivery {
  return [
    receiver,
    STATUSES.indexOf(status),
    nextAttemptAt === null ? 0 : nextAttemptAt - eventAt,
    ...attempts.map((attempt) => packAttempt(attempt, eventAt)),
  ];
}

/** The delivery of a stored form. */
export function unpackDelivery(
  [, status, next, ...packed]: PackedDelivery,
  delivery: Delivery,
  eventAt: number,
): StoredDelivery {
  const attempts = packed.map((one) => unpackAttempt(one, eventAt));
  return {
    ...delivery,
    status: STATUSES[status] ?? "failed",
    attempts,
    scheduledAttempts: countScheduled(attempts),
    nextAttemptAt: next === 0 ? null : next + eventAt,
  };
}

/** A new delivery: no attempt was made. */
export function unattempted(delivery: Delivery): StoredDelivery {
  return {
    ...delivery,
    status: "pending",
    attempts: [],
    scheduledAttempts: 0,
    nextAttemptAt: null,
  };
}

/** Whether the first attempt of its schedule is still to be made. A resend is not part of the schedule. */
export function isUnattempted({ status, scheduledAttempts }: StoredDelivery): boolean {
  return status === "pending" && scheduledAttempts === 0;
}

/** Whether it did not arrive, and no attempt of the schedule follows. */
export function isUndelivered({ status }: Pick<StoredDelivery, "status">): boolean {
  return status === "failed" || status === "discarded";
}

/**
 * What a delivery is after an attempt; null: the attempt is recorded already. A delivery that has arrived in the
 * meantime, by a resend, stays delivered, even if this attempt failed.
 */
export function withAttempt(
  delivery: StoredDelivery,
  record: AttemptRecord,
): StoredDelivery | null {
  const { attempts, status, nextAttemptAt, scheduledAttempts } = delivery;
  const { attempt } = record;
  if (record.kind === "resend") {
    if (attempts.some(({ resend }) => resend === attempt.resend)) return null;
    const arrived = record.succeeded
      ? { status: "delivered" as const, nextAttemptAt: null }
      : { status, nextAttemptAt };
    return { ...delivery, ...arrived, attempts: [...attempts, attempt] };
  }
  if (scheduledAttempts !== record.before) return null;
  return {
    ...delivery,
    ...(status === "pending"
      ? { status: record.status, nextAttemptAt: record.nextAttemptAt }
      : { status, nextAttemptAt }),
    attempts: [...attempts, attempt],
    scheduledAttempts: scheduledAttempts + 1,
  };
}

/**
 * What a delivery is when nobody will make this attempt of its schedule (from 1). Null: it stays as it is,
 * because that attempt is not its next one, or because its schedule is over.
 */
export function givenUp(delivery: StoredDelivery, attempt: number): StoredDelivery | null {
  const isNext = delivery.scheduledAttempts === attempt - 1;
  return delivery.status === "pending" && isNext
    ? { ...delivery, status: "failed", nextAttemptAt: null }
    : null;
}

function countScheduled(attempts: readonly Attempt[]): number {
  return attempts.filter(({ resend }) => resend === undefined).length;
}

function packAttempt(
  { at, durationMs, statusCode, response, error, resend }: Attempt,
  eventAt: number,
): PackedAttempt {
  const packed = [at - eventAt, durationMs, statusCode, response, error, resend ?? null];
  while (packed.length > 2 && packed.at(-1) === null) packed.pop();
  return packed as PackedAttempt;
}

function unpackAttempt(
  [at, durationMs, statusCode, response, error, resend]: PackedAttempt,
  eventAt: number,
): Attempt {
  return {
    at: at + eventAt,
    durationMs,
    statusCode: statusCode ?? null,
    response: response ?? null,
    error: error ?? null,
    ...(typeof resend === "string" ? { resend } : {}),
  };
}
