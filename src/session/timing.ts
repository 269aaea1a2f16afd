/**
 * When a session's object has to wake. Pure.
 *
 * The alarm is the only durable memory of the idle clock: a call or a closing socket moves it only
 * when it has to, so a polled session costs no write per call. The price is slack: an idle session
 * ends between `idleSeconds` and a quarter more after its last activity, never earlier.
 */
import type { Session } from "./machine";

/** How much later than `idleSeconds` an idle session may end, in milliseconds. */
export function idleSlackMs(idleSeconds: number): number {
  return idleSeconds * 250;
}

/**
 * When the session has to end if nothing more happens, Unix milliseconds.
 * @param idleAt when it counts as idle; null while a socket is open
 */
export function dueAt(session: Session, idleAt: number | null): number {
  return idleAt === null ? session.expiresAt : Math.min(session.expiresAt, idleAt);
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
  const latest = Math.min(session.expiresAt, dueAt(session, idleAt) + slack);
  if (alarmAt === null) return latest;
  // With a socket open an early alarm finds it open and is set again: moving it now would be a write
  // for nothing. Without one, an early alarm would end the session if the object forgot by then.
  const early = idleAt !== null && alarmAt < dueAt(session, idleAt);
  return early || alarmAt > latest ? latest : null;
}

/** How long to wait before the outbox is drained again, in milliseconds, after `attempt` failures. */
export function drainBackoffMs(attempt: number): number {
  return Math.min(1_000 * 2 ** Math.min(attempt, 20), 300_000);
}
