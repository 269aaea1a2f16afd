/**
 * One participant of a relay: a user with an open socket, and what is kept with that socket while the
 * session's object hibernates. The hub uses it.
 */

import type { DevicePairing } from "../session/device-revocation";
import type { Traffic } from "../session/session-calls";
import type { Role } from "./protocol";

/** What changes with every frame is kept with a socket at most this often: an eviction may lose as much of it. */
export const SAVE_EVERY_MS = 5_000;
/** Addresses remembered of one user: a user who was connected from one may come back from there. */
const MAX_ADDRESSES = 4;

/** Where a socket comes from. */
export interface SocketOrigin {
  /** As limits count it: `addressBucket`. */
  address: string;
  /** Cloudflare's view of it; null: not known. */
  latitude: number | null;
  longitude: number | null;
}

/** A user with an open socket. */
export interface Participant {
  readonly ws: WebSocket;
  readonly n: number;
  /** When this socket connected: of two sockets of one user the later one counts. */
  readonly since: number;
  readonly traffic: Traffic;
  /** What let this socket in, where its user has a device. */
  readonly pairing: DevicePairing | null;
  /** Peers about whom this participant already got `refused`. */
  readonly blockedPeers: Set<number>;
  /**
   * As which side what it sends is read. A client that was made the host is read as a client's until it has
   * answered `promoted`, so that no frame is read in the wrong format.
   */
  speaksAs: Role;
  /** Bytes that were sent to this socket since it was last heard. */
  unheard: number;
  /** The text ping that `unheard` has taken into account last: its time, Unix milliseconds; null: none. */
  pingCounted: number | null;
  /** When its last message was handled, Unix milliseconds. Text pings do not come here. */
  heardAt: number;
  savedAt: number;
}

/** What of a participant is kept with its socket, and so survives the eviction of the object. */
export interface SocketAttachment {
  n: number;
  since: number;
  traffic: Traffic;
  /** `blockedPeers`. The stored name stays: a deploy must not lose open sockets. */
  refused?: readonly number[];
  pairing?: DevicePairing | null;
  /** Absent in what an earlier version has kept: user 0 was the host then. */
  speaksAs?: Role;
  /** Absent in what an earlier version has kept. */
  heardAt?: number;
  /** We closed it: its close event, which may come after an eviction, tells nobody anything new. */
  closed: boolean;
}

/** The counters of a user who has sent and was sent nothing. */
export const NO_COUNTS = { bytesIn: 0, bytesOut: 0, messagesIn: 0, messagesFor: 0, dropped: 0 };

/** Counters as they were stored: an earlier version did not count messages. */
export function readTraffic(stored: Traffic): Traffic {
  return { ...NO_COUNTS, ...stored };
}

/** The counters of a user who connects; `before` are those of their earlier sockets. */
export function trafficOnConnect(before: Traffic | undefined, origin: SocketOrigin): Traffic {
  const { address, ...coordinates } = origin;
  const others = before?.addresses.filter((other) => other !== address) ?? [];
  const addresses = [...others, address].slice(-MAX_ADDRESSES);
  return { ...NO_COUNTS, ...before, ...coordinates, addresses };
}

/** Keeps with the socket what must survive. */
export function saveAttachment(participant: Participant, now: number): void {
  participant.savedAt = now;
  writeAttachment(participant, { closed: false });
}

/** As `saveAttachment`, unless that was done a moment ago: it runs for every frame. */
export function saveAttachmentInTime(participant: Participant, now: number): void {
  if (now - participant.savedAt >= SAVE_EVERY_MS) saveAttachment(participant, now);
}

/** What was kept with a socket; null: nothing, it is not a participant's. */
export function readAttachment(ws: WebSocket): SocketAttachment | null {
  return ws.deserializeAttachment();
}

/** Marks with the socket that we have closed it. */
export function markClosed(participant: Participant): void {
  writeAttachment(participant, { closed: true });
}

function writeAttachment(participant: Participant, { closed }: { closed: boolean }): void {
  const { ws, n, since, traffic, blockedPeers, pairing, speaksAs, heardAt } = participant;
  const refused = [...blockedPeers];
  const kept = { n, since, traffic, refused, pairing, speaksAs, heardAt, closed };
  ws.serializeAttachment(kept satisfies SocketAttachment);
}

/** Closes a socket that may be closed already; a reason is at most 123 bytes (RFC 6455, 5.5). */
export function closeSocket(ws: WebSocket, code: number, reason: string): void {
  try {
    ws.close(code, reason.slice(0, 120));
  } catch {
    // Already closed.
  }
}
