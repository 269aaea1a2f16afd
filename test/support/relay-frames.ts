/** Frames of the relay as values: read and made by the relay's own functions, which make no objects. */
import * as relay from "../../src/relay/protocol";

/** A message as a participant sent it. `to` is a connection id; null, in a client's frame, is the host. */
export type Frame =
  | { type: "data"; to: number | null; payload: Uint8Array }
  | { type: "broadcast"; payload: Uint8Array }
  | { type: Exclude<relay.MessageKind, "data" | "broadcast"> };

/** Reads a message that a participant of this side sent. */
export function parseFrame(from: relay.Role, message: ArrayBuffer | string): Frame {
  if (typeof message === "string") return { type: relay.kindOf(from, message) } as Frame;
  const bytes = new Uint8Array(message);
  const type = relay.kindOf(from, bytes);
  if (type !== "data" && type !== "broadcast") return { type };
  const payload = bytes.subarray(relay.payloadStart(from, bytes));
  if (type === "broadcast") return { type, payload };
  return { type, to: from === "host" ? relay.receiverOf(bytes) : null, payload };
}

/** A message with so many bytes before this payload. */
export function messageWith(start: number, payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(start + payload.length).fill(0xee, 0, start);
  message.set(payload, start);
  return message;
}

/** The data frame with this payload for a client. */
export function frameForClient(payload: Uint8Array): Uint8Array {
  return relay.frameForClient(messageWith(relay.CLIENT_HEADER_BYTES, payload), 1);
}

/** The data frame with this payload for the host, from this client. */
export function frameForHost(connectionId: number, payload: Uint8Array): Uint8Array {
  return relay.frameForHost(connectionId, messageWith(relay.CLIENT_HEADER_BYTES, payload), 1);
}
