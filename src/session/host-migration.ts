/**
 * When a host who is gone is replaced by another user, and by whom: create's `host_migration`. A host who
 * was never connected is waited for. Pure.
 */
import { isForRelayNode } from "./machine";
import type { SeatUse } from "./seats";
import { hostOf, type Session } from "./session";

/**
 * From when on another user is to be the host, Unix milliseconds; null: none is, as things stand. A host
 * who comes back before that is the host still.
 * @param use whether the host is there
 */
export function hostMigrationAt(session: Session, use: SeatUse): number | null {
  const { status, hostMigration, hostGraceSeconds } = session;
  if (status !== "active" || hostMigration === undefined || hostGraceSeconds === undefined) {
    return null;
  }
  const goneSince = isForRelayNode(session) ? null : hostGoneSince(session, use);
  return goneSince === null ? null : goneSince + hostGraceSeconds * 1_000;
}

/** The user who takes over: the one with the lowest ordinal of those who are connected; null: nobody is. */
export function nextHost(session: Session, isConnected: (n: number) => boolean): number | null {
  const host = hostOf(session);
  const connected = session.users.filter(({ n }) => n !== host && isConnected(n));
  return connected.length === 0 ? null : Math.min(...connected.map(({ n }) => n));
}

/** Since when the session is without its host, Unix milliseconds; null: the host is there, or is yet to come. */
function hostGoneSince(session: Session, { connected, leftAt }: SeatUse): number | null {
  if (session.hostRevokedAt !== undefined) return session.hostRevokedAt;
  if (connected || leftAt === null) return null;
  // Whoever was made the host while they were away has the whole time to come back.
  return Math.max(leftAt, session.hostSince ?? 0);
}
