/**
 * What travels on a trunk: the websocket between a relay node and the object of one session. It is open
 * while the session has users on both sides. The node program imports this file, too. Pure.
 */

/** The most bytes of a datagram that a native receiver is sent, the relay's header (1 or 5 bytes) included. */
export const MAX_DATAGRAM_BYTES = 1_472;

/** What stands before the payload of a frame. */
export const TRUNK_HEADER_BYTES = 9;
const DATA = 2;

/**
 * A binary message, little-endian: the sender (int32), the receiver (int32), `02`, the payload. One of the
 * two is the host, 0. The sender's side has checked permissions and limits.
 */
export function trunkFrame(from: number, to: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(TRUNK_HEADER_BYTES + payload.length);
  const view = new DataView(frame.buffer);
  view.setInt32(0, from, true);
  view.setInt32(4, to, true);
  frame[8] = DATA;
  frame.set(payload, TRUNK_HEADER_BYTES);
  return frame;
}

/** Reads a binary message; the payload is a view. Null: it is no frame, to be ignored. */
export function parseTrunkFrame(
  bytes: Uint8Array,
): { from: number; to: number; payload: Uint8Array } | null {
  if (bytes.length < TRUNK_HEADER_BYTES || bytes[8] !== DATA) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const payload = bytes.subarray(TRUNK_HEADER_BYTES);
  return { from: view.getInt32(0, true), to: view.getInt32(4, true), payload };
}

/**
 * A text message, in both directions: the users who are on the sender's side now. The session's object
 * says it first, as soon as the trunk is open; the node answers with its own. Both say it again when it
 * changes. A user who is new in it was heard there last: the other side lets go of them. (A node lets go
 * of a user by forgetting its address. With its next datagram, the user is on the node again.)
 */
export interface TrunkMessage {
  type: "here";
  users: number[];
}

/** Reads a text message. Null: it is of an unknown type, or malformed, and to be ignored. */
export function parseTrunkMessage(text: string): TrunkMessage | null {
  try {
    const value: unknown = JSON.parse(text);
    const { type, users } = value as Partial<TrunkMessage>;
    if (type !== "here" || !Array.isArray(users)) return null;
    return users.every((n) => Number.isInteger(n) && n >= 0) ? { type, users } : null;
  } catch {
    return null;
  }
}
