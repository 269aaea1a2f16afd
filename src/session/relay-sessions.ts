/** Makes relay sessions, lets players join them, and changes their join codes. The operations of relay sessions call it. */
import type { Database } from "../db/open";
import { describeError, log } from "../platform/log";
import { removeJoinCode, reserveJoinCode } from "./join-codes";
import { endedRefusal, type SessionRefusal } from "./machine";
import { newRelaySessionId } from "./relay-session-id";
import { joinKeyDigest } from "./relay-tokens";
import { isFinal, joinCodeDrawOf, type RelayUser, type Session } from "./session";
import type { SessionResult, UserRequest } from "./session-calls";
import type { SessionClient } from "./session-client";

/** What a relay session is made of. */
export interface NewRelaySession {
  users: UserRequest[];
  ttlSeconds: number;
  idleSeconds: number;
  maxUsers: number;
  webhookUrl: string | null;
  metadata: Record<string, string> | null;
  region: string | null;
  withJoinCode: boolean;
  /** Absent: a host stays until the organisation names another. Not for sessions on relay nodes. */
  hostMigration?: "oldest";
  hostGraceSeconds: number;
  rejoinSeconds: number;
  origin: string;
  /** The relay nodes that may carry it, the best one first. Null: it is a session of websockets only. */
  nodes: readonly string[] | null;
}

/** If no relay node has taken a session by then, it fails: three nodes are asked, 3 s each at most. */
const LINK_WITHIN_MS = 12_000;

/** What create and join need. */
export interface RelaySessionServices {
  db: Database;
  sessions: SessionClient;
  secret: string;
}

/** How many ids are tried. There are 2⁴⁸: if three in a row are taken, something is broken. */
const MAX_ID_TRIES = 3;

/** Makes a relay session under a new id. */
export async function createRelaySession(
  services: RelaySessionServices,
  owner: { organisationId: number; keyId: number },
  input: NewRelaySession,
  now: number,
): Promise<SessionResult> {
  const { users, ttlSeconds, withJoinCode, nodes, ...rest } = input;
  const expiresAt = now + ttlSeconds * 1_000;
  for (let i = 0; i < MAX_ID_TRIES; i++) {
    const id = newRelaySessionId();
    const facts = {
      ...rest,
      id,
      kind: "relay" as const,
      organisationId: owner.organisationId,
      keyId: owner.keyId,
      createdAt: now,
      // The code first: a code without a session is swept, but a session without its code is broken.
      joinCodeDraw: withJoinCode
        ? await reserveJoinCode(services.db, services.secret, {
            id,
            organisationId: owner.organisationId,
            expiresAt,
          })
        : null,
      ...(nodes === null ? {} : { linkBy: now + LINK_WITHIN_MS }),
    };
    const result = await services.sessions.create({
      facts,
      expiresAt,
      users,
      active: true,
      ...(nodes === null ? {} : { nodes }),
    });
    if (result.ok || result.refusal.code !== "exists") return result;
  }
  throw new Error("no free session id was drawn");
}

/** A join, as a player sends it. */
export interface JoinRequest {
  /** The session that the join code opens. */
  organisationId: number;
  sessionId: string;
  /** `joinCodeDigest` of the code. */
  codeDigest: string;
  ip: string;
  /** A join that is sent again with it is given the same user; null: it has none. */
  idempotencyKey: string | null;
}

/** The session that was joined, and as which user; or why it was not. */
export type JoinResult =
  | { ok: true; session: Session; user: RelayUser; isRepeat: boolean }
  | { ok: false; refusal: SessionRefusal };

/**
 * Authorises one more user on a session whose join code the caller knows. The session itself keeps the
 * idempotency key, in the write that makes the user. So a repeat costs no row, and never makes a second
 * user.
 */
export async function joinRelaySession(
  services: RelaySessionServices,
  { organisationId, sessionId, codeDigest, ip, idempotencyKey }: JoinRequest,
): Promise<JoinResult> {
  const joinedWith =
    idempotencyKey === null ? undefined : joinKeyDigest(services.secret, sessionId, idempotencyKey);
  const result = await services.sessions.join(organisationId, sessionId, {
    ip,
    codeDigest,
    ...(joinedWith === undefined ? {} : { joinedWith }),
  });
  if (!result.ok) return result;
  const { session, isRepeat = false } = result;
  const user = isRepeat
    ? session.users.find((each) => each.joinedWith === joinedWith)
    : session.users.at(-1);
  if (!user) throw new Error("a join made no user");
  return { ok: true, session, user, isRepeat };
}

/**
 * Gives a session another join code, or takes the one that it has (`close`). A code works only if D1 and the
 * session have it. So the new one goes into D1 first, and the old one out of it last: wherever this stops,
 * no code works that is not shown. What is left in D1 then is swept after the session's life.
 */
export async function changeJoinCode(
  { db, sessions, secret }: RelaySessionServices,
  { organisationId, sessionId }: Pick<JoinRequest, "organisationId" | "sessionId">,
  change: "rotate" | "close",
): Promise<SessionResult> {
  const found = await sessions.read(organisationId, sessionId);
  if (!found.ok) return found;
  const { session } = found;
  if (isFinal(session)) return { ok: false, refusal: endedRefusal(session) };
  const before = joinCodeDrawOf(session);
  // By chance, so that it is none that the session had before.
  const [first = 0] = crypto.getRandomValues(new Uint32Array(1));
  const draw = change === "close" ? null : await reserveJoinCode(db, secret, session, first);
  const result = await sessions.setJoinCode(organisationId, sessionId, draw);
  const unused = result.ok ? before : draw;
  if (unused !== null) {
    // The session is changed: without an answer, the caller would not know its code.
    await removeJoinCode(db, secret, { id: sessionId, draw: unused }).catch((error) =>
      log("join code not removed", { session: sessionId, error: describeError(error) }),
    );
  }
  return result;
}
