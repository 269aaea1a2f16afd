/** Making relay sessions: what needs more than the session's own object. */
import type { Database } from "../db/open";
import type { SessionResult, UserRequest } from "./calls";
import type { SessionClient } from "./client";
import { reserveJoinCode } from "./join-codes";

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
  origin: string;
}

/** What making one stands on. */
export interface RelayDeps {
  db: Database;
  sessions: SessionClient;
  secret: string;
}

/** Ids drawn before giving up: of 2⁴⁸, two in a row that are taken mean that something is broken. */
const MOST_DRAWS = 3;

/** Makes a relay session under a new id. */
export async function createRelaySession(
  deps: RelayDeps,
  owner: { organisationId: number; keyId: number },
  input: NewRelaySession,
  now: number,
): Promise<SessionResult> {
  const { users, ttlSeconds, withJoinCode, ...rest } = input;
  const expiresAt = now + ttlSeconds * 1_000;
  for (let i = 0; i < MOST_DRAWS; i++) {
    const id = newSessionId();
    const facts = {
      ...rest,
      id,
      kind: "relay" as const,
      organisationId: owner.organisationId,
      keyId: owner.keyId,
      createdAt: now,
      // Reserved first: a code without a session is swept, a session without its code is not whole.
      joinCodeDraw: withJoinCode
        ? await reserveJoinCode(deps.db, deps.secret, {
            id,
            organisationId: owner.organisationId,
            expiresAt,
          })
        : null,
    };
    const result = await deps.sessions.create(facts, expiresAt, users, true);
    if (result.ok || result.refusal.code !== "exists") return result;
  }
  throw new Error("no free session id was drawn");
}

/** The form of a relay session's id: 12 hex digits and `-S`, as the vendor has it. */
export const SESSION_ID = /^[0-9a-f]{12}-S$/;

function newSessionId(): string {
  return `${Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex")}-S`;
}
