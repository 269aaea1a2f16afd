/**
 * What travels on the websockets of a relay: frames, control messages and close codes. Pure.
 *
 * A binary message is one frame: a datagram of Edgegap's relay protocol without the two token words in
 * front, since a socket is authenticated already. Numbers are little-endian. `03` is our own.
 *
 *     client → relay   02 payload
 *     host   → relay   02 connection id (int32) payload
 *     host   → relay   03 payload                (to every client)
 *     relay  → client  02 payload
 *     relay  → host    02 connection id (int32) payload
 *     either → relay   01                        (ping; answered 01 state)
 *
 * A participant sends two text messages: `ping`, which the platform answers (`TEXT_PING`), and `promoted`,
 * once the relay has told it that it is the host now.
 */

/** The subprotocol with which tokens and refusals travel inside the websocket instead of in HTTP. */
export const SUBPROTOCOL = "drawbridge.v1";

/** The side of a relay on which a participant is: its frames have this side's format. */
export type Role = "host" | "client";

/**
 * What the relay tells a participant about the others, as JSON in a text message. The names are on the wire.
 */
export type ControlMessage =
  /**
   * The participant is in, on this side. The first message of every socket. To a user who was connected before
   * it says how many messages the relay has taken from them since the session began, and how many there were
   * for them: against its own counts the participant sees what was lost.
   */
  | { type: "ready"; connection_id: number; role: Role; received?: number; sent?: number }
  /** To clients: the host has connected, or has gone. */
  | { type: "host_joined" | "host_left" }
  /** To the host: a client has connected, or has gone. */
  | { type: "peer_joined" | "peer_left"; connection_id: number }
  /** To the user who was a client and is the host now. What it gets from here on has the host's format. */
  | { type: "promoted" }
  /** To clients: this user is the host now. */
  | { type: "host_changed"; connection_id: number }
  /** Frames to this client (to the host where there is none) are dropped: relay permissions are missing. */
  | { type: "refused"; connection_id?: number }
  /** The session ends, and the socket is closed. */
  | { type: "ending"; reason: string };

/** Why a socket was closed: application close codes (RFC 6455, section 7.4.2) and 1009. */
export const CLOSE = {
  malformed: 4400,
  /** A wrong or revoked credential, when connecting. */
  wrongCredential: 4401,
  /** The user or the device was revoked while connected. */
  revoked: 4403,
  notFound: 4404,
  dead: 4408,
  replaced: 4409,
  ended: 4410,
  overLimit: 4429,
  tryAgain: 4503,
  tooLarge: 1009,
} as const;

/** What a participant may not send: the close code and the reason that its socket is closed with. */
export const FAULTS = {
  text: {
    code: CLOSE.malformed,
    reason: "text messages are the relay's: send binary frames, or the text ping",
  },
  malformed: { code: CLOSE.malformed, reason: "not a frame of this relay" },
  "too-large": { code: CLOSE.tooLarge, reason: "payload above 64 KB" },
  "over-limit": {
    code: CLOSE.overLimit,
    reason: "more bytes or messages per second than allowed",
  },
  "broadcast-over-limit": {
    code: CLOSE.overLimit,
    reason: "broadcasts: more bytes per second to all clients than allowed",
  },
} as const;

/** The largest payload of a data frame, in bytes. */
export const MAX_PAYLOAD_BYTES = 65_536;

/** The first byte of a frame. */
export const PING = 1;
export const DATA = 2;
export const BROADCAST = 3;
/** The text with which a participant pings, and what the platform answers without waking the object. */
export const TEXT_PING = "ping";
export const TEXT_PONG = "pong";
/** The text with which a client answers the control message `promoted`: its next frame is a host's. */
export const TEXT_PROMOTED = "promoted";
/** What stands before the payload of a data frame of the host, or to it; and of a client, or to one; and of a broadcast. */
export const HOST_HEADER_BYTES = 5;
export const CLIENT_HEADER_BYTES = 1;
const BROADCAST_HEADER_BYTES = 1;

/** What a ping is answered with; the numbers are the vendor's. */
export const RELAY_STATE = {
  disconnected: 0,
  checking: 1,
  valid: 2,
  invalid: 3,
  sessionTimeout: 4,
  error: 5,
} as const;

/** A frame as a participant sent it. `to` is a connection id; null, in a client's frame, is the host. */
export type Frame =
  | { type: "ping" }
  | { type: "data"; to: number | null; payload: Uint8Array }
  | { type: "broadcast"; payload: Uint8Array }
  | { type: "promoted" }
  | { type: "text" }
  | { type: "malformed" }
  | { type: "too-large" };

/** Reads a message that a participant of this side sent. The payload is a view, not a copy. */
export function parseFrame(from: Role, message: ArrayBuffer | string): Frame {
  if (typeof message === "string") {
    return { type: from === "client" && message === TEXT_PROMOTED ? "promoted" : "text" };
  }
  const bytes = new Uint8Array(message);
  if (bytes[0] === PING) return { type: bytes.length === 1 ? "ping" : "malformed" };
  if (bytes[0] === BROADCAST && from === "host") {
    if (bytes.length - BROADCAST_HEADER_BYTES > MAX_PAYLOAD_BYTES) return { type: "too-large" };
    return { type: "broadcast", payload: bytes.subarray(BROADCAST_HEADER_BYTES) };
  }
  const header = from === "host" ? HOST_HEADER_BYTES : CLIENT_HEADER_BYTES;
  if (bytes[0] !== DATA || bytes.length < header) return { type: "malformed" };
  if (bytes.length - header > MAX_PAYLOAD_BYTES) return { type: "too-large" };
  const to = from === "host" ? new DataView(message).getInt32(1, true) : null;
  return { type: "data", to, payload: bytes.subarray(header) };
}

/** A data frame for a client. */
export function frameForClient(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(CLIENT_HEADER_BYTES + payload.length);
  frame[0] = DATA;
  frame.set(payload, CLIENT_HEADER_BYTES);
  return frame;
}

/** A data frame for the host, from the client with this connection id. */
export function frameForHost(connectionId: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HOST_HEADER_BYTES + payload.length);
  frame[0] = DATA;
  new DataView(frame.buffer).setInt32(1, connectionId, true);
  frame.set(payload, HOST_HEADER_BYTES);
  return frame;
}

/** The answer to a ping. */
export function pongFrame(state: number): Uint8Array {
  return Uint8Array.of(PING, state);
}
