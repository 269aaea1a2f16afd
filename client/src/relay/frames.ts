/** The frames of the relay protocol, as docs/relay-protocol.md describes them. Pure. */

const DATA = 2;
const BROADCAST = 3;
/** The type and a connection id (int32, little-endian). */
const HOST_HEADER_BYTES = 5;

/** The subprotocol, and the largest payload in bytes, that this client and the relay agree on. */
export const SUBPROTOCOL = "drawbridge.v1";
export const MAX_PAYLOAD_BYTES = 65_536;

/** For whom a message is: the client with this connection id, all clients, or (from a client) the host. */
export type Receiver = number | "all" | "host";

/** A message as it goes to the relay. It is a copy of the payload. */
export function frameFor(receiver: Receiver, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const header = typeof receiver === "number" ? HOST_HEADER_BYTES : 1;
  const frame = new Uint8Array(header + payload.length);
  frame[0] = receiver === "all" ? BROADCAST : DATA;
  if (typeof receiver === "number") new DataView(frame.buffer).setInt32(1, receiver, true);
  frame.set(payload, header);
  return frame;
}

/**
 * Reads a frame that came. The payload is a view, not a copy.
 * @param toHost whether it came to the host: then it says from which client it is
 * @returns null if it is no message, such as the answer to a ping
 */
export function readFrame(
  bytes: Uint8Array,
  toHost: boolean,
): { from: number | null; payload: Uint8Array } | null {
  if (bytes[0] !== DATA || (toHost && bytes.length < HOST_HEADER_BYTES)) return null;
  if (!toHost) return { from: null, payload: bytes.subarray(1) };
  const from = new DataView(bytes.buffer, bytes.byteOffset).getInt32(1, true);
  return { from, payload: bytes.subarray(HOST_HEADER_BYTES) };
}
