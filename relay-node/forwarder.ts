/**
 * What a relay node does with a datagram: finds its user by the tokens, keeps to the limits and the relay
 * permissions, and passes it on. No socket and no clock is here: both are handed in. Times are
 * milliseconds of a clock that never jumps.
 */
import {
  CLIENT_HEADER_BYTES,
  DATA,
  HOST_HEADER_BYTES,
  PING,
  RELAY_STATE,
} from "../src/relay/protocol";
import { MAX_DATAGRAM_BYTES } from "../src/relay/trunk";
import type { AssignedSession, LinkPermissions } from "../src/relay-nodes/link-protocol";
import { FIRST_HOST } from "../src/session/session";
import {
  CLIENT_DATA_BYTES,
  datagramType,
  HOST_DATA_BYTES,
  pongOf,
  type Role,
  readNumber,
  rewriteForClient,
  rewriteForHost,
  roleOf,
  TOKENS_BYTES,
} from "./datagram";
import { InvalidPongs } from "./invalid-pongs";
import { Limits } from "./limits";
import { areOld, isPermitted, toPermissions } from "./permissions";
import { Presence, type PresencePorts } from "./presence";
import { type NodeSession, type NodeUser, SessionTable } from "./session-table";
import { type DropReason, TrafficCounts } from "./traffic-counts";

/** How soon permissions may be asked for again. */
const ASK_AGAIN_MS = 1_000;

/** What the forwarder calls. */
export interface ForwarderPorts extends PresencePorts {
  /**
   * Sends the bytes from `start` on, from the port of this role; they are not changed afterwards. It never
   * waits: false means that the socket did not take them.
   */
  send(role: Role, bytes: Buffer, start: number, to: { address: string; port: number }): boolean;
  /** The permissions of this session are needed, and old. Asked once a second at most. */
  askPermissions(session: NodeSession): void;
}

export class Forwarder {
  readonly counts = new TrafficCounts();
  readonly table = new SessionTable();
  readonly #ports: ForwarderPorts;
  readonly limits = new Limits();
  readonly presence: Presence;
  readonly #invalidPongs = new InvalidPongs();
  /** Until when datagrams pass without further word from Drawbridge. */
  passUntil = Number.NEGATIVE_INFINITY;
  /**
   * Whether Drawbridge has said all that it had to say. Before, somebody whose tokens are not known may be
   * of a session that comes next, and is not told that they are invalid.
   */
  knowsAllSessions = false;

  constructor(ports: ForwarderPorts) {
    this.#ports = ports;
    this.presence = new Presence(ports);
  }

  /**
   * Adds a session, or makes it what is said now: who is not in it any more is let go before this returns.
   * @returns false: a pair of its tokens is another session's
   */
  assign(assigned: AssignedSession, now: number): boolean {
    const result = this.table.assign(assigned, now);
    if (!result) return false;
    const { session, removed } = result;
    session.passUntil = null;
    session.wantsTrunk = assigned.trunk;
    // What is not said is not forgotten: it goes on ageing.
    if (assigned.permissions) session.permissions = toPermissions(assigned.permissions, now);
    this.presence.disconnect(session, removed);
    return true;
  }

  /** Lets go of a session. It may be unknown. */
  end(id: string): void {
    const session = this.table.get(id);
    if (!session) return;
    session.wantsTrunk = false;
    this.presence.disconnect(session, this.table.remove(id));
  }

  /** @returns false: there is no such session */
  setPermissions(id: string, permissions: LinkPermissions, now: number): boolean {
    const session = this.table.get(id);
    if (session) session.permissions = toPermissions(permissions, now);
    return session !== undefined;
  }

  /** Somebody of this session is on a websocket, or nobody any more. */
  setWantsTrunk(id: string, wanted: boolean): void {
    const session = this.table.get(id);
    if (!session) return;
    session.wantsTrunk = wanted;
    this.#ports.presenceChanged(session);
  }

  /** A new link: what is not assigned on it passes no longer than it would have passed without it. */
  newLink(passUntil: number): void {
    for (const session of this.table.all()) {
      session.passUntil = Math.min(session.passUntil ?? this.passUntil, this.passUntil);
    }
    this.passUntil = passUntil;
  }

  /** Handles a datagram that came to the port of this role. The bytes are changed. */
  receive(role: Role, bytes: Buffer, from: { address: string; port: number }, now: number): void {
    this.counts.datagramsIn += 1;
    this.counts.bytesIn += bytes.length;
    // Nothing can be sent to port 0. A forged sender may have it: sending there would throw.
    const type = from.port === 0 ? null : datagramType(role, bytes);
    if (type === null) {
      this.counts.dropped.malformed += 1;
      return;
    }
    const userToken = readNumber(bytes, 0);
    const sessionToken = readNumber(bytes, 4);
    const user = this.table.find(userToken, sessionToken);
    if (user === null || roleOf(user.n) !== role) {
      this.table.countWrongToken(userToken, sessionToken, now);
      this.#refuse(role, type, from, now);
      return;
    }
    // Only while somebody guesses is this more than a look at a field.
    if (user.session.wrongTokens !== null && this.#mayBeGuessed(user, from.address, now)) {
      this.#refuse(role, type, from, now);
      return;
    }
    this.presence.hear(user, from, now);
    if (!this.limits.spend(user, bytes.length - TOKENS_BYTES, now)) {
      this.#drop(user, "over-limit");
    } else if (type === PING) {
      this.#send(user, this.#pongOf(user, now), 0);
    } else {
      this.#pass(user, bytes, now);
    }
  }

  /** Handles a frame from the trunk of this session: somebody on a websocket has sent it. */
  receiveFromTrunk(
    session: NodeSession,
    frame: { from: number; to: number; payload: Uint8Array },
    now: number,
  ): void {
    const { from, to, payload } = frame;
    const receiver = session.user(to);
    if (!receiver?.connected || (from === FIRST_HOST) === (to === FIRST_HOST)) {
      this.counts.dropped["no-receiver"] += 1;
      return;
    }
    if (!this.#passes(session, now)) {
      this.counts.dropped["link-down"] += 1;
      return;
    }
    const header = to === FIRST_HOST ? HOST_HEADER_BYTES : CLIENT_HEADER_BYTES;
    if (header + payload.length > MAX_DATAGRAM_BYTES) {
      this.counts.dropped["too-large"] += 1;
      return;
    }
    const bytes = Buffer.allocUnsafe(header + payload.length);
    bytes[0] = DATA;
    if (to === FIRST_HOST) bytes.writeInt32LE(from, 1);
    bytes.set(payload, header);
    if (this.#send(receiver, bytes, 0)) receiver.bytesOut += payload.length;
    else this.counts.dropped["socket-full"] += 1;
  }

  /** Disconnects who was not heard for ten seconds, and reports sessions that are silent. Run every second. */
  tick(now: number): void {
    this.#invalidPongs.forgetOld(now);
    this.presence.tick(this.table.all(), now);
  }

  #refuse(
    role: Role,
    type: typeof PING | typeof DATA,
    from: { address: string; port: number },
    now: number,
  ): void {
    this.counts.dropped["invalid-tokens"] += 1;
    if (!this.knowsAllSessions || now > this.passUntil) return;
    if (!this.#invalidPongs.mayAnswer(type === PING ? "ping" : "data", from.address, now)) return;
    this.#sendTo(role, pongOf(RELAY_STATE.invalid), 0, from);
  }

  /**
   * Whether these tokens may have been guessed: there were sixty different wrong user tokens with the
   * session's token within a minute, and nobody of the session was heard from this address.
   */
  #mayBeGuessed({ session }: NodeUser, address: string, now: number): boolean {
    if (session.hasHeardFrom(address)) return false;
    return (session.wrongTokens?.secondsLeft(now) ?? 0) > 0;
  }

  #pongOf(user: NodeUser, now: number): Buffer {
    const { session } = user;
    // The tokens are known, but nothing is passed on, or not for now.
    if (!this.#passes(session, now)) return pongOf(RELAY_STATE.checking);
    const hostIsHere = session.host?.connected || session.trunk?.users.has(FIRST_HOST);
    // The host was heard, and is gone.
    return pongOf(
      session.hostWasHeard && !hostIsHere ? RELAY_STATE.sessionTimeout : RELAY_STATE.valid,
    );
  }

  #passes(session: NodeSession, now: number): boolean {
    return now <= this.passUntil && (session.passUntil === null || now <= session.passUntil);
  }

  #pass(sender: NodeUser, bytes: Buffer, now: number): void {
    const size = bytes.length - (sender.n === FIRST_HOST ? HOST_DATA_BYTES : CLIENT_DATA_BYTES);
    sender.bytesIn += size;
    const reason = this.#tryToPass(sender, bytes, size, now);
    if (reason !== null) this.#drop(sender, reason);
  }

  /** @returns null, or why it was not passed on */
  #tryToPass(sender: NodeUser, bytes: Buffer, size: number, now: number): DropReason | null {
    const { session } = sender;
    if (!this.#passes(session, now)) return "link-down";
    const fromHost = sender.n === FIRST_HOST;
    const to = fromHost ? readNumber(bytes, TOKENS_BYTES + 1) : FIRST_HOST;
    const receiver = fromHost ? session.user(to) : session.host;
    if (!receiver || receiver === sender) return "no-receiver";
    if (sender.gated && receiver.gated && !this.#isPermitted(sender, receiver, now)) {
      return "not-permitted";
    }
    if (receiver.connected) {
      const start = fromHost ? rewriteForClient(bytes) : rewriteForHost(bytes, sender.n);
      if (!this.#send(receiver, bytes, start)) return "socket-full";
      receiver.bytesOut += size;
      return null;
    }
    if (!session.trunk?.users.has(to)) return "no-receiver";
    const payload = bytes.subarray(bytes.length - size);
    return session.trunk.send(sender.n, to, payload) ? null : "socket-full";
  }

  #isPermitted(sender: NodeUser, receiver: NodeUser, now: number): boolean {
    const { session } = sender;
    const { permissions } = session;
    if (areOld(permissions, now) && now - session.permissionsAskedAt >= ASK_AGAIN_MS) {
      session.permissionsAskedAt = now;
      this.#ports.askPermissions(session);
    }
    return isPermitted(permissions, { from: sender.n, to: receiver.n }, now);
  }

  #drop(sender: NodeUser, reason: DropReason): void {
    sender.dropped += 1;
    this.counts.dropped[reason] += 1;
  }

  #send(user: NodeUser, bytes: Buffer, start: number): boolean {
    return this.#sendTo(roleOf(user.n), bytes, start, user);
  }

  #sendTo(
    role: Role,
    bytes: Buffer,
    start: number,
    to: { address: string; port: number },
  ): boolean {
    if (!this.#ports.send(role, bytes, start, to)) return false;
    this.counts.datagramsOut += 1;
    this.counts.bytesOut += bytes.length - start;
    return true;
  }
}
