/**
 * Who of a relay node's users is connected: who was heard within the last ten seconds, and not on a
 * websocket since then. Times are milliseconds of a clock that never jumps. Pure.
 */
import { FIRST_HOST } from "../src/session/session";
import type { NodeSession, NodeUser } from "./session-table";

/** A user who was not heard for so long is disconnected. */
export const UNHEARD_MS = 10_000;

/** Whom it tells. */
export interface PresencePorts {
  /** Users of this session have come or gone. */
  presenceChanged(session: NodeSession): void;
  /** Nobody of this session was heard for its idle time. Said again every quarter of it. */
  silent(session: NodeSession): void;
}

export class Presence {
  readonly #ports: PresencePorts;
  #connected = 0;

  constructor(ports: PresencePorts) {
    this.#ports = ports;
  }

  /** How many users are connected. */
  get connectedUsers(): number {
    return this.#connected;
  }

  /** A valid datagram of this user came from there. */
  hear(user: NodeUser, from: { address: string; port: number }, now: number): void {
    user.heardAt = now;
    if (user.port !== from.port || user.address !== from.address) {
      user.address = from.address;
      user.port = from.port;
    }
    if (user.connected) return;
    const { session } = user;
    user.connected = true;
    this.#connected += 1;
    session.connectedUsers += 1;
    if (user.n === FIRST_HOST) session.hostWasHeard = true;
    else session.connectedClients += 1;
    this.#ports.presenceChanged(session);
  }

  /** Who is on websockets now. A user who is new there was heard there last. */
  usersOnWebsockets(
    session: NodeSession,
    before: ReadonlySet<number>,
    now: ReadonlySet<number>,
  ): void {
    if (now.has(FIRST_HOST)) session.hostWasHeard = true;
    const heardThere = [...now].filter((n) => !before.has(n)).map((n) => session.user(n));
    this.disconnect(
      session,
      heardThere.filter((user) => user !== undefined),
    );
  }

  /** Lets go of users of this session, connected or not, and says who is left. */
  disconnect(session: NodeSession, users: readonly NodeUser[]): void {
    for (const user of users) this.#disconnect(user);
    this.#ports.presenceChanged(session);
  }

  /** Disconnects who was not heard for ten seconds, and reports sessions that are silent. Run every second. */
  tick(sessions: Iterable<NodeSession>, now: number): void {
    for (const session of sessions) {
      if (session.connectedUsers > 0) {
        const before = session.connectedUsers;
        for (const user of session.users) {
          session.heardAt = Math.max(session.heardAt, user.heardAt);
          if (user.connected && now - user.heardAt >= UNHEARD_MS) this.#disconnect(user);
        }
        if (session.connectedUsers < before) this.#ports.presenceChanged(session);
      }
      this.#reportIfSilent(session, now);
    }
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
