/**
 * What may happen to a session: `decide` answers a command with events or a refusal. `evolve.ts` applies
 * the events. The session's Durable Object calls both, and stores what comes out. Pure: the time and every
 * random value arrive as arguments.
 */
import { NO_RELAY_NODE, RELAY_NODE_LOST, type RelayNodeAddress } from "./relay-node";
import { mayLoseSeat } from "./seats";
import {
  type ExpiryReason,
  endReasonOf,
  hostOf,
  isFinal,
  joinCodeDrawOf,
  MAX_SESSION_USERS,
  type NewRelayUser,
  type RelayUser,
  reasonOfExpiry,
  type Session,
  type SessionFacts,
} from "./session";

/** A command to a session. One that was given before, or changes nothing, may be accepted without an event. */
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
  | {
      type: "authorize-user";
      user: NewRelayUser;
      /**
       * The users whose seats a full session may give to this one: the first of them goes. Only users who
       * came by the join code go, and never the host.
       */
      freeSeats?: readonly number[];
    }
  | { type: "revoke-user"; n: number }
  | { type: "assign-host"; n: number }
  /** The session gets the join code of this number; null: it has none from now on. */
  | { type: "set-join-code"; draw: number | null }
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
    /** Another user, who comes right after, has taken this one's seat. */
    | { readonly type: "session.user_released"; readonly n: number }
    | { readonly type: "session.host_changed"; readonly n: number }
    | { readonly type: "session.join_code_changed"; readonly draw: number | null }
  );

/** Why a command was refused. Nothing changed. */
export type SessionRefusal =
  | { code: "not-found" }
  | { code: "exists" }
  | { code: "ended"; status: Session["status"]; reason: string }
  | { code: "not-pending"; status: Session["status"] }
  | { code: "not-active"; status: Session["status"] }
  | { code: "full"; maxUsers: number }
  | { code: "unknown-user" }
  /** On a relay node the host never changes: there a user's port says which side they are. */
  | { code: "session-on-relay-node" };

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
      if (isRepeatedJoin(state, command.user)) return ACCEPTED_WITHOUT_EVENT;
      return authorize(state, command, now);
    case "revoke-user":
      if (!isUser(state, command.n)) return refuse({ code: "unknown-user" });
      return accept({ ...base, type: "session.user_revoked", n: command.n });
    case "assign-host":
      if (state.status !== "active") return refuse({ code: "not-active", status: state.status });
      if (isForRelayNode(state)) return refuse({ code: "session-on-relay-node" });
      if (!isUser(state, command.n)) return refuse({ code: "unknown-user" });
      if (command.n === hostOf(state)) return ACCEPTED_WITHOUT_EVENT;
      return accept({ ...base, type: "session.host_changed", n: command.n });
    case "set-join-code":
      if (command.draw === joinCodeDrawOf(state)) return ACCEPTED_WITHOUT_EVENT;
      return accept({ ...base, type: "session.join_code_changed", draw: command.draw });
    default:
      return unreachable(command);
  }
}

/** Adds a user. A full session gives away a seat that is free, with two events: one for each user. */
function authorize(
  state: Session,
  { user, freeSeats = [] }: Extract<SessionCommand, { type: "authorize-user" }>,
  now: number,
): Decision {
  const authorized = {
    type: "session.user_authorized",
    user: { ...user, n: state.nextUser },
  } as const;
  const first = { version: state.version + 1, at: now };
  if (state.users.length < capacityOf(state)) return accept({ ...first, ...authorized });
  const leaving = freeSeats.find((n) => mayLoseSeat(state, n));
  if (leaving === undefined) return refuse({ code: "full", maxUsers: capacityOf(state) });
  const released = { ...first, type: "session.user_released", n: leaving } as const;
  return accept(released, { ...first, version: first.version + 1, ...authorized });
}

/** Whether a relay node carries the session, or is asked to. */
export function isForRelayNode({ node, linkBy }: Session): boolean {
  return node !== undefined || linkBy !== undefined;
}

function isUser({ users }: Session, n: number): boolean {
  return users.some((user) => user.n === n);
}

/** How many users a session may have. */
export function capacityOf({ maxUsers }: SessionFacts): number {
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

const ACCEPTED_WITHOUT_EVENT: Decision = { ok: true, events: [] };

function accept(...events: SessionEvent[]): Decision {
  return { ok: true, events };
}

function refuse(refusal: SessionRefusal): Decision {
  return { ok: false, refusal };
}

function unreachable(value: never): never {
  throw new Error(`unhandled ${JSON.stringify(value)}`);
}
