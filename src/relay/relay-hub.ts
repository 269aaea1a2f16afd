/**
 * The websockets of one relay session. Routes frames between the host and the clients, keeps each
 * participant within its limits, tells them about each other, and counts. The session's object calls it.
 * Nothing here writes storage: what must survive the object's eviction is in the sockets' attachments,
 * which hibernate with them.
 */

import {
  type DevicePairing,
  type DeviceRevocation,
  isRevokedBy,
} from "../session/device-revocation";
import type { Traffic } from "../session/session-calls";
import type { BudgetLimits } from "./budget";
import { ConnectedUsers } from "./connected-users";
import { isTrunk, NodeTrunk } from "./node-trunk";
import {
  closeSocket,
  markClosed,
  type Participant,
  readAttachment,
  type SocketOrigin,
  saveAttachment,
  saveAttachmentInTime,
  trafficOnConnect,
} from "./participant";
import type { PermissionGate } from "./permission-gate";
import {
  CLIENT_HEADER_BYTES,
  CLOSE,
  type ControlMessage,
  FAULTS,
  frameForClient,
  frameForHost,
  HOST_HEADER_BYTES,
  parseFrame,
  pongFrame,
  RELAY_STATE,
} from "./protocol";
import { MAX_DATAGRAM_BYTES, parseTrunkFrame, parseTrunkMessage } from "./trunk";
import { UserBudgets } from "./user-budgets";

/** What the hub uses of the permission gate. */
type Gate = Pick<PermissionGate, "mayPass" | "whenFresh">;

/** Limits of every participant. */
export interface RelayLimits extends BudgetLimits {
  /** How much may be sent to one participant since it was last heard; 0 switches it off. */
  unheardBytes: number;
}

/** What is known about a socket when it joins. */
export interface JoiningSocket {
  origin: SocketOrigin;
  /** What lets it in, where its user has a device; else null. */
  pairing: DevicePairing | null;
}

const HOST_JOINED = { type: "host_joined" } as const;

export class RelayHub {
  readonly #limits: RelayLimits;
  readonly #gate: Gate;
  readonly #users: ConnectedUsers;
  readonly #budgets: UserBudgets;
  readonly #trunk: NodeTrunk;
  readonly #host: () => number;

  /**
   * @param sockets all hibernatable sockets of the object: after an eviction they are still open
   * @param saved the counters that were stored, by user
   * @param host the ordinal of the session's host now
   */
  constructor(
    sockets: WebSocket[],
    limits: RelayLimits,
    saved: ReadonlyMap<number, Traffic>,
    gate: Gate,
    host: () => number,
  ) {
    this.#host = host;
    this.#limits = limits;
    this.#budgets = new UserBudgets(limits);
    this.#gate = gate;
    this.#trunk = new NodeTrunk(sockets);
    const ofUsers = sockets.filter((ws) => !isTrunk(ws));
    this.#users = new ConnectedUsers(ofUsers, saved);
  }

  /** How many users have an open socket. */
  get size(): number {
    return this.#users.size;
  }

  /** True while this user has an open socket. */
  isConnected(n: number): boolean {
    return this.#users.ofUser(n) !== undefined;
  }

  /** The counters of everyone who ever connected, by user. They go on counting. */
  get traffic(): ReadonlyMap<number, Traffic> {
    return this.#users.traffic;
  }

  /** Whether this user is or was connected from this address, as limits count it. */
  hasConnectedFrom(n: number, address: string): boolean {
    return this.#users.hasConnectedFrom(n, address);
  }

  /**
   * Takes from the user's budget what connecting costs, with all messages that others get about it.
   * @returns 0, or in how many seconds the budget will cover it: until then they must not join
   */
  spendConnection(n: number, now: number): number {
    // Each client is told that the host comes and goes, and the host is told about each client.
    return this.#budgets.spendConnection(n, n === this.#host() ? 3 * this.#users.size : 0, now);
  }

  /**
   * Lets an accepted socket take part. One that this user had before is closed.
   * @param now Unix milliseconds
   */
  join(ws: WebSocket, n: number, { origin, pairing }: JoiningSocket, now: number): void {
    const since = Math.max(now, (this.#users.ofUser(n)?.since ?? 0) + 1);
    // On a websocket or on a relay node: they are where they were heard last.
    this.close(n, CLOSE.replaced, "replaced by a newer connection");
    const traffic = trafficOnConnect(this.traffic.get(n), origin);
    const participant = this.#users.add(ws, { n, since, traffic, pairing, closed: false }, now);
    saveAttachment(participant, now);
    this.#tell(participant, { type: "ready", connection_id: n });
    this.#sayHere();
    const host = this.#host();
    if (n === host) {
      for (const other of this.#trunk.users) {
        this.#tell(participant, { type: "peer_joined", connection_id: other });
      }
      for (const other of this.#users.all()) {
        if (other.n === host) continue;
        this.#tell(other, { type: "host_joined" });
        if (this.#users.isCurrent(other)) {
          this.#tell(participant, { type: "peer_joined", connection_id: other.n });
        }
      }
      return;
    }
    const hostHere = this.#users.ofUser(host);
    if (hostHere) this.#tell(hostHere, { type: "peer_joined", connection_id: n });
    const isHostThere = hostHere ? this.#users.isCurrent(hostHere) : this.#trunk.users.has(host);
    if (isHostThere) this.#tell(participant, { type: "host_joined" });
  }

  /** Takes the websocket of the trunk to the session's relay node. */
  openTrunk(ws: WebSocket, now: number): void {
    for (const n of this.#trunk.users) this.#leaveNode(n);
    this.#trunk.open(ws, now);
    this.#sayHere();
  }

  /** Whether this is the websocket of a trunk. */
  isTrunk(ws: WebSocket): boolean {
    return isTrunk(ws);
  }

  /**
   * Handles a message of the trunk.
   * @param isUser whether the session has a user with this ordinal
   */
  receiveFromNode(
    ws: WebSocket,
    message: ArrayBuffer | string,
    isUser: (n: number) => boolean,
    now: number,
  ): void {
    if (!this.#trunk.isOpenOn(ws)) return;
    if (typeof message === "string") {
      const users = parseTrunkMessage(message)?.users.filter(isUser);
      if (users) this.#setNodeUsers(new Set(users));
      return;
    }
    const frame = parseTrunkFrame(new Uint8Array(message));
    if (!frame || !this.#trunk.users.has(frame.from)) return;
    const { from, to, payload } = frame;
    const receiver = this.#users.ofUser(to);
    // Every frame goes from the host or to it.
    const host = this.#host();
    if (!receiver || (from === host) === (to === host)) return;
    const passed = to === host ? frameForHost(from, payload) : frameForClient(payload);
    this.#send(receiver, passed, payload.length, now);
  }

  /** The trunk has closed. */
  leaveTrunk(ws: WebSocket): void {
    if (!this.#trunk.isOpenOn(ws)) return;
    const users = [...this.#trunk.users];
    this.#trunk.end();
    for (const n of users) this.#announceLeft(n);
  }

  /** What the next message of this socket has to wait for: see `PermissionGate.whenFresh`. Null: nothing. */
  whenPermissionsFresh(ws: WebSocket, now: number): Promise<unknown> | null {
    const sender = this.#users.ofSocket(ws);
    return sender ? this.#gate.whenFresh(sender.n, now) : null;
  }

  /**
   * Permissions may have changed. If a peer is reachable again, forgets that it was reported as blocked, so
   * that a later block is reported again.
   */
  forgetBlockedPeers(now: number): void {
    for (const sender of this.#users.all()) {
      const before = sender.blockedPeers.size;
      for (const peer of sender.blockedPeers) {
        if (this.#gate.mayPass(sender.n, peer, now)) sender.blockedPeers.delete(peer);
      }
      if (sender.blockedPeers.size < before) saveAttachment(sender, now);
    }
  }

  /** Handles one message of a participant. */
  receive(ws: WebSocket, message: ArrayBuffer | string, now: number): void {
    const size = typeof message === "string" ? Buffer.byteLength(message) : message.byteLength;
    const sender = this.#users.ofSocket(ws);
    if (!sender || !this.#users.isCurrent(sender)) {
      // What a socket sends after it was closed or replaced reaches nobody. Its user pays for it.
      const n = sender?.n ?? readAttachment(ws)?.n;
      if (n !== undefined) this.#budgets.charge(n, size, now);
      return;
    }
    sender.unheard = 0;
    const frame = parseFrame(this.#isHost(sender) ? "host" : "client", message);
    const isFrame = frame.type === "ping" || frame.type === "data";
    if (!isFrame || !this.#budgets.spend(sender.n, size, now)) {
      this.#budgets.charge(sender.n, size, now);
      const { code, reason } = FAULTS[isFrame ? "over-limit" : frame.type];
      this.close(sender.n, code, reason);
    } else if (frame.type === "ping") {
      this.#send(sender, pongFrame(RELAY_STATE.valid), 0, now);
    } else {
      this.#pass(sender, frame.to ?? this.#host(), frame.payload, now);
    }
  }

  /** Forgets a socket that has closed. */
  leave(ws: WebSocket): void {
    const participant = this.#users.ofSocket(ws);
    this.#users.forgetSocket(ws);
    if (participant) {
      if (!this.#users.isCurrent(participant)) return;
      this.#users.removeUser(participant.n);
      this.#announceLeft(participant.n);
      this.#sayHere();
      return;
    }
    // The closing woke the object, which did not restore a socket that was closed.
    const attached = readAttachment(ws);
    if (attached && !attached.closed && !this.isConnected(attached.n)) {
      this.#announceLeft(attached.n);
    }
  }

  /** Closes a user's socket, if one is open. A user who is heard on the relay node counts as gone. */
  close(n: number, code: number, reason: string): void {
    this.#leaveNode(n);
    const participant = this.#users.ofUser(n);
    if (!participant) return;
    this.#users.removeUser(n);
    markClosed(participant);
    closeSocket(participant.ws, code, reason);
    this.#announceLeft(n);
    this.#sayHere();
  }

  /** Closes a user's socket if a pairing let it in that was revoked since then. */
  closeIfRevoked(n: number, revocation: DeviceRevocation): void {
    const pairing = this.#users.ofUser(n)?.pairing;
    if (pairing && isRevokedBy(pairing, revocation)) {
      this.close(n, CLOSE.revoked, "device revoked");
    }
  }

  /** Another user is the host now: the one before, if connected, has to connect again as a client. */
  hostChanged(before: number, _now: number): void {
    this.close(before, 4503, "another user is the host now: connect again");
  }

  /** Tells everyone that the session ends, and why, and closes all sockets. */
  end(reason: string): void {
    const everyone = [...this.#users.all()];
    this.#users.removeAll();
    for (const participant of everyone) {
      this.#tell(participant, { type: "ending", reason });
      closeSocket(participant.ws, CLOSE.ended, `session ended: ${reason}`);
    }
    this.#trunk.end({ code: CLOSE.ended, reason: `session ended: ${reason}` });
  }

  #isHost({ n }: Participant): boolean {
    return n === this.#host();
  }

  #setNodeUsers(users: ReadonlySet<number>): void {
    const before = this.#trunk.users;
    for (const n of before) if (!users.has(n)) this.#leaveNode(n);
    for (const n of users) {
      if (before.has(n)) continue;
      this.close(n, CLOSE.replaced, "heard on the relay node");
      const isHost = n === this.#host();
      if (isHost) for (const other of this.#users.all()) this.#tell(other, HOST_JOINED);
      const host = isHost ? undefined : this.#users.ofUser(this.#host());
      if (host) this.#tell(host, { type: "peer_joined", connection_id: n });
    }
    this.#trunk.setUsers(users);
  }

  /** A user is not heard on the relay node any more. */
  #leaveNode(n: number): void {
    if (!this.#trunk.users.has(n)) return;
    this.#trunk.forget(n);
    this.#announceLeft(n);
  }

  #sayHere(): void {
    this.#trunk.sayHere([...this.#users.all()].map(({ n }) => n));
  }

  #pass(sender: Participant, to: number, payload: Uint8Array, now: number): void {
    sender.traffic.bytesIn += payload.length;
    saveAttachmentInTime(sender, now);
    const receiver = to === sender.n ? undefined : this.#users.ofUser(to);
    const isOnNode = to !== sender.n && !receiver && this.#trunk.users.has(to);
    if (!receiver && !(isOnNode && fitsDatagram(to === this.#host(), payload))) {
      sender.traffic.dropped += 1;
      return;
    }
    if (!this.#gate.mayPass(sender.n, to, now)) {
      this.#block(sender, to, now);
      return;
    }
    if (!receiver) {
      this.#trunk.sendFrame(sender.n, to, payload);
      return;
    }
    const frame = this.#isHost(receiver)
      ? frameForHost(sender.n, payload)
      : frameForClient(payload);
    this.#send(receiver, frame, payload.length, now);
  }

  /** Drops a frame that permissions block. The sender is told once for each peer. */
  #block(sender: Participant, to: number, now: number): void {
    sender.traffic.dropped += 1;
    if (sender.blockedPeers.has(to)) return;
    sender.blockedPeers.add(to);
    // Kept with the socket: an object that wakes must not say it again.
    saveAttachment(sender, now);
    this.#tell(sender, { type: "refused", ...(this.#isHost(sender) ? { connection_id: to } : {}) });
  }

  #send(receiver: Participant, frame: Uint8Array, payloadBytes: number, now: number): void {
    if (!this.#deliver(receiver, frame)) return;
    receiver.traffic.bytesOut += payloadBytes;
    saveAttachmentInTime(receiver, now);
  }

  /** Sends a control message. It counts like a frame of the one who gets it. */
  #tell(receiver: Participant, control: ControlMessage): void {
    this.#deliver(receiver, JSON.stringify(control));
  }

  /** @returns false when the receiver has gone, or is closed now for never being heard */
  #deliver(receiver: Participant, message: Uint8Array | string): boolean {
    receiver.unheard += message.length;
    // workerd shows no send buffer (2026-11). So instead of what the participant has not read, the hub
    // counts what was sent since it was last heard. A reader that stalls is closed, not buffered for.
    if (this.#limits.unheardBytes > 0 && receiver.unheard > this.#limits.unheardBytes) {
      const reason = "too much sent to you without hearing from you: ping";
      this.close(receiver.n, CLOSE.overLimit, reason);
      return false;
    }
    try {
      receiver.ws.send(message);
      return true;
    } catch {
      // It has just closed; its close event does the rest.
      return false;
    }
  }

  #announceLeft(n: number): void {
    if (n !== this.#host()) {
      const host = this.#users.ofUser(this.#host());
      if (host) this.#tell(host, { type: "peer_left", connection_id: n });
      return;
    }
    for (const other of this.#users.all()) this.#tell(other, { type: "host_left" });
  }
}

/** Whether a payload is small enough for a datagram to the host, or to a client. */
function fitsDatagram(toHost: boolean, payload: Uint8Array): boolean {
  const header = toHost ? HOST_HEADER_BYTES : CLIENT_HEADER_BYTES;
  return header + payload.length <= MAX_DATAGRAM_BYTES;
}
