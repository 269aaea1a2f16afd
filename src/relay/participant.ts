/** One participant of a relay: their socket, what hibernates with it, and how they are told things. */

import type { Traffic } from "../session/calls";
import type { Pairing } from "../session/devices";
import type { Budget } from "./budget";

/** The ordinal of the host; everyone else is a client, and their ordinal is their connection id. */
export const HOST = 0;

/** A user with an open socket. */
export interface Participant {
  readonly ws: WebSocket;
  readonly n: number;
  /** When this socket connected: of two sockets of one user the later one counts. */
  readonly since: number;
  readonly traffic: Traffic;
  /** What let this socket in, where its user has a device. */
  readonly pairing: Pairing | null;
  /** Users who were told to be out of reach, and have not been within reach since. */
  readonly refused: Set<number>;
  readonly budget: Budget;
  unheard: number;
  savedAt: number;
}

/** What of a participant survives the eviction of the object. */
export interface Attachment {
  n: number;
  since: number;
  traffic: Traffic;
  refused?: readonly number[];
  pairing?: Pairing | null;
  /** We closed it: its close event, which may come after an eviction, tells nobody anything new. */
  closed: boolean;
}

/** A user who has never connected. */
export function noTraffic(): Traffic {
  return { bytesIn: 0, bytesOut: 0, dropped: 0, latitude: null, longitude: null };
}

/** Keeps with the socket what must survive. */
export function save(participant: Participant, now: number): void {
  participant.savedAt = now;
  attach(participant, false);
}

/** Writes the attachment; `closed` once we have closed the socket. */
export function attach(participant: Participant, closed: boolean): void {
  const { ws, n, since, traffic, refused, pairing } = participant;
  const attachment: Attachment = { n, since, traffic, refused: [...refused], pairing, closed };
  ws.serializeAttachment(attachment);
}

/** Sends a control message. */
export function tell(participant: Participant, control: object): void {
  try {
    participant.ws.send(JSON.stringify(control));
  } catch {
    // It closed under us; its close event does the rest.
  }
}

/** Closes a socket that may be closed already; a reason is at most 123 bytes (RFC 6455, 5.5). */
export function closeSocket(ws: WebSocket, code: number, reason: string): void {
  try {
    ws.close(code, reason.slice(0, 120));
  } catch {
    // Already closed.
  }
}
