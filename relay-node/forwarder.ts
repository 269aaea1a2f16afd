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
import { FIRST_HOST } from "../src/session/session";
import { Carrier, type CarrierPorts, type ProcessOfNode } from "./carrier";
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
import { ASK_AGAIN_MS, areOld, isPermitted } from "./permissions";
import type { NodeSession, NodeUser } from "./session-table";
import type { DropReason } from "./traffic-counts";
import type { TrunkFrame } from "./trunk";

/** What the forwarder calls. */
export interface ForwarderPorts extends CarrierPorts {
  /**
   * Sends the bytes from `start` on, from the port of this role; they are not changed afterwards. It never
   * waits: false means that the socket did not take them.
   */
  send(role: Role, bytes: Buffer, start: number, to: { address: string; port: number }): boolean;
}

export class Forwarder extends Carrier {
  readonly #ports: ForwarderPorts;
  readonly #invalidPongs: InvalidPongs;

  constructor(ports: ForwarderPorts, process: ProcessOfNode = { me: 0, of: 1 }) {
    super(ports, process);
    this.#ports = ports;
    this.#invalidPongs = new InvalidPongs(process.of);
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
      this.table.countWrongToken(userToken, sessionToken, from.address, now);
      this.#refuse(role, type, from, now);
      return;
    }
    // Only while somebody guesses is this more than a look at a field.
    if (user.session.wrongTokens !== null && mayBeGuessed(user, from, now)) {
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

  override receiveFromTrunk(
    session: NodeSession,
    { from, to, payload }: TrunkFrame,
    now: number,
  ): void {
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

  override tick(now: number): void {
    this.#invalidPongs.forgetOld(now);
    super.tick(now);
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

/**
 * Whether the tokens of a user may have been guessed. Where the user was heard last they were not: senders
 * can be forged, and so nobody can lock a user out by wrong tokens in that user's name.
 */
function mayBeGuessed(
  user: NodeUser,
  from: { address: string; port: number },
  now: number,
): boolean {
  return !user.isAt(from) && (user.session.wrongTokens?.refuses(from.address, now) ?? false);
}
