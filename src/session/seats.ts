/**
 * Which seats of a full session may be given to somebody else: those of users who joined with the join code
 * and are not there. Until somebody takes it, the seat is still theirs: they may come back with their
 * tokens. Pure.
 */
import { hostOf, type Session } from "./session";

/** A user who joined, and was never connected, keeps the seat for so long. */
const FIRST_CONNECT_MS = 60_000;
/** `rejoinSeconds` of sessions that were made before there was such a thing. */
const REJOIN_SECONDS = 120;

/** Whether a user is there. */
export interface SeatUse {
  connected: boolean;
  /** When the user's last connection ended, Unix milliseconds; null: there was none. */
  leftAt: number | null;
}

/**
 * The users whose seats are free, the one that has been free longest first.
 * @param useOf whether this user is there
 */
export function freeSeats(
  session: Session,
  useOf: (n: number) => SeatUse,
  now: number,
): readonly number[] {
  return session.users
    .filter(({ n }) => mayLoseSeat(session, n))
    .map(({ n, joinedAt = 0 }) => ({ n, freeAt: freeAt(session, joinedAt, useOf(n)) }))
    .filter(({ freeAt }) => now >= freeAt)
    .sort((a, b) => a.freeAt - b.freeAt || a.n - b.n)
    .map(({ n }) => n);
}

/** Whether this user's seat can be given to another at all. The host's never is. */
export function mayLoseSeat(session: Session, n: number): boolean {
  if (n === hostOf(session)) return false;
  return session.users.some((user) => user.n === n && user.joinedAt !== undefined);
}

function freeAt(
  { rejoinSeconds = REJOIN_SECONDS }: Session,
  joinedAt: number,
  { connected, leftAt }: SeatUse,
): number {
  if (connected) return Number.POSITIVE_INFINITY;
  return leftAt === null ? joinedAt + FIRST_CONNECT_MS : leftAt + rejoinSeconds * 1_000;
}
