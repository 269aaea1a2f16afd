/** The calls of a session's object, with what they take and give. `SessionClient` makes them. */
import type { DeviceRevocation } from "./device-revocation";
import type { SessionRefusal } from "./machine";
import type { NodeReports, TrunkOpening } from "./relay-node";
import type { ExpiryReason, NewRelayUser, Session, SessionFacts } from "./session";

/** The calls of a session's object. Arguments and answers are plain values: RPC clones them. */
export interface SessionCalls extends NodeReports {
  /** Makes the session. Users beyond `maxUsers`, or a taken id, are refused. */
  create(session: NewSession): Promise<SessionResult>;
  /**
   * The session as it is now. Counts as use of a relay session. Costs no write, unless its end was due and
   * not yet recorded, or its alarm has to move.
   * @param organisationId null: of any organisation (where the caller proves later that it is theirs)
   */
  read(organisationId: number | null): Promise<SessionResult>;
  /** As `read`, but it does not count as use: the idle clock goes on. */
  peek(organisationId: number): Promise<SessionResult>;
  /**
   * As `read`, for a caller who makes the session under another id if there is none here. From then on,
   * an earlier request that is still on its way cannot make it here (as long as the object is in memory).
   */
  readOrPreventCreation(organisationId: number): Promise<SessionResult>;
  /** The session as soon as it is not pending any more, or as it is after so many milliseconds. */
  outcome(organisationId: number, milliseconds: number): Promise<SessionResult>;
  /**
   * Its third party has accepted the credentials.
   * @param expiresAt when access ends there, Unix milliseconds; null: not known
   */
  activate(organisationId: number, expiresAt: number | null): Promise<SessionResult>;
  /** Its third party has not given access. */
  fail(organisationId: number, error: string): Promise<SessionResult>;
  /** Says whether work may be done with the session now; if so, its idle clock restarts. */
  use(organisationId: number): Promise<SessionResult>;
  /** Adds a user: the last of the answer's `users`, unless the call repeats a join (`isRepeat`). */
  authorizeUser(organisationId: number, user: UserRequest): Promise<SessionResult>;
  /**
   * As `authorizeUser`, for a player who knows the join code. In a full session they get a seat that is free
   * (`seats.ts`), if there is one.
   */
  join(organisationId: number, user: JoiningUser): Promise<SessionResult>;
  /** Removes the user with this token, and closes their socket before the answer. */
  revokeUser(organisationId: number, token: number): Promise<SessionResult>;
  /** Makes the user with this token the host. */
  assignHost(organisationId: number, token: number): Promise<SessionResult>;
  /** The session has the join code of this draw from now on, and no other; null: it has none. */
  setJoinCode(organisationId: number, draw: number | null): Promise<SessionResult>;
  /** Closes the sockets of a device that were let in before it was revoked. */
  closeDeviceSockets(revocation: DeviceRevocation): Promise<void>;
  /** Ends the session. `organisationId` null: of any organisation (the root token, the sweep). */
  expire(organisationId: number | null, reason: ExpiryReason): Promise<SessionResult>;
  /** Notice that permissions of this session's connections may have changed: they are read again. */
  permissionsChanged(organisationId: number): Promise<void>;
  /**
   * Does what may have been missed: ends the session if that is due, announces what is not announced yet,
   * announces that it is about to expire, sets a lost alarm, writes its row in D1 again. The sweep calls it,
   * and `SessionClient` after a call that failed.
   * @returns whether there is a session here at all
   */
  reconcile(): Promise<boolean>;
  /** Forgets everything, for good: retention. Open sockets are closed. */
  purge(): Promise<void>;
  /**
   * As `purge`, of a session that has ended, and whose relay node knows it.
   * @returns whether there is nothing here any more
   */
  purgeEnded(): Promise<boolean>;
  /**
   * Opens a websocket: `…/server` for the host, `…/client` for everyone else, or a relay node's trunk
   * (`trunkRequest`). This is the only use of `fetch`, since a method call cannot hand over a websocket. A
   * refusal is JSON (`AdmissionRefusal`).
   */
  fetch(request: Request): Promise<Response>;
}

/** What a session is made of. */
export interface NewSession {
  facts: SessionFacts;
  /** Unix milliseconds. */
  expiresAt: number;
  users: readonly UserRequest[];
  /** True where nothing has to be verified first: the session is active from the start. */
  active: boolean;
  /**
   * The relay nodes that may carry its datagrams, the best one first. It is active when one has taken it,
   * and fails if none does. Absent: it is a session of websockets only.
   */
  nodes?: readonly string[];
}

/** A user as asked for: the object draws what their token needs. */
export type UserRequest = Omit<NewRelayUser, "draw" | "joinedAt" | "joinedWith">;

/** A player who joins with a join code. */
export interface JoiningUser {
  ip: string;
  /** `joinCodeDigest` of the code that they sent. */
  codeDigest: string;
  /** Digest of the Idempotency-Key of the join; absent: none was sent. */
  joinedWith?: string;
}

/** A session as it is now, with the figures of its sockets. */
export interface SessionView {
  session: Session;
  /** By user ordinal. Users who never connected are left out. Null: its relay node did not say. */
  traffic: Record<number, Traffic & { connected: boolean }> | null;
  /** When work was last done with it (source sessions), Unix milliseconds. */
  usedAt: number | null;
  /** The call had been made before, and changed nothing this time. */
  isRepeat?: true;
  /**
   * The call takes effect at this moment at the latest, Unix milliseconds: the relay node has not said yet
   * that it is done. Absent: it is done.
   */
  effectiveBy?: number;
}

/** What a call on a session answers: the session, or why not. */
export type SessionResult = ({ ok: true } & SessionView) | { ok: false; refusal: SessionRefusal };

/** What a user has sent and received over all of their sockets, in bytes of payload. */
export interface Traffic {
  bytesIn: number;
  bytesOut: number;
  /** Messages (data frames) that the relay has taken from this user, passed on or not. */
  messagesIn: number;
  /** Messages for this user, whether or not the user was connected. */
  messagesFor: number;
  /** Frames from this user that could not be passed on. */
  dropped: number;
  /** Cloudflare's view of where they connected from; null before that. */
  latitude: number | null;
  longitude: number | null;
  /** The last few addresses that they connected from, as limits count them, newest last. */
  addresses: readonly string[];
  /** When they left, as it was stored. What is in memory (`Departures`) may be newer. */
  left?: Departure;
  /** They had a websocket when this was stored. If they have none later, the object died with it. */
  here?: true;
}

/** When a user left. */
export interface Departure {
  /** When their last connection ended, Unix milliseconds. */
  readonly at: number;
  /**
   * Of a user who was on a relay node: what the node had counted of them by then, in bytes. If it has
   * counted more since, they were back.
   */
  readonly nodeBytes?: number;
}

const TRUNK_URL = "https://session/trunk";
const NODE_HEADER = "Drawbridge-Node";

/** The request with which the Worker hands a relay node's trunk to a session's object. */
export function trunkRequest(opening: TrunkOpening): Request {
  const headers = { Upgrade: "websocket", [NODE_HEADER]: JSON.stringify(opening) };
  return new Request(TRUNK_URL, { headers });
}

/** Which relay node opens a trunk, with which token; null: it is the request of a user, whose path is another. */
export function readTrunkRequest(request: Request): TrunkOpening | null {
  if (request.url !== TRUNK_URL) return null;
  return JSON.parse(request.headers.get(NODE_HEADER) ?? "null");
}
