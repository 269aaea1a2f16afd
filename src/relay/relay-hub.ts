/**
 * The websockets of one relay session: who is connected, what each of their messages means, and which are
 * closed. The session's object calls it. Nothing here writes storage: what must survive the object's
 * eviction is in the sockets' attachments, which hibernate with them.
 */

import {
  type DevicePairing,
  type DeviceRevocation,
  isRevokedBy,
} from "../session/device-revocation";
import type { Traffic } from "../session/session-calls";
import type { BudgetLimits } from "./budget";
import { ConnectedUsers } from "./connected-users";
import { Delivery } from "./delivery";
import { FrameRouter } from "./frame-router";
import { isTrunk, NodeTrunk } from "./node-trunk";
import {
  closeSocket,
  markClosed,
  type Participant,
  readAttachment,
  type SocketOrigin,
  saveAttachment,
  trafficOnConnect,
} from "./participant";
import type { PermissionGate } from "./permission-gate";
import { Presence } from "./presence";
import { CLOSE, FAULTS, parseFrame, pongFrame, RELAY_STATE } from "./protocol";
import { parseTrunkMessage } from "./trunk";
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

/** What the hub asks of the session. */
export interface HubPorts {
  gate: Gate;
  /** The ordinal of the session's host now. */
  host(): number;
}

export class RelayHub {
  readonly #gate: Gate;
  readonly #users: ConnectedUsers;
  readonly #budgets: UserBudgets;
  readonly #trunk: NodeTrunk;
  readonly #host: () => number;
  readonly #delivery: Delivery;
  readonly #presence: Presence;
  readonly #router: FrameRouter;

  /**
   * @param sockets all hibernatable sockets of the object: after an eviction they are still open
   * @param saved the counters that were stored, by user
   */
  constructor(
    sockets: WebSocket[],
    limits: RelayLimits,
    saved: ReadonlyMap<number, Traffic>,
    { gate, host }: HubPorts,
  ) {
    this.#host = host;
    this.#budgets = new UserBudgets(limits);
    this.#gate = gate;
    this.#trunk = new NodeTrunk(sockets);
    const ofUsers = sockets.filter((ws) => !isTrunk(ws));
    this.#users = new ConnectedUsers(ofUsers, saved);
    const unheard = "too much sent to you without hearing from you: ping";
    this.#delivery = new Delivery({
      unheardBytes: limits.unheardBytes,
      closeUnheard: ({ n }) => this.close(n, CLOSE.overLimit, unheard),
    });
    const parts = { users: this.#users, trunk: this.#trunk, delivery: this.#delivery, host };
    this.#presence = new Presence(parts);
    this.#router = new FrameRouter({ ...parts, gate });
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
    this.#delivery.tell(participant, { type: "ready", connection_id: n });
    this.#presence.joined(participant);
  }

  /** Takes the websocket of the trunk to the session's relay node. */
  openTrunk(ws: WebSocket, now: number): void {
    for (const n of this.#trunk.users) this.#leaveNode(n);
    this.#trunk.open(ws, now);
    this.#presence.sayHere();
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
    this.#router.passFromNode(message, now);
  }

  /** The trunk has closed. */
  leaveTrunk(ws: WebSocket): void {
    if (!this.#trunk.isOpenOn(ws)) return;
    const users = [...this.#trunk.users];
    this.#trunk.end();
    for (const n of users) this.#presence.left(n);
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
    this.#router.forgetBlockedPeers(now);
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
      this.#delivery.send(sender, pongFrame(RELAY_STATE.valid), 0, now);
    } else {
      this.#router.pass(sender, frame.to ?? this.#host(), frame.payload, now);
    }
  }

  /** Forgets a socket that has closed. */
  leave(ws: WebSocket): void {
    const participant = this.#users.ofSocket(ws);
    this.#users.forgetSocket(ws);
    if (participant) {
      if (!this.#users.isCurrent(participant)) return;
      this.#users.removeUser(participant.n);
      this.#presence.left(participant.n);
      this.#presence.sayHere();
      return;
    }
    // The closing woke the object, which did not restore a socket that was closed.
    const attached = readAttachment(ws);
    if (attached && !attached.closed && !this.isConnected(attached.n)) {
      this.#presence.left(attached.n);
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
    this.#presence.left(n);
    this.#presence.sayHere();
  }

  /** Closes a user's socket if a pairing let it in that was revoked since then. */
  closeIfRevoked(n: number, revocation: DeviceRevocation): void {
    const pairing = this.#users.ofUser(n)?.pairing;
    if (pairing && isRevokedBy(pairing, revocation)) {
      this.close(n, CLOSE.revoked, "device revoked");
    }
  }

  /** Tells everyone that the session ends, and why, and closes all sockets. */
  end(reason: string): void {
    const everyone = [...this.#users.all()];
    this.#users.removeAll();
    for (const participant of everyone) {
      this.#delivery.tell(participant, { type: "ending", reason });
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
      this.#presence.joinedNode(n);
    }
    this.#trunk.setUsers(users);
  }

  /** A user is not heard on the relay node any more. */
  #leaveNode(n: number): void {
    if (!this.#trunk.users.has(n)) return;
    this.#trunk.forget(n);
    this.#presence.left(n);
  }
}
