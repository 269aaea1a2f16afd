/** Making and verifying source sessions: what needs more than the session's own object. */
import type { Database } from "../db/open";
import { describeError, log } from "../platform/log";
import type { Session, SessionFacts } from "../session/session";
import type { SessionView } from "../session/session-calls";
import type { SessionClient } from "../session/session-client";
import { type Connector, type Credentials, VERIFICATION_SLACK_MS } from "./connector";
import { noteFailure } from "./connector-store";
import { lonelyId, MOST_TWINS, type Request, TWIN_MS, twinIds } from "./duplicate-requests";
import type { Source } from "./source";
import { type AskedSession, type ConnectorDeps, verifyAccess } from "./verify-access";

/** What a source session is made of. */
export interface NewSourceSession {
  source: Source;
  connector: Connector;
  origin: string;
}

/** A session for a request: made by it, or by its twin. */
export interface MadeSession {
  view: SessionView;
  isNew: boolean;
}

/** Makes a pending session, or finds the pending one that the same request has just made. */
export async function createSourceSession(
  sessions: SessionClient,
  secret: string,
  request: Request,
  input: NewSourceSession,
): Promise<MadeSession> {
  const now = Date.now();
  const { organisationId } = request;
  const ids = twinIds(secret, request, now);
  for (let n = 0; ids.before && n < MOST_TWINS; n++) {
    const found = await sessions.readOrPreventCreation(organisationId, ids.before(n));
    if (!found.ok) break;
    if (isTwin(found.session, now)) return { view: found, isNew: false };
  }
  const make = (id: string) => createOrFind(sessions, toFacts(id, request, input, now));
  const made = await firstMade(ids.now, make);
  if (made === "closed") {
    const behind = await firstMade(ids.after, make);
    if (behind && behind !== "closed") return behind;
  } else if (made) {
    return made;
  }
  const alone = await make(lonelyId());
  if (!alone || alone === "closed") throw new Error("no free session id was drawn");
  return alone;
}

/** The session under the first of these ids that can be had. */
async function firstMade(
  idOf: (n: number) => string,
  make: (id: string) => Promise<MadeSession | "closed" | null>,
): Promise<MadeSession | "closed" | null> {
  for (let n = 0; n < MOST_TWINS; n++) {
    const made = await make(idOf(n));
    if (made) return made;
  }
  return null;
}

/**
 * The session under this id: made now, or a twin that was there; null when it is another. Closed: a
 * later twin has found nothing here, and makes the session in its own window.
 */
async function createOrFind(
  sessions: SessionClient,
  facts: SessionFacts & { source: object },
): Promise<MadeSession | "closed" | null> {
  const { organisationId, id, createdAt } = facts;
  try {
    const expiresAt = facts.source.lifetimeEndsAt;
    const made = await sessions.create({ facts, expiresAt, users: [], active: false });
    if (made.ok) return { view: made, isNew: true };
  } catch (error) {
    // It may be there all the same. Then the caller must not hear of a failure: it would ask again.
    const found = await sessions.read(organisationId, id);
    if (!found.ok) throw error;
    if (found.session.createdAt === createdAt) return { view: found, isNew: true };
  }
  const found = await sessions.read(organisationId, id);
  if (!found.ok) return "closed";
  return isTwin(found.session, createdAt) ? { view: found, isNew: false } : null;
}

function isTwin(session: Session, now: number): boolean {
  return session.status === "pending" && now - session.createdAt < TWIN_MS;
}

function toFacts(id: string, request: Request, input: NewSourceSession, now: number) {
  const { source, connector, origin } = input;
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

/**
 * Has the connector verify a session, and tells the session. Never throws: a session that hears
 * nothing fails by its own alarm.
 */
export async function verifySession(
  deps: ConnectorDeps & { sessions: SessionClient; db: Database },
  connector: Connector,
  session: Session,
  payload: Credentials,
): Promise<void> {
  const { id, organisationId } = session;
  try {
    const { outcome, problem } = await verifyAccess(deps, connector, toAsked(session), payload);
    if (outcome?.result === "active") {
      await deps.sessions.activate(organisationId, id, outcome.expiresAt);
    } else if (outcome) {
      await deps.sessions.fail(organisationId, id, outcome.error);
    }
    if (problem !== null) {
      await noteFailure(deps.db, organisationId, connector, problem, Date.now());
    }
  } catch (error) {
    log("verification not recorded", {
      organisation: organisationId,
      session: id,
      error: describeError(error),
    });
  }
}

/** A source session as its connector is asked about it. @throws Error for one of another kind */
export function toAsked({ id, organisationId, origin, source }: Session): AskedSession {
  if (!source) throw new Error("only source sessions have a connector");
  return { id, organisationId, origin, source };
}
