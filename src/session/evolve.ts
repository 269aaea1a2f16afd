/** The state of a session after an event: what `machine.ts` has decided, applied. Pure. */
import type { SessionEvent } from "./machine";
import type { RelayNodeAddress } from "./relay-node";
import { hostOf, isFinal, type Session } from "./session";

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
      return {
        ...withoutUser(state, event.n),
        version,
        ...(event.n === hostOf(state) ? { hostRevokedAt: event.at } : {}),
      };
    case "session.user_released":
      return { ...withoutUser(state, event.n), version };
    case "session.host_changed": {
      const { hostRevokedAt: _, ...rest } = state;
      return { ...rest, version, host: event.n, hostSince: event.at };
    }
    case "session.join_code_changed":
      return { ...state, version, newJoinCodeDraw: event.draw };
    default:
      return unreachable(event);
  }
}

/** The relay node that has taken the session, if this event says so. */
function nodeOf(event: SessionEvent): { node?: RelayNodeAddress } {
  return "node" in event && event.node ? { node: event.node } : {};
}

function withoutUser(state: Session, n: number): Session {
  return { ...state, users: state.users.filter((user) => user.n !== n) };
}

function unreachable(value: never): never {
  throw new Error(`unhandled ${JSON.stringify(value)}`);
}
