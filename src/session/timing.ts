/**
 * When a session ends, and when its object has to wake. Pure.
 *
 * Of the idle clock, normally only the alarm's time is stored; during a retry also `retry.idleAt`
 * (`session-outbox.ts`). A call or a closing socket moves the alarm only when it has to, so that a session
 * that is polled costs no write for each call. The price is slack: an idle session ends between `idleSeconds` and a quarter more after its last use, never earlier.
 */
import { VERIFICATION_TIMEOUT } from "./machine";
import { NO_RELAY_NODE } from "./relay-node";
import {
  type EndedSession,
  type ExpiryReason,
  isFinal,
  reasonOfExpiry,
  type Session,
} from "./session";

/** How much later than `idleSeconds` an idle session may end, in milliseconds. */
export function idleSlackMs(idleSeconds: number): number {
  return idleSeconds * 250;
}

/**
 * When the session has to end if nothing more happens, Unix milliseconds.
 * @param idleAt when it counts as idle; null while a socket is open
 */
export function dueAt(session: Session, idleAt: number | null): number {
  // A session that is being verified, or waits for a relay node, is not idle.
  const deadline = pendingDeadline(session);
  if (deadline !== null) return Math.min(session.expiresAt, deadline.at);
  return idleAt === null ? session.expiresAt : Math.min(session.expiresAt, idleAt);
}

/** How a session ends that is due at `now`; null while it is not. */
export function endDue(
  session: Session,
  idleAt: number | null,
  now: number,
): { type: "fail"; error: string } | { type: "expire"; reason: ExpiryReason } | null {
  if (isFinal(session) || now < dueAt(session, idleAt)) return null;
  const deadline = pendingDeadline(session);
  if (deadline !== null && now >= deadline.at) return { type: "fail", error: deadline.error };
  if (now < session.expiresAt) return { type: "expire", reason: "api" };
  return { type: "expire", reason: reasonOfExpiry(session) };
}

/** The most time before its end at which a session is announced as expiring. */
const EXPIRING_AHEAD_MS = 3_600_000;

/**
 * When a source session is announced as expiring: an hour before its end, or when the last quarter of
 * its life begins, where that is later. Null: never, or not any more.
 */
export function expiringAt(session: Session): number | null {
  if (session.status !== "active" || session.verifiedAt === undefined || session.warned)
    return null;
  const quarter = (session.expiresAt - session.verifiedAt) / 4;
  return session.expiresAt - Math.min(EXPIRING_AHEAD_MS, Math.max(0, quarter));
}

/** When the connector is asked next whether access of a source session still stands; null: never. */
export function nextCheckAt(session: Session, now: number): number | null {
  const seconds = session.source?.checkSeconds ?? null;
  if (session.status !== "active" || session.verifiedAt === undefined || seconds === null) {
    return null;
  }
  // Counted from the verification, so that nothing has to remember the last check.
  const done = Math.floor((now - session.verifiedAt) / (seconds * 1_000));
  return session.verifiedAt + (Math.max(0, done) + 1) * seconds * 1_000;
}

/** Until when a pending session has to be ready, and the error with which it fails then. */
function pendingDeadline(session: Session): { at: number; error: string } | null {
  if (session.status !== "pending") return null;
  if (session.source) return { at: session.source.verifyBy, error: VERIFICATION_TIMEOUT };
  return session.linkBy === undefined ? null : { at: session.linkBy, error: NO_RELAY_NODE };
}

/**
 * The time to which the alarm must move, or null when it may stay where it is.
 * @param alarmAt where it is; null when none is set
 */
export function planAlarm(
  session: Session,
  idleAt: number | null,
  alarmAt: number | null,
): number | null {
  const slack = idleSlackMs(session.idleSeconds);
  const latest = Math.min(dueAt(session, null), dueAt(session, idleAt) + slack);
  if (alarmAt === null) return latest;
  // While a socket is open, an early alarm does no harm: it is set again when it rings, and moving it now
  // would cost a write. Without a socket, an early alarm would end the session too soon, if the object was
  // evicted meanwhile and knows nothing but the alarm.
  const early = idleAt !== null && alarmAt < dueAt(session, idleAt);
  return early || alarmAt > latest ? latest : null;
}

/**
 * How long the object of a source session stays after its end, at least. Longer than a request to create one
 * can have the same id (`sources/duplicate-requests.ts`).
 */
const KEPT_MS = 900_000;
/** When the object of a source session is to be removed, after its end; and at the latest. */
const REMOVAL_MS = 1_800_000;
const LATEST_REMOVAL_MS = 2_700_000;

/** Whether a session ended so long ago that its object may be removed. */
export function isLongOver(session: Session, now: number): boolean {
  return isFinal(session) && now >= session.endedAt + KEPT_MS;
}

/**
 * The time to which the alarm of a session that has ended must move, so that its object is removed; null when
 * it may stay where it is. Of a relay session: always, since the sweep removes its object with its row.
 * @param alarmAt where it is; null when none is set
 */
export function planRemoval(
  { source, endedAt }: EndedSession,
  alarmAt: number | null,
): number | null {
  if (!source) return null;
  // An alarm that was set for the session's life removes the object if it rings late enough: it costs no write.
  const stays = alarmAt !== null && alarmAt <= endedAt + LATEST_REMOVAL_MS;
  return stays ? null : endedAt + REMOVAL_MS;
}

/** How long to wait before the outbox is drained again, in milliseconds, after `attempt` failures. */
export function drainBackoffMs(attempt: number): number {
  return Math.min(1_000 * 2 ** Math.min(attempt, 20), 300_000);
}

/** The same, where the relay node has to be told: what it does not know, it does not do. */
export function nodeBackoffMs(attempt: number): number {
  return Math.min(drainBackoffMs(attempt), 30_000);
}
