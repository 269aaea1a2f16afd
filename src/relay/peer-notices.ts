/**
 * What a relay's participants are told about each other: who has come, who has gone, who is the host now. The
 * host is told about clients, clients about the host, and the relay node's trunk who is on websockets. The hub
 * calls it.
 */
import type { ConnectedUsers } from "./connected-users";
import type { Delivery } from "./delivery";
import type { NodeTrunk } from "./node-trunk";
import type { Participant } from "./participant";

/** What it reads, and by what it tells. */
interface PeerNoticesParts {
  users: ConnectedUsers;
  trunk: NodeTrunk;
  delivery: Delivery;
  /** The ordinal of the session's host now. */
  host(): number;
}

export class PeerNotices {
  readonly #relay: PeerNoticesParts;

  constructor(relay: PeerNoticesParts) {
    this.#relay = relay;
  }

  /** A participant has connected. */
  joined(participant: Participant): void {
    const { users, trunk, delivery, host } = this.#relay;
    this.sayHere();
    if (participant.n === host()) this.#tellPeers(participant);
    this.#tellOtherSide(participant.n, "joined");
    if (participant.n === host()) return;
    const hostHere = users.ofUser(host());
    const isHostThere = hostHere ? users.isCurrent(hostHere) : trunk.users.has(host());
    if (isHostThere) delivery.tell(participant, { type: "host_joined" });
  }

  /** A user is heard on the relay node from now on. */
  joinedNode(n: number): void {
    this.#tellOtherSide(n, "joined");
  }

  /** A user has gone: from their websocket, or from the relay node. */
  left(n: number): void {
    this.#tellOtherSide(n, "left");
  }

  /**
   * Another user is the host now, and the host before it has no socket any more.
   * @param after the ordinal of the host now
   * @param hadHost whether a host was there until now
   */
  hostChanged(after: number, hadHost: boolean): void {
    const { users, delivery } = this.#relay;
    const promoted = users.ofUser(after);
    if (promoted) delivery.tell(promoted, { type: "promoted" });
    const hasHost = promoted !== undefined && users.isCurrent(promoted);
    for (const other of users.all()) {
      if (other.n === after) continue;
      delivery.tell(other, { type: "host_changed", connection_id: after });
      if (hasHost !== hadHost) {
        delivery.tell(other, { type: hasHost ? "host_joined" : "host_left" });
      }
    }
    if (promoted) this.#tellPeers(promoted);
  }

  /** Tells the relay node who is on websockets. */
  sayHere(): void {
    const { users, trunk } = this.#relay;
    trunk.sayHere([...users.all()].map(({ n }) => n));
  }

  /** Tells the clients on websockets that the host has come or gone, or the host that a client has. */
  #tellOtherSide(n: number, what: "joined" | "left"): void {
    const { users, delivery, host } = this.#relay;
    if (n === host()) {
      for (const other of users.all()) {
        if (other.n !== n) delivery.tell(other, { type: `host_${what}` });
      }
      return;
    }
    const hostHere = users.ofUser(host());
    if (hostHere) delivery.tell(hostHere, { type: `peer_${what}`, connection_id: n });
  }

  /** Tells the host about each client that is there. */
  #tellPeers(host: Participant): void {
    const { users, trunk, delivery } = this.#relay;
    for (const n of trunk.users) delivery.tell(host, { type: "peer_joined", connection_id: n });
    for (const { n } of users.all()) {
      if (n !== host.n) delivery.tell(host, { type: "peer_joined", connection_id: n });
    }
  }
}
