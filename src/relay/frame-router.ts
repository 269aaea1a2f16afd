/**
 * Where the frames of a relay go: from a client to the host, from the host to clients, by websocket or over
 * the trunk of the relay node, and only as far as relay permissions let them. The hub calls it.
 */
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
    sender.traffic.bytesIn += payload.length;
    saveAttachmentInTime(sender, now);
    const receiver = to === sender.n ? undefined : users.ofUser(to);
    const isOnNode = to !== sender.n && !receiver && trunk.users.has(to);
    if (!receiver && !(isOnNode && fitsDatagram(to === host(), payload))) {
      sender.traffic.dropped += 1;
      return;
    }
    if (!gate.mayPass(sender.n, to, now)) {
      this.#block(sender, to, now);
      return;
    }
    if (receiver) this.#sendTo(receiver, sender.n, payload, now);
    else trunk.sendFrame(sender.n, to, payload);
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

  #sendTo(receiver: Participant, from: number, payload: Uint8Array, now: number): void {
    const { delivery, host } = this.#relay;
    const isHost = receiver.n === host();
    const frame = isHost ? frameForHost(from, payload) : frameForClient(payload);
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
