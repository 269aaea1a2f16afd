/**
 * The websockets of one relay session. Routes frames between the host and the clients, keeps each
 * participant within its limits, and counts. Nothing here writes storage: what must survive the
 * object's eviction is in the sockets' attachments, which hibernate with them.
 */

import type { Traffic } from "../session/calls";
import { type DeviceCut, isCut, type Pairing } from "../session/devices";
import { type Budget, type BudgetLimits, newBudget, spend } from "./budget";
import {
  type Attachment,
  attach,
  closeSocket,
  HOST,
  noTraffic,
  type Participant,
  save,
  tell,
} from "./participant";
import type { FrameGate } from "./permissions-view";
import { frameForClient, frameForHost, parseFrame, pongFrame, RELAY_STATE } from "./protocol";

/** Why a socket was closed: application close codes (RFC 6455, section 7.4.2) and 1009. */
export const CLOSE = {
  malformed: 4400,
  revoked: 4403,
  replaced: 4409,
  ended: 4410,
  overLimit: 4429,
  tooLarge: 1009,
} as const;

/** Limits of every participant. */
export interface RelayLimits extends BudgetLimits {
  /** How much may be sent to one participant since it was last heard; 0 switches it off. */
  unheardBytes: number;
}

/** What is known of a socket when it is taken in. */
export interface Arrival {
  /** Cloudflare's view of where it connects from. */
  place: { latitude: number | null; longitude: number | null };
  /** What lets it in, where its user has a device; else null. */
  pairing: Pairing | null;
}

/** How stale an attachment's counters may get: this much of the traffic figures an eviction may lose. */
const SAVE_EVERY_MS = 5_000;

export class RelayHub {
  readonly #limits: RelayLimits;
  readonly #gate: FrameGate;
  readonly #users = new Map<number, Participant>();
  readonly #bySocket = new Map<WebSocket, Participant>();
  readonly #traffic: Map<number, Traffic>;
  /** By user, not by socket: who connects again gets no new burst. */
  readonly #budgets = new Map<number, Budget>();

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

  /**
   * Takes in an accepted socket. One that this user had before is closed.
   * @param now Unix milliseconds
   */
  join(ws: WebSocket, n: number, { place, pairing }: Arrival, now: number): void {
    const since = Math.max(now, (this.#users.get(n)?.since ?? 0) + 1);
    this.close(n, CLOSE.replaced, "replaced by a newer connection");
    const traffic = { ...(this.#traffic.get(n) ?? noTraffic()), ...place };
    const participant = this.#add(ws, { n, since, traffic, pairing, closed: false }, now);
    save(participant, now);
    tell(participant, { type: "ready", connection_id: n });
    if (n === HOST) {
      for (const other of this.#users.values()) {
        if (other.n === HOST) continue;
        tell(other, { type: "host_joined" });
        tell(participant, { type: "peer_joined", connection_id: other.n });
      }
      return;
    }
    const host = this.#users.get(HOST);
    if (host) {
      tell(host, { type: "peer_joined", connection_id: n });
      tell(participant, { type: "host_joined" });
    }
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
    const sender = this.#bySocket.get(ws);
    // What a socket sent before it was closed or replaced counts no more.
    if (!sender || this.#users.get(sender.n) !== sender) return;
    sender.unheard = 0;
    if (typeof message === "string") {
      this.close(sender.n, CLOSE.malformed, "text messages are the relay's: send binary frames");
      return;
    }
    const frame = parseFrame(sender.n === HOST ? "host" : "client", message);
    if (frame.type === "malformed") {
      this.close(sender.n, CLOSE.malformed, "not a frame of this relay");
    } else if (frame.type === "too-large") {
      this.close(sender.n, CLOSE.tooLarge, "payload above 64 KB");
    } else if (!spend(sender.budget, this.#limits, message.byteLength, now)) {
      this.close(sender.n, CLOSE.overLimit, "more bytes or messages per second than allowed");
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
      if (this.#users.get(participant.n) !== participant) return;
      this.#users.delete(participant.n);
      this.#announceLeft(participant.n);
      return;
    }
    // Its closing woke the object, which did not take it in any more.
    const attached = ws.deserializeAttachment() as Attachment | null;
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
  cut(users: readonly number[], cut: DeviceCut): void {
    for (const n of users) {
      const pairing = this.#users.get(n)?.pairing;
      if (pairing && isCut(pairing, cut)) this.close(n, CLOSE.revoked, "device revoked");
    }
  }

  /** Tells everyone that the session ends, and why, and closes all sockets. */
  end(reason: string): void {
    const everyone = [...this.#users.values()];
    this.#users.clear();
    for (const participant of everyone) {
      tell(participant, { type: "ending", reason });
      closeSocket(participant.ws, CLOSE.ended, `session ended: ${reason}`);
    }
  }

  #restore(ws: WebSocket): void {
    const attached = ws.deserializeAttachment() as Attachment | null;
    if (!attached) return;
    // What was stored when another socket closed may be newer than what this one carries.
    const saved = this.#traffic.get(attached.n);
    const traffic = saved && total(saved) > total(attached.traffic) ? saved : attached.traffic;
    this.#traffic.set(attached.n, traffic);
    const rival = this.#users.get(attached.n);
    if (attached.closed || ws.readyState !== WebSocket.OPEN) return;
    if (!rival || rival.since < attached.since)
      this.#add(ws, { ...attached, traffic }, attached.since);
  }

  #add(ws: WebSocket, attached: Attachment, now: number): Participant {
    const { n, since, traffic, refused, pairing = null } = attached;
    const budget = this.#budgets.get(n) ?? newBudget(this.#limits, now);
    const participant = {
      ws,
      n,
      since,
      traffic,
      pairing,
      refused: new Set(refused),
      budget,
      unheard: 0,
      savedAt: now,
    };
    this.#users.set(n, participant);
    this.#bySocket.set(ws, participant);
    this.#traffic.set(n, traffic);
    this.#budgets.set(n, budget);
    return participant;
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
    tell(sender, { type: "refused", ...(sender.n === HOST ? { connection_id: to } : {}) });
  }

  #send(receiver: Participant, frame: Uint8Array, payloadBytes: number, now: number): void {
    receiver.unheard += frame.length;
    // workerd shows no send buffer (2026-11), so what cannot be seen to drain is bounded by what has
    // been sent since the participant was last heard: a reader that stalls is closed, not buffered for.
    if (this.#limits.unheardBytes > 0 && receiver.unheard > this.#limits.unheardBytes) {
      this.close(
        receiver.n,
        CLOSE.overLimit,
        "too much sent to you without hearing from you: ping",
      );
      return;
    }
    try {
      receiver.ws.send(frame);
    } catch {
      // It closed under us; its close event does the rest.
      return;
    }
    receiver.traffic.bytesOut += payloadBytes;
    saveInTime(receiver, now);
  }

  #announceLeft(n: number): void {
    if (n !== HOST) {
      const host = this.#users.get(HOST);
      if (host) tell(host, { type: "peer_left", connection_id: n });
      return;
    }
    for (const other of this.#users.values()) tell(other, { type: "host_left" });
  }
}

function total(traffic: Traffic): number {
  return traffic.bytesIn + traffic.bytesOut;
}

function saveInTime(participant: Participant, now: number): void {
  if (now - participant.savedAt >= SAVE_EVERY_MS) save(participant, now);
}
