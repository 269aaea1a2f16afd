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
import { BroadcastBudget } from "./broadcast-budget";
import type { BudgetLimits } from "./budget";
import { ConnectedUsers } from "./connected-users";
import { Delivery } from "./delivery";
import { FrameRouter } from "./frame-router";
import { isTrunk, NodeTrunk } from "./node-trunk";
import { NodeUsers } from "./node-users";
import {
  closeSocket,
  type Participant,
  readAttachment,
  type SocketOrigin,
  saveAttachment,
  trafficOnConnect,
} from "./participant";
import { PeerNotices } from "./peer-notices";
import type { PermissionGate } from "./permission-gate";
import { CLOSE, FAULTS, kindOf, pongFrame, RELAY_STATE } from "./protocol";
import { SilentSockets } from "./silent-sockets";
import { UserBudgets } from "./user-budgets";

/** What the hub uses of the permission gate. */
type Gate = Pick<PermissionGate, "mayPass" | "whenFresh">;

/** Limits of every participant, and of what the session sends. */
export interface RelayLimits extends BudgetLimits {
  /** How much may be sent to one participant since it was last heard; 0 switches it off. */
  unheardBytes: number;
  /** How much broadcasts may send in a second, to all receivers together; 0 switches it off. */
  broadcastBytesPerSecond: number;
}

/** What is known about a socket when it joins. */
export interface JoiningSocket {
  origin: SocketOrigin;
  /** What lets it in, where its user has a device; else null. */
  pairing: DevicePairing | null;
}

/** What the hub asks of the session and of the platform. */
export interface HubPorts {
  gate: Gate;
  /** The ordinal of the session's host now. */
  host(): number;
  /** When the platform has answered this socket's text ping last, Unix milliseconds; null: never. */
  lastPing(ws: WebSocket): number | null;
}

/** The answer to every ping. */
const PONG = pongFrame(RELAY_STATE.valid);

export class RelayHub {
  /** The users who are heard on the session's relay node. */
  readonly node: NodeUsers;
  readonly #gate: Gate;
  readonly #users: ConnectedUsers;
  readonly #budgets: UserBudgets;
  readonly #trunk: NodeTrunk;
  readonly #host: () => number;
  readonly #delivery: Delivery;
  readonly #presence: PeerNotices;
  readonly #router: FrameRouter;
  readonly #silent: SilentSockets;

  /**
   * @param sockets all hibernatable sockets of the object: after an eviction they are still open
   * @param saved the counters that were stored, by user
   */
  constructor(
    sockets: WebSocket[],
    limits: RelayLimits,
    saved: ReadonlyMap<number, Traffic>,
    { gate, host, lastPing }: HubPorts,
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
      lastPing,
      closeUnheard: ({ n }) => this.close(n, CLOSE.overLimit, unheard),
    });
    const parts = { users: this.#users, trunk: this.#trunk, delivery: this.#delivery, host };
    this.#presence = new PeerNotices(parts);
    const broadcasts = new BroadcastBudget(limits.broadcastBytesPerSecond);
    this.#router = new FrameRouter({ ...parts, gate, broadcasts });
    this.#silent = new SilentSockets(lastPing);
    const [presence, router] = [this.#presence, this.#router];
    const closeWebSocket = (n: number) => this.close(n, CLOSE.replaced, "heard on the relay node");
    this.node = new NodeUsers({ trunk: this.#trunk, presence, router, closeWebSocket });
  }

  /** How many users have an open socket. */
  get size(): number {
    return this.#users.size;
  }

  /** Whether this is the socket of a participant, whether or not it has been closed since. */
  isParticipant(ws: WebSocket): boolean {
    return this.#users.ofSocket(ws) !== undefined;
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
    const before = this.traffic.get(n);
    const traffic = trafficOnConnect(before, origin);
    const role = n === this.#host() ? "host" : "client";
    const joining = { n, since, traffic, pairing, speaksAs: role, closed: false } as const;
    const participant = this.#users.add(ws, joining, now);
    saveAttachment(participant, now);
    const counts = before && { received: traffic.messagesIn, sent: traffic.messagesFor };
    this.#delivery.tell(participant, { type: "ready", connection_id: n, role, ...counts });
    this.#presence.joined(participant);
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

  /** Handles one message of a participant. It may overwrite the bytes of the message. */
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
    sender.heardAt = now;
    const bytes = typeof message === "string" ? message : new Uint8Array(message);
    const fault = this.#handle(sender, bytes, size, now);
    if (!fault) return;
    this.close(sender.n, FAULTS[fault].code, FAULTS[fault].reason);
  }

  /** @returns what is wrong with the message, so that its sender is closed; null: nothing */
  #handle(
    sender: Participant,
    message: Uint8Array | string,
    size: number,
    now: number,
  ): keyof typeof FAULTS | null {
    const kind = kindOf(sender.speaksAs, message);
    if (kind === "text" || kind === "malformed" || kind === "too-large") {
      this.#budgets.charge(sender.n, size, now);
      return kind;
    }
    if (!this.#budgets.spend(sender.n, size, now)) {
      this.#budgets.charge(sender.n, size, now);
      return "over-limit";
    }
    // True from when it was made the host until it answers that: its frames would be read wrongly.
    const isPromoted = sender.speaksAs === "client" && sender.n === this.#host();
    if (typeof message === "string") {
      if (!isPromoted) return "text";
      sender.speaksAs = "host";
      saveAttachment(sender, now);
    } else if (kind === "ping") this.#delivery.send(sender, PONG, 0, now);
    else if (isPromoted) this.#router.drop(sender, message, now);
    else if (kind === "data") this.#router.pass(sender, message, now);
    else if (!this.#router.broadcast(sender, message, now)) return "broadcast-over-limit";
    return null;
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

  /**
   * Another user is the host now, as `host()` says already. The socket of the host before it is closed, and
   * comes back as a client's. The socket of the new host goes on in place.
   * @param before the ordinal of the host until now
   * @param after the ordinal of the host from now on
   */
  hostChanged(before: number, after: number): void {
    const old = this.#users.ofUser(before);
    const hadHost = old !== undefined || this.#trunk.users.has(before);
    if (old) this.#users.close(old, CLOSE.tryAgain, "another user is the host now: connect again");
    this.#router.forgetAllBlockedPeers();
    this.#presence.hostChanged(after, hadHost);
    if (old) this.#presence.sayHere();
  }

  /**
   * Closes the sockets that have pinged by text and of which nothing was heard for a minute. The object has
   * no timer for that: it calls this whenever it is awake anyway.
   */
  closeSilent(now: number): void {
    if (!this.#silent.isTime(now)) return;
    for (const { n } of this.#silent.find(this.#users.all(), now)) {
      this.close(n, CLOSE.dead, "nothing heard of you for a minute");
    }
  }

  /** Closes a user's socket, if one is open. A user who is heard on the relay node counts as gone. */
  close(n: number, code: number, reason: string): void {
    this.node.leave(n);
    const participant = this.#users.ofUser(n);
    if (!participant) return;
    this.#users.close(participant, code, reason);
    this.#presence.left(n);
    this.#presence.sayHere();
  }

  /** Closes the socket of somebody who is no user any more, and forgets their counters: there may be many. */
  expel(n: number, reason: string): void {
    this.close(n, CLOSE.revoked, reason);
    this.#users.forgetTraffic(n);
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
}
