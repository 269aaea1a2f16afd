/**
 * Creates and verifies source sessions: the part that the session's own object cannot do, because it must
 * not wait for others. The operations of source sessions call it.
 */
import type { Database } from "../db/open";
import { describeError, log } from "../platform/log";
import type { Session, SessionFacts } from "../session/session";
import type { SessionView } from "../session/session-calls";
import type { SessionClient } from "../session/session-client";
import { type Connector, type Credentials, VERIFICATION_SLACK_MS } from "./connector";
import { recordConnectorFailure } from "./connector-store";
import {
  type CreateRequest,
  DUPLICATE_MS,
  MAX_IDENTICAL_REQUESTS,
  sessionIdsForRequest,
} from "./duplicate-requests";
import type { Source } from "./source";
import { type ConnectorCallConfig, type SourceSession, verifyAccess } from "./verify-access";

/** What a source session is made of. */
export interface NewSourceSession {
  source: Source;
  connector: Connector;
  origin: string;
  /** Unix milliseconds. */
  now: number;
}

/** The session for a request: a new one, or that of an identical request. */
export interface MadeSession {
  view: SessionView;
  isNew: boolean;
}

/** What came of one id: the session; `taken` by another session; or `prevented` by a later duplicate. */
type Attempted = MadeSession | "taken" | "prevented";

/** Makes a pending session, or finds the pending one that an identical request has just made. */
export async function createSourceSession(
  { sessions, secret }: { sessions: SessionClient; secret: string },
  request: CreateRequest,
  input: NewSourceSession,
): Promise<MadeSession> {
  const { now } = input;
  const { organisationId } = request;
  const ids = sessionIdsForRequest(secret, request, now);
  for (let n = 0; ids.before && n < MAX_IDENTICAL_REQUESTS; n++) {
    const found = await sessions.readOrPreventCreation(organisationId, ids.before(n));
    if (!found.ok) break;
    if (isDuplicate(found.session, now)) return { view: found, isNew: false };
  }
  const make = (id: string) => createOrFind(sessions, toFacts(id, request, input));
  let made = await tryIds(ids.now, make);
  if (made === "prevented") made = await tryIds(ids.after, make);
  if (typeof made === "object") return made;
  made = await make(randomSessionId());
  if (typeof made === "object") return made;
  throw new Error("no free session id was drawn");
}

/** Tries the ids of one window in their order, until one is not taken. */
async function tryIds(
  idOf: (n: number) => string,
  make: (id: string) => Promise<Attempted>,
): Promise<Attempted> {
  for (let n = 0; n < MAX_IDENTICAL_REQUESTS; n++) {
    const made = await make(idOf(n));
    if (made !== "taken") return made;
  }
  return "taken";
}

/** An id that no other request gets. */
function randomSessionId(): string {
  return `ses_${Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64url")}`;
}

/**
 * The session under this id: made now, or by an identical request. `prevented`: a later duplicate
 * has found no session here, has prevented its creation, and makes the session in its own window.
 */
async function createOrFind(
  sessions: SessionClient,
  facts: SessionFacts & { source: object },
): Promise<Attempted> {
  const { organisationId, id, createdAt } = facts;
  try {
    const expiresAt = facts.source.lifetimeEndsAt;
    const made = await sessions.create({ facts, expiresAt, users: [], active: false });
    if (made.ok) return { view: made, isNew: true };
  } catch (error) {
    // The session may have been made all the same. The caller must not see a failure then, and try again.
    const found = await sessions.read(organisationId, id);
    if (!found.ok) throw error;
    if (found.session.createdAt === createdAt) return { view: found, isNew: true };
  }
  const found = await sessions.read(organisationId, id);
  if (!found.ok) return "prevented";
  return isDuplicate(found.session, createdAt) ? { view: found, isNew: false } : "taken";
}

/** Whether a request at this moment gets the session of the identical request before it. */
function isDuplicate(session: Session, now: number): boolean {
  return session.status === "pending" && now - session.createdAt < DUPLICATE_MS;
}

function toFacts(id: string, request: CreateRequest, input: NewSourceSession) {
  const { source, connector, origin, now } = input;
  return {
    id,
    kind: "source",
    organisationId: request.organisationId,
    keyId: request.keyId,
    createdAt: now,
    idleSeconds: connector.idleSeconds,
    maxUsers: 0,
    origin,
    webhookUrl: null,
    metadata: null,
    region: null,
    joinCodeDraw: null,
    source: {
      userId: source.userId,
      sourceId: source.id,
      type: source.type,
      identifier: source.identifier,
      sourceState: source.state,
      sourceCreatedAt: source.createdAt,
      verifyBy: now + connector.timeoutSeconds * 1_000 + VERIFICATION_SLACK_MS,
      lifetimeEndsAt: now + connector.sessionTtlSeconds * 1_000,
      checkSeconds: connector.checkIntervalSeconds,
    },
  } as const satisfies SessionFacts;
}

/** What the verification of a session works with. */
export interface VerificationServices {
  config: ConnectorCallConfig;
  db: Database;
  sessions: SessionClient;
}

/**
 * Has the connector verify a session, and tells the session's object what came of it. The route calls it
 * behind its answer. Never throws: a session that is told nothing fails by its own alarm.
 */
export async function verifySession(
  { config, db, sessions }: VerificationServices,
  connector: Connector,
  session: Session,
  payload: Credentials,
): Promise<void> {
  const { id, organisationId } = session;
  try {
    const asked = toSourceSession(session);
    const { outcome, problem } = await verifyAccess(config, connector, asked, payload);
    if (outcome?.result === "active") {
      await sessions.activate(organisationId, id, outcome.expiresAt);
    } else if (outcome) {
      await sessions.fail(organisationId, id, outcome.error);
    }
    if (problem !== null) {
      // The time after the verification, which may have taken half a minute.
      const failure = { reason: problem, at: Date.now() };
      await recordConnectorFailure(db, organisationId, connector, failure);
    }
  } catch (error) {
    log("verification not recorded", {
      organisation: organisationId,
      session: id,
      error: describeError(error),
    });
  }
}

/**
 * The part of a source session that its connector is told.
 * @throws Error for a session of another kind
 */
export function toSourceSession({ id, organisationId, origin, source }: Session): SourceSession {
  if (!source) throw new Error("only source sessions have a connector");
  return { id, organisationId, origin, source };
}
