/**
 * The websockets of one relay session. Routes frames between the host and the clients, keeps each
 * participant within its limits, and counts. Nothing here writes storage: what must survive the
 * object's eviction is in the sockets' attachments, which hibernate with them.
 */

import {
  type DevicePairing,
  type DeviceRevocation,
  isRevokedBy,
} from "../session/device-revocation";
import type { Traffic } from "../session/session-calls";
import type { BudgetLimits } from "./budget";
import {
  type Attachment,
  attach,
  attachmentOf,
  type ConnectsFrom,
  closeSocket,
  HOST,
  type Participant,
  save,
  saveInTime,
  trafficFrom,
} from "./participant";
import type { FrameGate } from "./permissions-view";
import {
  CLOSE,
  FAULTS,
  frameForClient,
  frameForHost,
  parseFrame,
  pongFrame,
  RELAY_STATE,
} from "./protocol";
import { UserBudgets } from "./user-budgets";

/** Limits of every participant. */
export interface RelayLimits extends BudgetLimits {
  /** How much may be sent to one participant since it was last heard; 0 switches it off. */
  unheardBytes: number;
}

/** What is known of a socket when it is taken in. */
export interface Arrival {
  /** Cloudflare's view of where it connects from. */
  from: ConnectsFrom;
  /** What lets it in, where its user has a device; else null. */
  pairing: DevicePairing | null;
}

export class RelayHub {
  readonly #limits: RelayLimits;
  readonly #gate: FrameGate;
  readonly #users = new Map<number, Participant>();
  readonly #bySocket = new Map<WebSocket, Participant>();
  readonly #traffic: Map<number, Traffic>;
  readonly #budgets: UserBudgets;

  /**
   * @param sockets all hibernatable sockets of the object: after an eviction they are still open
   * @param saved the counters that were stored, by user
   */
  constructor(
    sockets: WebSocket[],
    limits: RelayLimits,
    saved: ReadonlyMap<number, Traffic>,
    gate: FrameGate,
  ) {
    this.#limits = limits;
    this.#budgets = new UserBudgets(limits);
    this.#gate = gate;
    this.#traffic = new Map(saved);
    for (const ws of sockets) this.#restore(ws);
  }

  /** How many users have an open socket. */
  get size(): number {
    return this.#users.size;
  }

  /** True while this user has an open socket. */
  isConnected(n: number): boolean {
    return this.#users.has(n);
  }

  /** The counters of everyone who ever connected, by user. Live: they go on counting. */
  get traffic(): ReadonlyMap<number, Traffic> {
    return this.#traffic;
  }

  /** Whether this user is or was connected from this address, as limits count it. */
  hasConnectedFrom(n: number, address: string): boolean {
    const traffic = this.#users.get(n)?.traffic ?? this.#traffic.get(n);
    return traffic?.addresses.includes(address) ?? false;
  }

  /**
   * Takes from the user's budget what connecting costs, with all that others are told of it.
   * @returns 0, or in how many seconds the budget will cover it: until then they must not join
   */
  spendConnection(n: number, now: number): number {
    // Each client hears that the host comes and goes, and the host hears of each client.
    return this.#budgets.spendConnection(n, n === HOST ? 3 * this.#users.size : 0, now);
  }

  /**
   * Takes in an accepted socket. One that this user had before is closed.
   * @param now Unix milliseconds
   */
  join(ws: WebSocket, n: number, { from, pairing }: Arrival, now: number): void {
    const since = Math.max(now, (this.#users.get(n)?.since ?? 0) + 1);
    this.close(n, CLOSE.replaced, "replaced by a newer connection");
    const traffic = trafficFrom(this.#traffic.get(n), from);
    const participant = this.#add(ws, { n, since, traffic, pairing, closed: false }, now);
    save(participant, now);
    this.#tell(participant, { type: "ready", connection_id: n });
    if (n === HOST) {
      for (const other of this.#users.values()) {
        if (other.n === HOST) continue;
        this.#tell(other, { type: "host_joined" });
        if (this.#isHere(other)) this.#tell(participant, peer("peer_joined", other.n));
      }
      return;
    }
    const host = this.#users.get(HOST);
    if (!host) return;
    this.#tell(host, peer("peer_joined", n));
    if (this.#isHere(host)) this.#tell(participant, { type: "host_joined" });
  }

  /** Null, or what has to be awaited before the next message of this socket can be handled. */
  whenReady(ws: WebSocket, now: number): Promise<unknown> | null {
    const sender = this.#bySocket.get(ws);
    return sender ? this.#gate.whenKnown(sender.n, now) : null;
  }

  /** The gate has changed its mind: who is within reach again will be told of the next refusal. */
  forgetRefusals(now: number): void {
    for (const sender of this.#users.values()) {
      const before = sender.refused.size;
      for (const peer of sender.refused) {
        if (this.#gate.mayPass(sender.n, peer, now)) sender.refused.delete(peer);
      }
      if (sender.refused.size < before) save(sender, now);
    }
  }

  /** Handles one message of a participant. */
  receive(ws: WebSocket, message: ArrayBuffer | string, now: number): void {
    const size = typeof message === "string" ? Buffer.byteLength(message) : message.byteLength;
    const sender = this.#bySocket.get(ws);
    if (!sender || !this.#isHere(sender)) {
      // What a socket sends after it was closed or replaced reaches nobody. Its user pays for it.
      const n = sender?.n ?? attachmentOf(ws)?.n;
      if (n !== undefined) this.#budgets.charge(n, size, now);
      return;
    }
    sender.unheard = 0;
    const frame = parseFrame(sender.n === HOST ? "host" : "client", message);
    const isFrame = frame.type === "ping" || frame.type === "data";
    if (!isFrame || !this.#budgets.spend(sender.n, size, now)) {
      this.#budgets.charge(sender.n, size, now);
      const { code, reason } = FAULTS[isFrame ? "over-limit" : frame.type];
      this.close(sender.n, code, reason);
    } else if (frame.type === "ping") {
      this.#send(sender, pongFrame(RELAY_STATE.valid), 0, now);
    } else {
      this.#pass(sender, frame.to, frame.payload, now);
    }
  }

  /** Forgets a socket that has closed. */
  leave(ws: WebSocket): void {
    const participant = this.#bySocket.get(ws);
    this.#bySocket.delete(ws);
    if (participant) {
      if (!this.#isHere(participant)) return;
      this.#users.delete(participant.n);
      this.#announceLeft(participant.n);
      return;
    }
    // Its closing woke the object, which did not take it in any more.
    const attached = attachmentOf(ws);
    if (attached && !attached.closed && !this.#users.has(attached.n)) {
      this.#announceLeft(attached.n);
    }
  }

  /** Closes a user's socket, if one is open. */
  close(n: number, code: number, reason: string): void {
    const participant = this.#users.get(n);
    if (!participant) return;
    this.#users.delete(n);
    attach(participant, true);
    closeSocket(participant.ws, code, reason);
    this.#announceLeft(n);
  }

  /** Closes the sockets of these users that a device has opened and may not keep. */
  cut(users: readonly number[], cut: DeviceRevocation): void {
    for (const n of users) {
      const pairing = this.#users.get(n)?.pairing;
      if (pairing && isRevokedBy(pairing, cut)) this.close(n, CLOSE.revoked, "device revoked");
    }
  }

  /** Tells everyone that the session ends, and why, and closes all sockets. */
  end(reason: string): void {
    const everyone = [...this.#users.values()];
    this.#users.clear();
    for (const participant of everyone) {
      this.#tell(participant, { type: "ending", reason });
      closeSocket(participant.ws, CLOSE.ended, `session ended: ${reason}`);
    }
  }

  #restore(ws: WebSocket): void {
    const attached = attachmentOf(ws);
    if (!attached) return;
    const rival = this.#users.get(attached.n);
    if (rival && rival.since > attached.since) return;
    // What was stored when another socket closed may be newer than what this one carries.
    const saved = this.#traffic.get(attached.n);
    const traffic = saved && bytesOf(saved) > bytesOf(attached.traffic) ? saved : attached.traffic;
    this.#traffic.set(attached.n, traffic);
    if (attached.closed || ws.readyState !== WebSocket.OPEN) return;
    this.#add(ws, { ...attached, traffic }, attached.since);
  }

  #add(ws: WebSocket, attached: Attachment, now: number): Participant {
    const { n, since, traffic, pairing = null } = attached;
    const refused = new Set(attached.refused);
    const participant = { ws, n, since, traffic, pairing, refused, unheard: 0, savedAt: now };
    this.#users.set(n, participant);
    this.#bySocket.set(ws, participant);
    this.#traffic.set(n, traffic);
    return participant;
  }

  /** Whether this socket is the one of its user. */
  #isHere(participant: Participant): boolean {
    return this.#users.get(participant.n) === participant;
  }

  #pass(sender: Participant, to: number, payload: Uint8Array, now: number): void {
    sender.traffic.bytesIn += payload.length;
    saveInTime(sender, now);
    const receiver = to === sender.n ? undefined : this.#users.get(to);
    if (!receiver) {
      sender.traffic.dropped += 1;
      return;
    }
    if (!this.#gate.mayPass(sender.n, receiver.n, now)) {
      this.#refuse(sender, receiver.n, now);
      return;
    }
    const frame = receiver.n === HOST ? frameForHost(sender.n, payload) : frameForClient(payload);
    this.#send(receiver, frame, payload.length, now);
  }

  #refuse(sender: Participant, to: number, now: number): void {
    sender.traffic.dropped += 1;
    if (sender.refused.has(to)) return;
    sender.refused.add(to);
    // Kept with the socket: an object that wakes must not say it again.
    save(sender, now);
    this.#tell(sender, { type: "refused", ...(sender.n === HOST ? { connection_id: to } : {}) });
  }

  #send(receiver: Participant, frame: Uint8Array, payloadBytes: number, now: number): void {
    if (!this.#deliver(receiver, frame)) return;
    receiver.traffic.bytesOut += payloadBytes;
    saveInTime(receiver, now);
  }

  /** Sends a control message. It counts like a frame of the one who gets it. */
  #tell(receiver: Participant, control: object): void {
    this.#deliver(receiver, JSON.stringify(control));
  }

  /** @returns false when the receiver has gone, or is closed now for never being heard */
  #deliver(receiver: Participant, message: Uint8Array | string): boolean {
    receiver.unheard += message.length;
    // workerd shows no send buffer (2026-11), so what cannot be seen to drain is bounded by what has
    // been sent since the participant was last heard: a reader that stalls is closed, not buffered for.
    if (this.#limits.unheardBytes > 0 && receiver.unheard > this.#limits.unheardBytes) {
      const reason = "too much sent to you without hearing from you: ping";
      this.close(receiver.n, CLOSE.overLimit, reason);
      return false;
    }
    try {
      receiver.ws.send(message);
      return true;
    } catch {
      // It closed under us; its close event does the rest.
      return false;
    }
  }

  #announceLeft(n: number): void {
    if (n !== HOST) {
      const host = this.#users.get(HOST);
      if (host) this.#tell(host, peer("peer_left", n));
      return;
    }
    for (const other of this.#users.values()) this.#tell(other, { type: "host_left" });
  }
}

/** What the host is told of a client. */
function peer(type: "peer_joined" | "peer_left", connectionId: number) {
  return { type, connection_id: connectionId };
}

function bytesOf({ bytesIn, bytesOut }: Traffic): number {
  return bytesIn + bytesOut;
}
