/** The users of one relay session who have an open socket, and the counters of all who ever had one. */
import { hostOf } from "../session/session";
import type { Traffic } from "../session/session-calls";
import {
  closeSocket,
  markClosed,
  type Participant,
  readAttachment,
  readTraffic,
  SAVE_EVERY_MS,
  type SocketAttachment,
} from "./participant";

/** The host of a session until another user becomes it. */
const FIRST_HOST = hostOf({});

export class ConnectedUsers {
  readonly #byOrdinal = new Map<number, Participant>();
  readonly #bySocket = new Map<WebSocket, Participant>();
  readonly #traffic: Map<number, Traffic>;

  /**
   * @param sockets all hibernatable sockets of the object: after an eviction they are still open
   * @param saved the counters that were stored, by user
   */
  constructor(sockets: readonly WebSocket[], saved: ReadonlyMap<number, Traffic>) {
    this.#traffic = new Map([...saved].map(([n, traffic]) => [n, readTraffic(traffic)]));
    for (const ws of sockets) this.#restore(ws);
  }

  /** How many there are. */
  get size(): number {
    return this.#byOrdinal.size;
  }

  /** The counters of everyone who ever connected, by user. They go on counting. */
  get traffic(): ReadonlyMap<number, Traffic> {
    return this.#traffic;
  }

  /** All of them. One that is removed meanwhile is not visited any more. */
  all(): Iterable<Participant> {
    return this.#byOrdinal.values();
  }

  /** The open socket of a user. */
  ofUser(n: number): Participant | undefined {
    return this.#byOrdinal.get(n);
  }

  /** Whose socket this is or was, if it has not been forgotten. */
  ofSocket(ws: WebSocket): Participant | undefined {
    return this.#bySocket.get(ws);
  }

  /** Whether this is the open socket of its user: not closed by us, and not replaced. */
  isCurrent(participant: Participant): boolean {
    return this.#byOrdinal.get(participant.n) === participant;
  }

  /** Whether this user is or was connected from this address, as limits count it. */
  hasConnectedFrom(n: number, address: string): boolean {
    const traffic = this.#byOrdinal.get(n)?.traffic ?? this.#traffic.get(n);
    return traffic?.addresses.includes(address) ?? false;
  }

  /** Adds a socket, in the place of another one of the same user. */
  add(ws: WebSocket, attached: SocketAttachment, now: number): Participant {
    const { n, since, traffic, pairing = null } = attached;
    const { speaksAs = n === FIRST_HOST ? "host" : "client", heardAt = now } = attached;
    const participant: Participant = {
      ...{ ws, n, since, traffic, pairing, speaksAs, heardAt },
      blockedPeers: new Set(attached.refused),
      unheard: 0,
      pingCounted: null,
      savedAt: now,
    };
    this.#byOrdinal.set(n, participant);
    this.#bySocket.set(ws, participant);
    this.#traffic.set(n, traffic);
    return participant;
  }

  /** Removes a user. Their socket is still known: what it sends can be charged to them. */
  removeUser(n: number): void {
    this.#byOrdinal.delete(n);
  }

  /** Closes the socket of a user, and removes them. */
  close(participant: Participant, code: number, reason: string): void {
    this.removeUser(participant.n);
    markClosed(participant);
    closeSocket(participant.ws, code, reason);
  }

  /** Forgets the counters of somebody who is no user of the session any more. */
  forgetTraffic(n: number): void {
    this.#traffic.delete(n);
  }

  /** Removes all users. */
  removeAll(): void {
    this.#byOrdinal.clear();
  }

  /** Forgets a socket that has closed. */
  forgetSocket(ws: WebSocket): void {
    this.#bySocket.delete(ws);
  }

  #restore(ws: WebSocket): void {
    const attached = readAttachment(ws);
    if (!attached) return;
    const other = this.#byOrdinal.get(attached.n);
    if (other && other.since > attached.since) return;
    // What was stored when another socket closed may be newer than what this one carries.
    const saved = this.#traffic.get(attached.n);
    const carried = readTraffic(attached.traffic);
    const traffic = saved && bytesOf(saved) > bytesOf(carried) ? saved : carried;
    this.#traffic.set(attached.n, traffic);
    if (attached.closed || ws.readyState !== WebSocket.OPEN) return;
    // It may have been heard as much later than it says.
    const heardAt = (attached.heardAt ?? attached.since) + SAVE_EVERY_MS;
    this.add(ws, { ...attached, traffic, heardAt }, attached.since);
  }
}

function bytesOf({ bytesIn, bytesOut }: Traffic): number {
  return bytesIn + bytesOut;
}
