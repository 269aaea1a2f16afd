/** What a session is: the same shape for relay and for source sessions. `machine.ts` says how it changes. Pure. */

import type { RelayNodeAddress } from "./relay-node";

/** The kinds of session: `relay` joins users, `source` is access to a third party's service. */
export type SessionKind = "relay" | "source";

/**
 * Who ended a session, in ricloud's words: `service` is its third party, `api` is Drawbridge (the session
 * was idle, or its time is over), `organisation` is its organisation, `admin` is the root token.
 */
export type ExpiryReason = "service" | "api" | "organisation" | "admin";

/** The most users that one session can have, whatever its own `maxUsers`. The size of an event rests on it. */
export const MAX_SESSION_USERS = 64;

/**
 * The ordinal of a session's first host: the first user ever authorised on it. On a relay node it is always
 * the host, because there a user's port says which side they are.
 */
export const FIRST_HOST = 0;

/** A user who is authorised on a relay session. Their token is derived from `n` and `draw`, never stored. */
export interface RelayUser {
  /**
   * Ordinal, from 0, never used again in this session: the user's connection id. `hostOf` says whose is
   * the host's.
   */
  readonly n: number;
  /**
   * Chosen by the object before it calls the machine, so that the derived token is unlike all others of
   * the session.
   */
  readonly draw: number;
  /** Normalised IPv4 or IPv6. */
  readonly ip: string;
  readonly connectionId: string | null;
  readonly deviceId: string | null;
  /** Digest of the Idempotency-Key of the join that made this user; absent: none was sent. */
  readonly joinedWith?: string;
  /**
   * When they joined with the join code, Unix milliseconds: their seat can be free again, see `seats.ts`.
   * Absent: the organisation added them, and their seat is theirs.
   */
  readonly joinedAt?: number;
}

/** A user as asked for, before it has its ordinal. */
export type NewRelayUser = Omit<RelayUser, "n">;

/** What a source session is about, and its terms. Times are Unix milliseconds. */
export interface SourceFacts {
  readonly userId: number;
  readonly sourceId: number;
  readonly type: string;
  readonly identifier: string;
  /** The source's state when the session was made. */
  readonly sourceState: string;
  readonly sourceCreatedAt: number;
  /** If it is still pending then, it fails with `verification-timeout`. */
  readonly verifyBy: number;
  /** The end of the life that Drawbridge gives it; its third party may give it less. */
  readonly lifetimeEndsAt: number;
  /** How often its connector is asked whether access still stands; null: never. */
  readonly checkSeconds: number | null;
}

/** What of a session never changes. Times are Unix milliseconds. */
export interface SessionFacts {
  readonly id: string;
  readonly kind: SessionKind;
  readonly organisationId: number;
  readonly keyId: number;
  readonly createdAt: number;
  /** It ends when nobody has used it for this long. */
  readonly idleSeconds: number;
  /** The most users that it may have, up to `MAX_SESSION_USERS`; 0 for kinds without users. */
  readonly maxUsers: number;
  /** Where the API was called, such as `https://relay.example.com`: links are built on it. */
  readonly origin: string;
  readonly webhookUrl: string | null;
  readonly metadata: Readonly<Record<string, string>> | null;
  /** A Durable Object location hint. */
  readonly region: string | null;
  /**
   * Which join code it was made with: the code is derived from the id and this number. Null: none.
   * `joinCodeDrawOf` has the one of now.
   */
  readonly joinCodeDraw: number | null;
  /**
   * `oldest`: a host who is gone for `hostGraceSeconds` is replaced by the connected user with the lowest
   * ordinal. Absent: a host stays until the organisation names another.
   */
  readonly hostMigration?: "oldest";
  /** For how long the host may be gone before another user takes over. */
  readonly hostGraceSeconds?: number;
  /** For how long a user who joined with the code, and has left, keeps the seat in a full session. */
  readonly rejoinSeconds?: number;
  /** Source sessions have it, and no others. */
  readonly source?: SourceFacts;
  /**
   * Sessions whose datagrams a relay node carries have it: if no node has taken it then, it fails. Unix
   * milliseconds.
   */
  readonly linkBy?: number;
}

interface Common extends SessionFacts {
  /** Rises by one with every event. */
  readonly version: number;
  readonly expiresAt: number;
  readonly users: readonly RelayUser[];
  /** The ordinal of the next user. */
  readonly nextUser: number;
  /** The ordinal of the host, once another user than the first has become it: see `hostOf`. */
  readonly host?: number;
  /** When that user became the host, Unix milliseconds. */
  readonly hostSince?: number;
  /** When the host was revoked, Unix milliseconds; absent: the host is a user, or the first is yet to come. */
  readonly hostRevokedAt?: number;
  /** Which join code it has, once that was changed; null: none. Absent: the one that it was made with. */
  readonly newJoinCodeDraw?: number | null;
  /** When access was verified; absent where nothing had to be. */
  readonly verifiedAt?: number;
  /** Its end was announced ahead of time. */
  readonly warned?: true;
  /** The relay node that carries its datagrams; absent: none does, or none yet. */
  readonly node?: RelayNodeAddress;
}

export interface PendingSession extends Common {
  readonly status: "pending";
}
export interface ActiveSession extends Common {
  readonly status: "active";
}
export interface FailedSession extends Common {
  readonly status: "failed";
  readonly endedAt: number;
  readonly error: string;
}
export interface ExpiredSession extends Common {
  readonly status: "expired";
  readonly endedAt: number;
  readonly reason: ExpiryReason;
}

/** A state in which nothing changes any more. */
export type EndedSession = FailedSession | ExpiredSession;

/** A session's state. `failed` and `expired` are final. */
export type Session = PendingSession | ActiveSession | EndedSession;

/**
 * The ordinal of the session's host. It need not be a user any more: a host who was revoked is gone, and
 * the session goes on without one until another user is made the host.
 */
export function hostOf({ host }: Pick<Session, "host">): number {
  return host ?? FIRST_HOST;
}

/** The number that the session's join code is derived from; null: it has none. */
export function joinCodeDrawOf(
  session: Pick<Session, "joinCodeDraw" | "newJoinCodeDraw">,
): number | null {
  const { joinCodeDraw, newJoinCodeDraw } = session;
  return newJoinCodeDraw === undefined ? joinCodeDraw : newJoinCodeDraw;
}

/** True once nothing can change any more. */
export function isFinal(state: Session): state is EndedSession {
  return state.status === "failed" || state.status === "expired";
}

/** Why a session ended: the code of its failure, or the reason of its expiry; null while it lives. */
export function endReasonOf(state: Session): string | null {
  if (state.status === "failed") return state.error;
  return state.status === "expired" ? state.reason : null;
}

/** Who ends a session at `expiresAt`: its third party, if that gave it a shorter life than Drawbridge did. */
export function reasonOfExpiry(state: Session): ExpiryReason {
  return state.source && state.expiresAt < state.source.lifetimeEndsAt ? "service" : "api";
}

/** The data of all `session.*` events. */
export interface SessionEventData {
  readonly session: Session;
}
