/** A source: an account at a third party's service, and the state of access to it. Pure. */
import { endReasonOf, type Session } from "../session/session";

/**
 * - `unvalidated`: no session has succeeded yet; `active`: one has
 * - `deactivated`: by its organisation; `blocked`: by an admin; `locked`: by its service
 */
export type SourceState = "unvalidated" | "active" | "deactivated" | "blocked" | "locked";

/** All states of a source. */
export const SOURCE_STATES = [
  "unvalidated",
  "active",
  "deactivated",
  "blocked",
  "locked",
] as const satisfies readonly SourceState[];

/** A source. Times are Unix milliseconds. */
export interface Source {
  id: number;
  organisationId: number;
  userId: number;
  /** Such as `icloud.account`. Each type has one connector. */
  type: string;
  /** The account's name at its service. */
  identifier: string;
  state: SourceState;
  createdAt: number;
}

/** Why no session may be made for a source; null if one may. A locked source may be unlocked by now. */
export function refuseSession(state: SourceState): "source-deactivated" | "source-blocked" | null {
  if (state === "deactivated") return "source-deactivated";
  return state === "blocked" ? "source-blocked" : null;
}

/** The state of its source that a session has found out; null: none. */
export function sourceStateFrom(session: Session): "active" | "locked" | null {
  if (session.verifiedAt !== undefined) return "active";
  return endReasonOf(session) === "source-locked" ? "locked" : null;
}

/** The source of a session, in the state that the session has found out, or that it had before. */
export function sourceOfSession(session: Session): Source | null {
  const { source: facts } = session;
  if (!facts) return null;
  const before = facts.sourceState as SourceState;
  const known = refuseSession(before) === null ? sourceStateFrom(session) : null;
  return {
    id: facts.sourceId,
    organisationId: session.organisationId,
    userId: facts.userId,
    type: facts.type,
    identifier: facts.identifier,
    state: known ?? before,
    createdAt: facts.sourceCreatedAt,
  };
}
