/**
 * How the rest of the Worker calls a session's object, and what happens when the object cannot be reached, or
 * is gone: a source session that has ended is then found in D1. `SessionCalls` says what each call does.
 */
import { openDatabase } from "../db/open";
import { UnavailableError } from "../platform/unavailable";
import type { DeviceRevocation } from "./device-revocation";
import { findEndedSource } from "./ended-sources";
import { endedRefusal } from "./machine";
import type { TrunkOpening } from "./relay-node";
import { RELAY_SESSION_ID } from "./relay-session-id";
import type { ExpiryReason, Session } from "./session";
import {
  type JoiningUser,
  type NewSession,
  type SessionCalls,
  type SessionResult,
  type SessionView,
  trunkRequest,
  type UserRequest,
} from "./session-calls";

/** Calls sessions by their id. Each call throws `UnavailableError` when the session's object cannot be reached. */
export class SessionClient {
  readonly #env: Env;
  readonly #ctx: { waitUntil(promise: Promise<unknown>): void };

  constructor(env: Env, ctx: { waitUntil(promise: Promise<unknown>): void }) {
    this.#env = env;
    this.#ctx = ctx;
  }

  create(session: NewSession): Promise<SessionResult> {
    const { id, region } = session.facts;
    return this.#callNotRepeatable(id, region, (stub) => stub.create(session));
  }

  async read(organisationId: number | null, id: string): Promise<SessionResult> {
    const result = await this.#callRepeatable(id, (stub) => stub.read(organisationId));
    const ended = await this.#endedSource(result, organisationId, id);
    return ended ? { ok: true, ...ended } : result;
  }

  peek(organisationId: number, id: string): Promise<SessionResult> {
    return this.#callRepeatable(id, (stub) => stub.peek(organisationId));
  }

  readOrPreventCreation(organisationId: number, id: string): Promise<SessionResult> {
    return this.#callRepeatable(id, (stub) => stub.readOrPreventCreation(organisationId));
  }

  /** A session of any organisation: only for callers who prove by something else that it is theirs. */
  async find(id: string): Promise<Session | null> {
    const result = await this.read(null, id);
    return result.ok ? result.session : null;
  }

  outcome(organisationId: number, id: string, milliseconds: number): Promise<SessionResult> {
    return this.#callRepeatable(id, (stub) => stub.outcome(organisationId, milliseconds));
  }

  activate(organisationId: number, id: string, expiresAt: number | null): Promise<SessionResult> {
    return this.#callRepeatable(id, (stub) => stub.activate(organisationId, expiresAt));
  }

  fail(organisationId: number, id: string, error: string): Promise<SessionResult> {
    return this.#callRepeatable(id, (stub) => stub.fail(organisationId, error));
  }

  async use(organisationId: number, id: string): Promise<SessionResult> {
    const result = await this.#callRepeatable(id, (stub) => stub.use(organisationId));
    return this.#refusedIfEnded(result, organisationId, id);
  }

  authorizeUser(organisationId: number, id: string, user: UserRequest): Promise<SessionResult> {
    return this.#callNotRepeatable(id, null, (stub) => stub.authorizeUser(organisationId, user));
  }

  join(organisationId: number, id: string, user: JoiningUser): Promise<SessionResult> {
    return this.#callNotRepeatable(id, null, (stub) => stub.join(organisationId, user));
  }

  assignHost(organisationId: number, id: string, token: number): Promise<SessionResult> {
    return this.#callNotRepeatable(id, null, (stub) => stub.assignHost(organisationId, token));
  }

  setJoinCode(organisationId: number, id: string, draw: number | null): Promise<SessionResult> {
    return this.#callNotRepeatable(id, null, (stub) => stub.setJoinCode(organisationId, draw));
  }

  revokeUser(organisationId: number, id: string, token: number): Promise<SessionResult> {
    return this.#callNotRepeatable(id, null, (stub) => stub.revokeUser(organisationId, token));
  }

  async expire(
    organisationId: number | null,
    id: string,
    reason: ExpiryReason,
  ): Promise<SessionResult> {
    const expire = (stub: SessionCalls) => stub.expire(organisationId, reason);
    const result = await this.#callNotRepeatable(id, null, expire);
    return this.#refusedIfEnded(result, organisationId, id);
  }

  permissionsChanged(organisationId: number, id: string): Promise<void> {
    return this.#callRepeatable(id, (stub) => stub.permissionsChanged(organisationId));
  }

  reconcile(id: string): Promise<boolean> {
    return this.#callRepeatable(id, (stub) => stub.reconcile());
  }

  purge(id: string): Promise<void> {
    return this.#callRepeatable(id, (stub) => stub.purge());
  }

  purgeEnded(id: string): Promise<boolean> {
    return this.#callRepeatable(id, (stub) => stub.purgeEnded());
  }

  closeDeviceSockets(id: string, revocation: DeviceRevocation): Promise<void> {
    return this.#callRepeatable(id, (stub) => stub.closeDeviceSockets(revocation));
  }

  /** Hands a websocket upgrade to the session, which decides whether it is let in. */
  connect(id: string, request: Request): Promise<Response> {
    return this.#callNotRepeatable(id, null, (stub) => stub.fetch(request));
  }

  /** Hands a relay node's trunk to the session, which takes it if the node carries the session. */
  openTrunk(id: string, opening: TrunkOpening): Promise<Response> {
    return this.#callNotRepeatable(id, null, (stub) => stub.fetch(trunkRequest(opening)));
  }

  /** What an object without a session is to answer, if D1 has a source session of its id that has ended. */
  async #refusedIfEnded(
    result: SessionResult,
    organisationId: number | null,
    id: string,
  ): Promise<SessionResult> {
    const ended = await this.#endedSource(result, organisationId, id);
    return ended ? { ok: false, refusal: endedRefusal(ended.session) } : result;
  }

  /** The source session that has ended, where the object has answered that there is none. */
  async #endedSource(
    result: SessionResult,
    organisationId: number | null,
    id: string,
  ): Promise<SessionView | null> {
    if (result.ok || result.refusal.code !== "not-found" || RELAY_SESSION_ID.test(id)) return null;
    return findEndedSource(openDatabase(this.#env), organisationId, id);
  }

  /**
   * A call that must not run twice. If it fails, it is not repeated. `reconcile` then announces what it may
   * have stored.
   */
  async #callNotRepeatable<T>(
    id: string,
    region: string | null,
    call: (stub: SessionCalls) => Promise<T>,
  ): Promise<T> {
    try {
      return await call(this.#stub(id, region));
    } catch (error) {
      // The object may have died between its commit and its announcement: this lets it finish.
      if (!isOverloaded(error)) this.#ctx.waitUntil(this.reconcile(id).catch(() => undefined));
      throw unavailable(error);
    }
  }

  /** A call that may run twice. It is repeated once if the platform says that this helps. */
  async #callRepeatable<T>(id: string, call: (stub: SessionCalls) => Promise<T>): Promise<T> {
    try {
      return await call(this.#stub(id, null));
    } catch (error) {
      if (isOverloaded(error) || !isRetryable(error)) throw unavailable(error);
      // A stub that has thrown stays broken: this takes a new one.
      return await call(this.#stub(id, null)).catch((again) => {
        throw unavailable(again);
      });
    }
  }

  #stub(id: string, region: string | null): SessionCalls {
    const options = region === null ? {} : { locationHint: region as DurableObjectLocationHint };
    return this.#env.SESSIONS.getByName(id, options) as unknown as SessionCalls;
  }
}

function isOverloaded(error: unknown): boolean {
  return (error as { overloaded?: boolean }).overloaded === true;
}

function isRetryable(error: unknown): boolean {
  return (error as { retryable?: boolean }).retryable === true;
}

/** Errors of the platform become `UnavailableError`. An error that our own code threw is a bug, and stays. */
function unavailable(error: unknown): unknown {
  const platform = isOverloaded(error) || isRetryable(error);
  const remote = (error as { remote?: boolean }).remote === true;
  if (remote && !platform) return error;
  return new UnavailableError(
    `session object unreachable: ${String(error)}`,
    isOverloaded(error) ? 5 : 2,
  );
}
