/** The sessions that a relay node carries, with their users. Found by the pair of tokens in each datagram. */
import type { Budget } from "../src/relay/budget";
import type { AssignedSession } from "../src/relay-nodes/link-protocol";
import { FIRST_HOST } from "../src/session/session";
import type { Permissions } from "./permissions";
import { senderBucket } from "./sender-bucket";
import { WrongTokens } from "./wrong-tokens";

/** The `heardBy` of a user who was never heard. */
export const NOBODY = -1;
/** The `at` of a budget that was never filled. */
export const NEVER = -1;

type AssignedUser = AssignedSession["users"][number];

/** What an assignment says of who is let in. */
type AssignedTokens = Pick<AssignedSession, "id" | "token" | "idle_seconds" | "users">;

/** A user of a session on this node. Times are milliseconds of a clock that never jumps. */
export class NodeUser implements Budget {
  readonly session: NodeSession;
  readonly n: number;
  readonly token: number;
  /** Whether frames between this user and another one who is `gated` need a relay permission. */
  gated: boolean;
  /** The next user with the same token, of another session. */
  sameToken: NodeUser | null = null;

  /** Heard on this node within the last ten seconds, and not on a websocket since then. */
  connected = false;
  /** Where the newest valid datagram came from. Empty: nowhere yet. */
  address = "";
  port = 0;
  /** What limits count the address as. */
  bucket = "";
  heardAt = 0;
  /** The number of the process, among those of the node, that heard it last. */
  heardBy = NOBODY;

  /** What the user may send: the relay's budget. It is filled when the user is first heard. */
  bytes = 0;
  messages = 0;
  at = NEVER;

  /** Bytes of payload that the user sent and got, and datagrams of the user that were not passed on. */
  bytesIn = 0;
  bytesOut = 0;
  dropped = 0;

  constructor(session: NodeSession, { n, token, gated }: AssignedUser) {
    this.session = session;
    this.n = n;
    this.token = token;
    this.gated = gated;
  }

  /** Whether the newest valid datagram came from exactly there. */
  isAt({ address, port }: { address: string; port: number }): boolean {
    return this.port === port && this.address === address;
  }

  /** The newest valid datagram came from there. */
  moveTo({ address, port }: { address: string; port: number }): void {
    if (this.address !== address) this.bucket = senderBucket(address);
    this.address = address;
    this.port = port;
  }
}

/** Carries frames to and from the users of a session who are on websockets. */
export interface TrunkEnd {
  /** Who is on the other side. */
  readonly users: ReadonlySet<number>;
  /** Sends a frame to one of them; false: the trunk did not take it. */
  send(from: number, to: number, payload: Uint8Array): boolean;
}

/** A session on this node. Times are milliseconds of a clock that never jumps. */
export class NodeSession {
  readonly id: string;
  readonly token: number;
  idleSeconds: number;
  users: readonly NodeUser[] = [];
  host: NodeUser | null = null;
  /** The host was heard here, or was on a websocket. */
  hostWasHeard = false;
  /** How many users are connected on this node, and how many of them are clients. */
  connectedUsers = 0;
  connectedClients = 0;
  /** When somebody was last heard, or the session was assigned; up to a second late. */
  heardAt: number;
  /** When it was last reported as silent; 0: it is not silent. */
  silentSaidAt = 0;
  /** Null: not known. */
  permissions: Permissions | null = null;
  /** When the permissions were last asked for. */
  permissionsAskedAt = Number.NEGATIVE_INFINITY;
  /** The wrong user tokens that came with its token; null: none did. */
  wrongTokens: WrongTokens | null = null;
  /** Somebody of it is on a websocket. */
  wantsTrunk = false;
  /** The trunk, while it is open. */
  trunk: TrunkEnd | null = null;
  /**
   * Until when its datagrams pass if it is not assigned again: after a new link, what the node knew before
   * may be out of date. Null: it was assigned on the present link.
   */
  passUntil: number | null = null;

  constructor({ id, token, idle_seconds }: AssignedTokens, now: number) {
    this.id = id;
    this.token = token;
    this.idleSeconds = idle_seconds;
    this.heardAt = now;
  }

  /** Whether a user was last heard from this address, which is a bucket. */
  hasHeardFrom(bucket: string): boolean {
    return this.users.some((user) => user.bucket === bucket);
  }

  /** The user with this ordinal. */
  user(n: number): NodeUser | undefined {
    // Most often they are all there, in order. And they are 64 at most: a map for each session would cost
    // more memory than this costs time.
    const nth = this.users[n];
    if (nth?.n === n) return nth;
    for (const user of this.users) if (user.n === n) return user;
    return undefined;
  }
}

/** The sessions of a node. Tokens may be the same in two sessions; a pair of session token and user token may not. */
export class SessionTable {
  /** The part of the node's bounds on wrong tokens that this table has. */
  readonly #share: number;
  readonly #sessions = new Map<string, NodeSession>();
  readonly #byUserToken = new Map<number, NodeUser>();
  /** One session of each token: two may have the same one by chance, and are then guarded as one. */
  readonly #bySessionToken = new Map<number, NodeSession>();
  #userCount = 0;

  /** `processes`: how many of them share the bounds of the node. */
  constructor(processes: number) {
    this.#share = 1 / processes;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  get userCount(): number {
    return this.#userCount;
  }

  /** All sessions. One may be removed meanwhile. */
  all(): Iterable<NodeSession> {
    return this.#sessions.values();
  }

  get(id: string): NodeSession | undefined {
    return this.#sessions.get(id);
  }

  /** Counts a wrong user token from this address, if it came with the token of a session. */
  countWrongToken(userToken: number, sessionToken: number, address: string, now: number): void {
    const session = this.#bySessionToken.get(sessionToken);
    if (!session) return;
    session.wrongTokens ??= new WrongTokens(session, this.#share);
    session.wrongTokens.count(userToken, address, now);
  }

  /** The user with this pair of tokens. Anybody else's datagram, also one with the tokens of two sessions, is nobody's. */
  find(userToken: number, sessionToken: number): NodeUser | null {
    let user = this.#byUserToken.get(userToken) ?? null;
    while (user !== null && user.session.token !== sessionToken) user = user.sameToken;
    return user;
  }

  /**
   * Adds a session, or makes it what is assigned now. Users who stay keep their address, budget and
   * counters.
   * @returns null, and nothing has changed, if a pair of tokens is another session's: once in 2⁶² times
   */
  assign(
    assignment: AssignedTokens,
    now: number,
  ): { session: NodeSession; removed: NodeUser[] } | null {
    const taken = assignment.users.some(({ token }) => {
      const user = this.find(token, assignment.token);
      return user !== null && user.session.id !== assignment.id;
    });
    if (taken) return null;
    let session = this.#sessions.get(assignment.id);
    const removed: NodeUser[] = [];
    if (session && session.token !== assignment.token) {
      removed.push(...this.remove(session.id));
      session = undefined;
    }
    if (!session) {
      session = new NodeSession(assignment, now);
      this.#sessions.set(session.id, session);
      this.#bySessionToken.set(session.token, session);
    }
    session.idleSeconds = assignment.idle_seconds;
    removed.push(...this.#setUsers(session, assignment.users));
    return { session, removed };
  }

  /** Removes a session; its users' datagrams are nobody's from now on. Gives them. */
  remove(id: string): NodeUser[] {
    const session = this.#sessions.get(id);
    if (!session) return [];
    this.#sessions.delete(id);
    if (this.#bySessionToken.get(session.token) === session) {
      this.#bySessionToken.delete(session.token);
    }
    return this.#setUsers(session, []);
  }

  /** Gives a session these users, and returns those who are not among them any more. */
  #setUsers(session: NodeSession, assigned: readonly AssignedUser[]): NodeUser[] {
    const before = session.users;
    session.users = assigned.map((user) => {
      const known = before.find(({ n, token }) => n === user.n && token === user.token);
      if (known) known.gated = user.gated;
      return known ?? new NodeUser(session, user);
    });
    const kept = new Set(session.users);
    const removed = before.filter((user) => !kept.has(user));
    for (const user of removed) this.#unindex(user);
    const known = new Set(before);
    for (const user of session.users) if (!known.has(user)) this.#index(user);
    session.host = session.user(FIRST_HOST) ?? null;
    return removed;
  }

  #index(user: NodeUser): void {
    user.sameToken = this.#byUserToken.get(user.token) ?? null;
    this.#byUserToken.set(user.token, user);
    this.#userCount += 1;
  }

  #unindex(user: NodeUser): void {
    this.#userCount -= 1;
    const first = this.#byUserToken.get(user.token);
    if (first === user) {
      if (user.sameToken) this.#byUserToken.set(user.token, user.sameToken);
      else this.#byUserToken.delete(user.token);
      return;
    }
    let before = first;
    while (before && before.sameToken !== user) before = before.sameToken ?? undefined;
    if (before) before.sameToken = user.sameToken;
  }
}
