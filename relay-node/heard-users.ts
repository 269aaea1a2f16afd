/**
 * Who of a relay node's users is connected: who was heard within the last ten seconds, and not on a
 * websocket since then. Times are milliseconds of a clock that never jumps. Pure.
 */
import { FIRST_HOST } from "../src/session/session";
import type { NodeSession, NodeUser } from "./session-table";
import type { UserChange } from "./worker-messages";

/** A user who was not heard for so long is disconnected. */
export const UNHEARD_MS = 10_000;

/** Whom it tells. */
export interface HeardUsersPorts {
  /** Users of this session have come or gone. */
  presenceChanged(session: NodeSession): void;
  /** Nobody of this session was heard for its idle time. Said again every quarter of it. */
  silent(session: NodeSession): void;
  /**
   * This process hears a user who was not connected, or whom it knew elsewhere, or has not heard it for ten
   * seconds: the other processes of the node are to be told.
   */
  userChanged?(user: NodeUser): void;
}

export class HeardUsers {
  readonly #ports: HeardUsersPorts;
  /** The number of this process, among those of the node. */
  readonly #me: number;
  #connected = 0;

  constructor(ports: HeardUsersPorts, me: number) {
    this.#ports = ports;
    this.#me = me;
  }

  /** How many users are connected. */
  get connectedUsers(): number {
    return this.#connected;
  }

  /** A valid datagram of this user came from there. */
  hear(user: NodeUser, from: { address: string; port: number }, now: number): void {
    if (!user.isAt(from) || user.heardBy !== this.#me) {
      user.moveTo(from);
      user.heardBy = this.#me;
    } else if (user.connected) {
      if (now > user.heardAt) user.heardAt = now;
      return;
    }
    // Later than all that this process knows of, also within the same millisecond.
    user.heardAt = Math.max(now, user.heardAt + 1);
    this.#connect(user);
    this.#ports.userChanged?.(user);
  }

  /**
   * What another process of the node knows of a user. The newest word counts: one that is older than what
   * this process has heard itself is answered with that, so that all come to know the same.
   * @returns whether it is news here
   */
  learn(user: NodeUser, change: UserChange): boolean {
    const { at, by, connected } = change;
    if (at < user.heardAt || (at === user.heardAt && by < user.heardBy)) {
      if (user.heardBy === this.#me && user.connected) this.#ports.userChanged?.(user);
      return false;
    }
    user.heardAt = at;
    user.heardBy = by;
    user.moveTo(change);
    const { session } = user;
    session.heardAt = Math.max(session.heardAt, at);
    if (user.n === FIRST_HOST) session.hostWasHeard = true;
    if (connected) this.#connect(user);
    else this.disconnect(session, [user]);
    return true;
  }

  /** Who is on websockets since `at`. A user who is new there was heard there last. */
  usersOnWebsockets(
    session: NodeSession,
    before: ReadonlySet<number>,
    now: ReadonlySet<number>,
    at: number,
  ): void {
    if (now.has(FIRST_HOST)) session.hostWasHeard = true;
    const heardThere: NodeUser[] = [];
    for (const n of now) {
      const user = before.has(n) ? undefined : session.user(n);
      // Another process may have said this late: whoever was heard here since then is here.
      if (!user || user.heardAt > at) continue;
      user.heardAt = at;
      heardThere.push(user);
    }
    this.disconnect(session, heardThere);
  }

  /** Lets go of users of this session, connected or not, and says who is left. */
  disconnect(session: NodeSession, users: readonly NodeUser[]): void {
    for (const user of users) this.#disconnect(user);
    this.#ports.presenceChanged(session);
  }

  /** Lets go of a user whom nobody hears any more, and says so to the other processes. */
  letGo(user: NodeUser): void {
    this.#disconnect(user);
    this.#ports.userChanged?.(user);
    this.#ports.presenceChanged(user.session);
  }

  /** Disconnects who was not heard for ten seconds, and reports sessions that are silent. Run every second. */
  tick(sessions: Iterable<NodeSession>, now: number): void {
    for (const session of sessions) {
      if (session.connectedUsers > 0 && this.#tickUsers(session, now)) continue;
      this.#reportIfSilent(session, now);
    }
  }

  /** @returns whether another process hears somebody of this session: it says when it does not any more */
  #tickUsers(session: NodeSession, now: number): boolean {
    let heardElsewhere = false;
    for (const user of session.users) {
      if (!user.connected) continue;
      if (user.heardBy !== this.#me) {
        heardElsewhere = true;
        continue;
      }
      session.heardAt = Math.max(session.heardAt, user.heardAt);
      if (now - user.heardAt >= UNHEARD_MS) this.letGo(user);
    }
    return heardElsewhere;
  }

  #connect(user: NodeUser): void {
    if (user.connected) return;
    const { session } = user;
    user.connected = true;
    this.#connected += 1;
    session.connectedUsers += 1;
    if (user.n === FIRST_HOST) session.hostWasHeard = true;
    else session.connectedClients += 1;
    this.#ports.presenceChanged(session);
  }

  #disconnect(user: NodeUser): void {
    if (!user.connected) return;
    user.connected = false;
    this.#connected -= 1;
    user.session.connectedUsers -= 1;
    if (user.n !== FIRST_HOST) user.session.connectedClients -= 1;
  }

  #reportIfSilent(session: NodeSession, now: number): void {
    const idleMs = session.idleSeconds * 1_000;
    if (now - session.heardAt < idleMs) {
      session.silentSaidAt = 0;
      return;
    }
    if (session.silentSaidAt > 0 && now - session.silentSaidAt < idleMs / 4) return;
    session.silentSaidAt = now;
    this.#ports.silent(session);
  }
}
