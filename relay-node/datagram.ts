/**
 * The datagrams of a relay node, as Edgegap's relay has them. Pure.
 *
 * To the relay: user token (uint32), session token (uint32), a type, and what follows it. From the relay:
 * the same without the tokens. Numbers are little-endian. The port on which a datagram comes decides
 * whether it is the host's or a client's.
 */

import {
  CLIENT_HEADER_BYTES,
  DATA,
  HOST_HEADER_BYTES,
  PING,
  RELAY_STATE,
} from "../src/relay/protocol";
import { FIRST_HOST } from "../src/session/session";

/** Two tokens of four bytes. */
export const TOKENS_BYTES = 8;
const PING_BYTES = TOKENS_BYTES + 1;
/** What stands before the payload of a client's data. */
export const CLIENT_DATA_BYTES = TOKENS_BYTES + CLIENT_HEADER_BYTES;
/** What stands before the payload of a host's data. */
export const HOST_DATA_BYTES = TOKENS_BYTES + HOST_HEADER_BYTES;

/** Which of the two ports a datagram came to: `server` is the host's, `client` everyone else's. */
export type Role = "server" | "client";

/** The role of a user with this ordinal. */
export function roleOf(n: number): Role {
  return n === FIRST_HOST ? "server" : "client";
}

/** Whether these bytes are a ping or data of somebody in this role, whatever their tokens. */
export function datagramType(role: Role, bytes: Buffer): typeof PING | typeof DATA | null {
  const type = bytes[TOKENS_BYTES];
  if (type === PING) return bytes.length === PING_BYTES ? PING : null;
  if (type !== DATA) return null;
  return role === "client" || bytes.length >= HOST_DATA_BYTES ? DATA : null;
}

/**
 * Turns a client's data into what its host gets, in place. It begins at the returned offset.
 * @param n the client's connection id
 */
export function rewriteForHost(bytes: Buffer, n: number): number {
  const start = CLIENT_DATA_BYTES - HOST_HEADER_BYTES;
  bytes[start] = DATA;
  writeNumber(bytes, start + 1, n);
  return start;
}

/** Turns a host's data into what the client gets, in place. It begins at the returned offset. */
export function rewriteForClient(bytes: Buffer): number {
  const start = HOST_DATA_BYTES - CLIENT_HEADER_BYTES;
  bytes[start] = DATA;
  return start;
}

const pongs = new Map(Object.values(RELAY_STATE).map((state) => [state, Buffer.of(PING, state)]));

/** The answer to a ping. The bytes are shared: they must not be changed. */
export function pongOf(state: (typeof RELAY_STATE)[keyof typeof RELAY_STATE]): Buffer {
  return pongs.get(state) as Buffer;
}

/**
 * A token, or a connection id, of a datagram that is long enough. Signed: no token has 32 bits, and a small
 * integer is found faster. (`readInt32LE` checks what is known here.)
 */
export function readNumber(bytes: Buffer, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function writeNumber(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >> 8;
  bytes[at + 2] = value >> 16;
  bytes[at + 3] = value >> 24;
}
