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
import { CLIENT_HEADER_BYTES, frameForClient, frameForHost, HOST_HEADER_BYTES } from "./protocol";
import { MAX_DATAGRAM_BYTES, parseTrunkFrame } from "./trunk";

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

  /** Passes the payload of a participant's frame to the user `to`, or drops and counts it. */
  pass(sender: Participant, to: number, payload: Uint8Array, now: number): void {
    const { users, trunk, gate, host } = this.#relay;
    this.#take(sender, payload, now);
    const receiver = to === sender.n ? undefined : users.ofUser(to);
    const isOnNode = to !== sender.n && !receiver && trunk.users.has(to);
    if (!receiver && !(isOnNode && fitsDatagram(to === host(), payload))) {
      sender.traffic.dropped += 1;
      if (to !== sender.n) this.#miss(sender.n, to, now);
      return;
    }
    if (!gate.mayPass(sender.n, to, now)) {
      this.#block(sender, to, now);
      return;
    }
    if (receiver) this.#sendTo(receiver, sender.n, payload, now);
    else trunk.sendFrame(sender.n, to, payload);
  }

  /**
   * Passes the payload of the host's frame to every client that is there and that permissions let it reach.
   * Each other client counts as one dropped frame.
   * @returns false, and nothing has passed: it is more than the session's bound covers
   */
  broadcast(host: Participant, payload: Uint8Array, now: number): boolean {
    const { users, trunk, delivery, gate, broadcasts } = this.#relay;
    const mayReach = (n: number) => n !== host.n && gate.mayPass(host.n, n, now);
    const fits = fitsDatagram(false, payload);
    let receivers = 0;
    for (const { n } of users.all()) if (mayReach(n)) receivers += 1;
    for (const n of trunk.users) if (fits && mayReach(n)) receivers += 1;
    // All receivers get the same bytes.
    const frame = frameForClient(payload);
    if (!broadcasts.spend(frame.length * receivers, now)) return false;
    this.#take(host, payload, now);
    // Before it is sent: sending may close a receiver, for whom it is counted then already.
    for (const n of users.traffic.keys()) {
      if (n !== host.n && !users.ofUser(n) && !trunk.users.has(n)) this.#miss(host.n, n, now);
    }
    for (const receiver of users.all()) {
      if (receiver.n === host.n) continue;
      if (mayReach(receiver.n)) {
        receiver.traffic.messagesFor += 1;
        delivery.send(receiver, frame, payload.length, now);
      } else this.#block(host, receiver.n, now);
    }
    for (const n of trunk.users) {
      if (n === host.n) continue;
      if (!fits) host.traffic.dropped += 1;
      else if (mayReach(n)) trunk.sendFrame(host.n, n, payload);
      else this.#block(host, n, now);
    }
    return true;
  }

  /** Drops and counts the frame of a participant that nobody can get. */
  drop(sender: Participant, payload: Uint8Array, now: number): void {
    this.#take(sender, payload, now);
    sender.traffic.dropped += 1;
  }

  /** Passes a frame that came over the trunk. The node has checked permissions and limits. */
  passFromNode(message: ArrayBuffer, now: number): void {
    const { users, trunk, host } = this.#relay;
    const frame = parseTrunkFrame(new Uint8Array(message));
    if (!frame || !trunk.users.has(frame.from)) return;
    const receiver = users.ofUser(frame.to);
    // Every frame goes from the host or to it.
    if (!receiver || (frame.from === host()) === (frame.to === host())) return;
    this.#sendTo(receiver, frame.from, frame.payload, now);
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

  #take(sender: Participant, payload: Uint8Array, now: number): void {
    sender.traffic.bytesIn += payload.length;
    sender.traffic.messagesIn += 1;
    saveAttachmentInTime(sender, now);
  }

  /** Counts a message for a user who is not connected. When they come back they are told how many. */
  #miss(from: number, to: number, now: number): void {
    const traffic = this.#relay.users.traffic.get(to);
    if (traffic && this.#relay.gate.mayPass(from, to, now)) traffic.messagesFor += 1;
  }

  #sendTo(receiver: Participant, from: number, payload: Uint8Array, now: number): void {
    const { delivery, host } = this.#relay;
    const isHost = receiver.n === host();
    const frame = isHost ? frameForHost(from, payload) : frameForClient(payload);
    receiver.traffic.messagesFor += 1;
    delivery.send(receiver, frame, payload.length, now);
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

/** Whether a payload is small enough for a datagram to the host, or to a client. */
function fitsDatagram(toHost: boolean, payload: Uint8Array): boolean {
  const header = toHost ? HOST_HEADER_BYTES : CLIENT_HEADER_BYTES;
  return header + payload.length <= MAX_DATAGRAM_BYTES;
}
