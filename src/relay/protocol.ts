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

/** What a message of a participant is. */
export type MessageKind =
  | "ping"
  | "data"
  | "broadcast"
  | "promoted"
  | "text"
  | "malformed"
  | "too-large";

/** What a message is that a participant of this side sent. It runs for every frame, and so makes no object. */
export function kindOf(from: Role, message: Uint8Array | string): MessageKind {
  if (typeof message === "string") {
    return from === "client" && message === TEXT_PROMOTED ? "promoted" : "text";
  }
  const size = message.length;
  const type = message[0];
  if (type === PING) return size === 1 ? "ping" : "malformed";
  if (type === BROADCAST && from === "host") {
    return size - BROADCAST_HEADER_BYTES > MAX_PAYLOAD_BYTES ? "too-large" : "broadcast";
  }
  const header = from === "host" ? HOST_HEADER_BYTES : CLIENT_HEADER_BYTES;
  if (type !== DATA || size < header) return "malformed";
  return size - header > MAX_PAYLOAD_BYTES ? "too-large" : "data";
}

/** Where the payload begins in a data frame or a broadcast that a participant of this side sent. */
export function payloadStart(from: Role, frame: Uint8Array): number {
  if (frame[0] === BROADCAST) return BROADCAST_HEADER_BYTES;
  return from === "host" ? HOST_HEADER_BYTES : CLIENT_HEADER_BYTES;
}

/** The connection id to which a data frame of the host goes. */
export function receiverOf(frame: Uint8Array): number {
  return (
    (frame[1] ?? 0) | ((frame[2] ?? 0) << 8) | ((frame[3] ?? 0) << 16) | ((frame[4] ?? 0) << 24)
  );
}

/**
 * The data frame for a client, made of a message that came: its payload begins at `start`. Nothing is copied.
 * What stands before the payload is overwritten, so this is the last that is read of it.
 */
export function frameForClient(message: Uint8Array, start: number): Uint8Array {
  const begin = start - CLIENT_HEADER_BYTES;
  message[begin] = DATA;
  return begin === 0 ? message : message.subarray(begin);
}

/**
 * The data frame for the host, from the client with this connection id. As `frameForClient`, but a message
 * with less room before its payload than the id needs is copied: a client's always.
 */
export function frameForHost(connectionId: number, message: Uint8Array, start: number): Uint8Array {
  const begin = start - HOST_HEADER_BYTES;
  const frame = begin < 0 ? new Uint8Array(message.length - begin) : message.subarray(begin);
  if (begin < 0) frame.set(message, -begin);
  frame[0] = DATA;
  frame[1] = connectionId;
  frame[2] = connectionId >> 8;
  frame[3] = connectionId >> 16;
  frame[4] = connectionId >> 24;
  return frame;
}

/** The answer to a ping. */
export function pongFrame(state: number): Uint8Array {
  return Uint8Array.of(PING, state);
}
