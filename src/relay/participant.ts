/** One participant of a relay: their socket, what hibernates with it, and how they are told things. */

import type { DevicePairing } from "../session/device-revocation";
import type { Traffic } from "../session/session-calls";

/** The ordinal of the host; everyone else is a client, and their ordinal is their connection id. */
export const HOST = 0;

/** How stale an attachment's counters may get: this much of the traffic figures an eviction may lose. */
const SAVE_EVERY_MS = 5_000;
/** Addresses remembered of one user: who was connected from one of them may come back from there. */
const MOST_ADDRESSES = 4;

/** Where a socket connects from. */
export interface ConnectsFrom {
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
  /** Users who were told to be out of reach, and have not been within reach since. */
  readonly refused: Set<number>;
  unheard: number;
  savedAt: number;
}

/** What of a participant survives the eviction of the object. */
export interface Attachment {
  n: number;
  since: number;
  traffic: Traffic;
  refused?: readonly number[];
  pairing?: DevicePairing | null;
  /** We closed it: its close event, which may come after an eviction, tells nobody anything new. */
  closed: boolean;
}

/** The figures of a user who connects; `before` are those of their earlier sockets. */
export function trafficFrom(before: Traffic | undefined, from: ConnectsFrom): Traffic {
  const { address, ...place } = from;
  const others = before?.addresses.filter((other) => other !== address) ?? [];
  const addresses = [...others, address].slice(-MOST_ADDRESSES);
  return { bytesIn: 0, bytesOut: 0, dropped: 0, ...before, ...place, addresses };
}

/** Keeps with the socket what must survive. */
export function save(participant: Participant, now: number): void {
  participant.savedAt = now;
  attach(participant, false);
}

/** As `save`, unless that was done a moment ago: it runs for every frame. */
export function saveInTime(participant: Participant, now: number): void {
  if (now - participant.savedAt >= SAVE_EVERY_MS) save(participant, now);
}

/** What was kept with a socket; null: nothing, it is not a participant's. */
export function attachmentOf(ws: WebSocket): Attachment | null {
  return ws.deserializeAttachment();
}

/** Writes the attachment; `closed` once we have closed the socket. */
export function attach(participant: Participant, closed: boolean): void {
  const { ws, n, since, traffic, refused, pairing } = participant;
  const attachment: Attachment = { n, since, traffic, refused: [...refused], pairing, closed };
  ws.serializeAttachment(attachment);
}

/** Closes a socket that may be closed already; a reason is at most 123 bytes (RFC 6455, 5.5). */
export function closeSocket(ws: WebSocket, code: number, reason: string): void {
  try {
    ws.close(code, reason.slice(0, 120));
  } catch {
    // Already closed.
  }
}
