/**
 * How the rest of the Worker reaches a session's object: typed calls, and what to do when the object
 * itself cannot be reached.
 */
import { UnavailableError } from "../platform/unavailable";
import type { DeviceCut } from "./device-revocation";
import type { ExpiryReason, Session, SessionFacts } from "./machine";
import type { SessionCalls, SessionResult, UserRequest } from "./session-calls";

/** The calls on sessions. Each throws `UnavailableError` when the session's object cannot be reached. */
export class SessionClient {
  readonly #env: Env;
  readonly #ctx: { waitUntil(promise: Promise<unknown>): void };

  constructor(env: Env, ctx: { waitUntil(promise: Promise<unknown>): void }) {
    this.#env = env;
    this.#ctx = ctx;
  }

  create(
    facts: SessionFacts,
    expiresAt: number,
    users: readonly UserRequest[],
    active: boolean,
  ): Promise<SessionResult> {
    return this.#once(facts.id, facts.region, (stub) =>
      stub.create(facts, expiresAt, users, active),
    );
  }

  read(organisationId: number, id: string): Promise<SessionResult> {
    return this.#again(id, (stub) => stub.read(organisationId));
  }

  /** As `read`; where there is none, none can be made under this id any more. */
  readOrClose(organisationId: number, id: string): Promise<SessionResult> {
    return this.#again(id, (stub) => stub.readOrClose(organisationId));
  }

  /** A session, whoever it belongs to: only for callers who prove by something else that it is theirs. */
  async find(id: string): Promise<Session | null> {
    const result = await this.#again(id, (stub) => stub.read(null));
    return result.ok ? result.session : null;
  }

  /** The session once it is not pending any more, or as it is after so many milliseconds. */
  outcome(organisationId: number, id: string, milliseconds: number): Promise<SessionResult> {
    return this.#again(id, (stub) => stub.outcome(organisationId, milliseconds));
  }

  activate(organisationId: number, id: string, expiresAt: number | null): Promise<SessionResult> {
    return this.#again(id, (stub) => stub.activate(organisationId, expiresAt));
  }

  fail(organisationId: number, id: string, error: string): Promise<SessionResult> {
    return this.#again(id, (stub) => stub.fail(organisationId, error));
  }

  use(organisationId: number, id: string): Promise<SessionResult> {
    return this.#again(id, (stub) => stub.use(organisationId));
  }

  authorizeUser(organisationId: number, id: string, user: UserRequest): Promise<SessionResult> {
    return this.#once(id, null, (stub) => stub.authorizeUser(organisationId, user));
  }

  revokeUser(organisationId: number, id: string, token: number): Promise<SessionResult> {
    return this.#once(id, null, (stub) => stub.revokeUser(organisationId, token));
  }

  expire(organisationId: number | null, id: string, reason: ExpiryReason): Promise<SessionResult> {
    return this.#once(id, null, (stub) => stub.expire(organisationId, reason));
  }

  permissionsChanged(organisationId: number, id: string): Promise<void> {
    return this.#again(id, (stub) => stub.permissionsChanged(organisationId));
  }

  poke(id: string): Promise<boolean> {
    return this.#again(id, (stub) => stub.poke());
  }

  purge(id: string): Promise<void> {
    return this.#again(id, (stub) => stub.purge());
  }

  /** Closes the sockets of a device that may be connected no more as it was. */
  cutDevice(id: string, cut: DeviceCut): Promise<void> {
    return this.#again(id, (stub) => stub.cutDevice(cut));
  }

  /** Hands a websocket upgrade to the session, which decides whether it is let in. */
  connect(id: string, request: Request): Promise<Response> {
    return this.#once(id, null, (stub) => stub.fetch(request));
  }

  /** A call that must not run twice: a broken one is not repeated, but what it committed is announced. */
  async #once<T>(
    id: string,
    region: string | null,
    call: (stub: SessionCalls) => Promise<T>,
  ): Promise<T> {
    try {
      return await call(this.#stub(id, region));
    } catch (error) {
      // It may have died between its commit and its announcement: waking it lets it finish.
      if (!isOverloaded(error)) this.#ctx.waitUntil(this.poke(id).catch(() => undefined));
      throw unavailable(error);
    }
  }

  /** A call that may run twice: repeated once where the platform says that this helps. */
  async #again<T>(id: string, call: (stub: SessionCalls) => Promise<T>): Promise<T> {
    try {
      return await call(this.#stub(id, null));
    } catch (error) {
      if (isOverloaded(error) || !isRetryable(error)) throw unavailable(error);
      // A stub that has thrown stays broken: a new one is taken.
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

/** Errors of the platform become `UnavailableError`; an error that our own code threw is a bug and stays. */
function unavailable(error: unknown): unknown {
  const platform = isOverloaded(error) || isRetryable(error);
  const remote = (error as { remote?: boolean }).remote === true;
  if (remote && !platform) return error;
  return new UnavailableError(
    `session object unreachable: ${String(error)}`,
    isOverloaded(error) ? 5 : 2,
  );
}
