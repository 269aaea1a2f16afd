/**
 * Where the frames of a relay go: from a client to the host, from the host to clients, by websocket or over
 * the trunk of the relay node, and only as far as relay permissions let them. The hub calls it.
 */
import type { BroadcastBudget } from "./broadcast-budget";
import type { ConnectedUsers } from "./connected-users";
import type { Delivery } from "./delivery";
import type { NodeTrunk } from "./node-trunk";
import { type Participant, saveAttachment, saveAttachmentInTime } from "./participant";
import type { PermissionGate } from "./permission-gate";
import {
  CLIENT_HEADER_BYTES,
  frameForClient,
  frameForHost,
  HOST_HEADER_BYTES,
  payloadStart,
  receiverOf,
} from "./protocol";
import { MAX_DATAGRAM_BYTES, parseTrunkFrame, TRUNK_HEADER_BYTES } from "./trunk";

/** What it reads, and by what it sends. */
interface RouterParts {
  users: ConnectedUsers;
  trunk: NodeTrunk;
  delivery: Delivery;
  gate: Pick<PermissionGate, "mayPass">;
  broadcasts: BroadcastBudget;
  /** The ordinal of the session's host now. */
  host(): number;
}

export class FrameRouter {
  readonly #relay: RouterParts;

  constructor(relay: RouterParts) {
    this.#relay = relay;
  }

  /** Passes the payload of a participant's frame to its receiver, or drops and counts it. */
  pass(sender: Participant, frame: Uint8Array, now: number): void {
    const { users, trunk, gate, host } = this.#relay;
    const to = sender.speaksAs === "host" ? receiverOf(frame) : host();
    const start = payloadStart(sender.speaksAs, frame);
    const size = frame.length - start;
    this.#take(sender, size, now);
    const receiver = to === sender.n ? undefined : users.ofUser(to);
    const isOnNode = to !== sender.n && !receiver && trunk.users.has(to);
    if (!receiver && !(isOnNode && fitsDatagram(to === host(), size))) {
      sender.traffic.dropped += 1;
      if (to !== sender.n) this.#miss(sender.n, to, now);
      return;
    }
    if (!gate.mayPass(sender.n, to, now)) {
      this.#block(sender, to, now);
      return;
    }
    if (receiver) this.#send(receiver, this.#frameFor(to, sender.n, frame, start), size, now);
    else trunk.sendFrame(sender.n, to, frame.subarray(start));
  }

  /**
   * Passes the payload of the host's frame to every client that is there and that permissions let it reach.
   * Each other client counts as one dropped frame.
   * @returns false, and nothing has passed: it is more than the session's bound covers
   */
  broadcast(host: Participant, frame: Uint8Array, now: number): boolean {
    const { users, trunk, gate, broadcasts } = this.#relay;
    const start = payloadStart(host.speaksAs, frame);
    const size = frame.length - start;
    const mayReach = (n: number) => n !== host.n && gate.mayPass(host.n, n, now);
    const fits = fitsDatagram(false, size);
    let receivers = 0;
    for (const { n } of users.all()) if (mayReach(n)) receivers += 1;
    for (const n of trunk.users) if (fits && mayReach(n)) receivers += 1;
    if (!broadcasts.spend((CLIENT_HEADER_BYTES + size) * receivers, now)) return false;
    // All receivers get the same bytes.
    const sent = frameForClient(frame, start);
    this.#take(host, size, now);
    // Before it is sent: sending may close a receiver, for whom it is counted then already.
    for (const n of users.traffic.keys()) {
      if (n !== host.n && !users.ofUser(n) && !trunk.users.has(n)) this.#miss(host.n, n, now);
    }
    for (const receiver of users.all()) {
      if (receiver.n === host.n) continue;
      if (mayReach(receiver.n)) this.#send(receiver, sent, size, now);
      else this.#block(host, receiver.n, now);
    }
    for (const n of trunk.users) {
      if (n === host.n) continue;
      if (!fits) host.traffic.dropped += 1;
      else if (mayReach(n)) trunk.sendFrame(host.n, n, frame.subarray(start));
      else this.#block(host, n, now);
    }
    return true;
  }

  /** Drops and counts the frame of a participant that nobody can get. */
  drop(sender: Participant, frame: Uint8Array, now: number): void {
    this.#take(sender, frame.length - payloadStart(sender.speaksAs, frame), now);
    sender.traffic.dropped += 1;
  }

  /** Passes a frame that came over the trunk. The node has checked permissions and limits. */
  passFromNode(message: ArrayBuffer, now: number): void {
    const { users, trunk, host } = this.#relay;
    const bytes = new Uint8Array(message);
    const frame = parseTrunkFrame(bytes);
    if (!frame || !trunk.users.has(frame.from)) return;
    const { from, to, payload } = frame;
    const receiver = users.ofUser(to);
    // Every frame goes from the host or to it.
    if (!receiver || (from === host()) === (to === host())) return;
    this.#send(receiver, this.#frameFor(to, from, bytes, TRUNK_HEADER_BYTES), payload.length, now);
  }

  /**
   * Permissions may have changed. If a peer is reachable again, forgets that it was reported as blocked, so
   * that a later block is reported again.
   */
  forgetBlockedPeers(now: number): void {
    const { users, gate } = this.#relay;
    for (const sender of users.all()) {
      const before = sender.blockedPeers.size;
      for (const peer of sender.blockedPeers) {
        if (gate.mayPass(sender.n, peer, now)) sender.blockedPeers.delete(peer);
      }
      if (sender.blockedPeers.size < before) saveAttachment(sender, now);
    }
  }

  /** The host is another user now: who was reported as blocked is reported again. */
  forgetAllBlockedPeers(): void {
    for (const sender of this.#relay.users.all()) {
      if (sender.blockedPeers.size === 0) continue;
      sender.blockedPeers.clear();
      saveAttachment(sender, sender.savedAt);
    }
  }

  #take(sender: Participant, payloadBytes: number, now: number): void {
    sender.traffic.bytesIn += payloadBytes;
    sender.traffic.messagesIn += 1;
    saveAttachmentInTime(sender, now);
  }

  /** Counts a message for a user who is not connected. When they come back they are told how many. */
  #miss(from: number, to: number, now: number): void {
    const traffic = this.#relay.users.traffic.get(to);
    if (traffic && this.#relay.gate.mayPass(from, to, now)) traffic.messagesFor += 1;
  }

  /** What the user `to` gets of a message whose payload begins at `start`. Its header is overwritten. */
  #frameFor(to: number, from: number, message: Uint8Array, start: number): Uint8Array {
    return to === this.#relay.host()
      ? frameForHost(from, message, start)
      : frameForClient(message, start);
  }

  #send(receiver: Participant, frame: Uint8Array, payloadBytes: number, now: number): void {
    receiver.traffic.messagesFor += 1;
    this.#relay.delivery.send(receiver, frame, payloadBytes, now);
  }

  /** Drops a frame that permissions block. The sender is told once for each peer. */
  #block(sender: Participant, to: number, now: number): void {
    sender.traffic.dropped += 1;
    if (sender.blockedPeers.has(to)) return;
    sender.blockedPeers.add(to);
    // Kept with the socket: an object that wakes must not say it again.
    saveAttachment(sender, now);
    const { delivery, host } = this.#relay;
    const peer = sender.n === host() ? { connection_id: to } : {};
    delivery.tell(sender, { type: "refused", ...peer });
  }
}

/** Whether a payload of so many bytes is small enough for a datagram to the host, or to a client. */
function fitsDatagram(toHost: boolean, payloadBytes: number): boolean {
  const header = toHost ? HOST_HEADER_BYTES : CLIENT_HEADER_BYTES;
  return header + payloadBytes <= MAX_DATAGRAM_BYTES;
}
