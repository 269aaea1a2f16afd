/**
 * What may happen to a session: `decide` answers a command with an event or a refusal, and `evolve`
 * applies one event. Its Durable Object calls both, and stores what comes out. Pure: the time and every
 * random value arrive as arguments.
 */
import { NO_RELAY_NODE, RELAY_NODE_LOST, type RelayNodeAddress } from "./relay-node";
import {
  type ExpiryReason,
  endReasonOf,
  isFinal,
  MAX_SESSION_USERS,
  type NewRelayUser,
  type RelayUser,
  reasonOfExpiry,
  type Session,
  type SessionFacts,
} from "./session";

/** A command to a session. A join that was sent before is accepted without an event. */
export type SessionCommand =
  | {
      type: "create";
      facts: SessionFacts;
      expiresAt: number;
      users: readonly NewRelayUser[];
      /** True where nothing has to be verified first: the session is active from the start. */
      active: boolean;
      /** The relay node that has taken it; absent: none has, or none has to. */
      node?: RelayNodeAddress;
    }
  | { type: "activate"; expiresAt: number | null; node?: RelayNodeAddress }
  | { type: "fail"; error: string }
  | { type: "warn" }
  | { type: "authorize-user"; user: NewRelayUser }
  | { type: "revoke-user"; n: number }
  | { type: "expire"; reason: ExpiryReason };

interface EventBase {
  readonly version: number;
  /** When it happened, Unix milliseconds. */
  readonly at: number;
}
/** What a session is made of. Stored events have it as `born`. */
interface InitialFacts {
  readonly facts: SessionFacts;
  readonly expiresAt: number;
  readonly users: readonly RelayUser[];
}

/** What happened to a session. Each is announced under its `type`. */
export type SessionEvent = EventBase &
  (
    | { readonly type: "session.created"; readonly born: InitialFacts }
    | {
        readonly type: "session.active";
        readonly born: InitialFacts | null;
        readonly expiresAt: number;
        readonly node?: RelayNodeAddress;
      }
    | { readonly type: "session.failed"; readonly error: string }
    | { readonly type: "session.expiring" }
    | { readonly type: "session.expired"; readonly reason: ExpiryReason }
    | { readonly type: "session.user_authorized"; readonly user: RelayUser }
    | { readonly type: "session.user_revoked"; readonly n: number }
  );

/** Why a command was refused. Nothing changed. */
export type SessionRefusal =
  | { code: "not-found" }
  | { code: "exists" }
  | { code: "ended"; status: Session["status"]; reason: string }
  | { code: "not-pending"; status: Session["status"] }
  | { code: "not-active"; status: Session["status"] }
  | { code: "full"; maxUsers: number }
  | { code: "unknown-user" };

/** The error of a session whose credentials were neither accepted nor refused in time. */
export const VERIFICATION_TIMEOUT = "verification-timeout";

export type Decision =
  | { ok: true; events: readonly SessionEvent[] }
  | { ok: false; refusal: SessionRefusal };

/**
 * Answers a command. At and after `expiresAt` a session takes no command but its end, even if the end
 * was not recorded yet.
 * @param now Unix milliseconds
 */
export function decide(state: Session | null, command: SessionCommand, now: number): Decision {
  if (command.type === "create") {
    return state === null ? create(command, now) : refuse({ code: "exists" });
  }
  if (state === null) return refuse({ code: "not-found" });
  if (isFinal(state)) return refuse(endedRefusal(state));
  const base = { version: state.version + 1, at: now };
  if (command.type === "expire") {
    return accept({ ...base, type: "session.expired", reason: command.reason });
  }
  // Even when noticed after `expiresAt`, what was not ready in time is `failed`, not `expired`.
  const timedOut =
    command.type === "fail" &&
    state.status === "pending" &&
    (command.error === VERIFICATION_TIMEOUT || command.error === NO_RELAY_NODE);
  if (now >= state.expiresAt && !timedOut) {
    return refuse({ code: "ended", status: "expired", reason: reasonOfExpiry(state) });
  }
  switch (command.type) {
    case "activate":
      if (state.status !== "pending") return refuse({ code: "not-pending", status: state.status });
      if (state.source && now >= state.source.verifyBy) {
        return refuse({ code: "ended", status: "failed", reason: VERIFICATION_TIMEOUT });
      }
      return accept({
        ...base,
        type: "session.active",
        born: null,
        expiresAt: command.expiresAt ?? state.expiresAt,
        ...(command.node ? { node: command.node } : {}),
      });
    case "fail":
      if (state.status !== "pending" && !(state.node && command.error === RELAY_NODE_LOST)) {
        return refuse({ code: "not-pending", status: state.status });
      }
      return accept({ ...base, type: "session.failed", error: command.error });
    case "warn":
      if (state.status !== "active") return refuse({ code: "not-active", status: state.status });
      return accept({ ...base, type: "session.expiring" });
    case "authorize-user":
      if (state.status !== "active") return refuse({ code: "not-active", status: state.status });
      if (isRepeatedJoin(state, command.user)) return { ok: true, events: [] };
      if (state.users.length >= capacityOf(state)) {
        return refuse({ code: "full", maxUsers: capacityOf(state) });
      }
      return accept({
        ...base,
        type: "session.user_authorized",
        user: { ...command.user, n: state.nextUser },
      });
    case "revoke-user":
      if (!state.users.some((user) => user.n === command.n)) {
        return refuse({ code: "unknown-user" });
      }
      return accept({ ...base, type: "session.user_revoked", n: command.n });
    default:
      return unreachable(command);
  }
}

/**
 * The state after an event.
 * @throws Error when the event does not follow from the state: stored events would be damaged then.
 */
export function evolve(state: Session | null, event: SessionEvent): Session {
  const version = state === null ? 1 : state.version + 1;
  if (event.version !== version) {
    throw new Error(
      `session event ${event.type} has version ${event.version}, expected ${version}`,
    );
  }
  if (state === null) {
    const born = "born" in event ? event.born : null;
    if (born === null) throw new Error(`session event ${event.type} has no session to change`);
    return {
      ...born.facts,
      version,
      status: event.type === "session.active" ? "active" : "pending",
      expiresAt: born.expiresAt,
      users: born.users,
      nextUser: born.users.length,
      ...nodeOf(event),
    };
  }
  if (isFinal(state)) throw new Error(`session event ${event.type} follows the session's end`);
  switch (event.type) {
    case "session.created":
      throw new Error("session.created follows a session that exists");
    case "session.active":
      return {
        ...state,
        version,
        status: "active",
        expiresAt: event.expiresAt,
        ...(state.source ? { verifiedAt: event.at } : {}),
        ...nodeOf(event),
      };
    case "session.expiring":
      return { ...state, version, warned: true };
    case "session.failed":
      return { ...state, version, status: "failed", endedAt: event.at, error: event.error };
    case "session.expired":
      return { ...state, version, status: "expired", endedAt: event.at, reason: event.reason };
    case "session.user_authorized":
      return {
        ...state,
        version,
        users: [...state.users, event.user],
        nextUser: event.user.n + 1,
      };
    case "session.user_revoked":
      return { ...state, version, users: state.users.filter((user) => user.n !== event.n) };
    default:
      return unreachable(event);
  }
}

/** The relay node that has taken the session, if this event says so. */
function nodeOf(event: SessionEvent): { node?: RelayNodeAddress } {
  return "node" in event && event.node ? { node: event.node } : {};
}

/** How many users a session may have. */
function capacityOf({ maxUsers }: SessionFacts): number {
  return Math.min(maxUsers, MAX_SESSION_USERS);
}

/** Whether the same join made this user before: a client has sent it again. */
function isRepeatedJoin({ users }: Session, { joinedWith }: NewRelayUser): boolean {
  return joinedWith !== undefined && users.some((user) => user.joinedWith === joinedWith);
}

function create(command: Extract<SessionCommand, { type: "create" }>, now: number): Decision {
  const { facts, expiresAt } = command;
  if (command.users.length > capacityOf(facts)) {
    return refuse({ code: "full", maxUsers: capacityOf(facts) });
  }
  const users = command.users.map((user, n) => ({ ...user, n }));
  const born = { facts, expiresAt, users };
  const node = command.node ? { node: command.node } : {};
  return accept(
    command.active
      ? { version: 1, at: now, type: "session.active", born, expiresAt, ...node }
      : { version: 1, at: now, type: "session.created", born },
  );
}

/** The refusal of a session that has ended. */
export function endedRefusal(state: Session): SessionRefusal {
  return { code: "ended", status: state.status, reason: endReasonOf(state) ?? "" };
}

function accept(event: SessionEvent): Decision {
  return { ok: true, events: [event] };
}

function refuse(refusal: SessionRefusal): Decision {
  return { ok: false, refusal };
}

function unreachable(value: never): never {
  throw new Error(`unhandled ${JSON.stringify(value)}`);
}
