/** `drawbridge-client/relay`: connections to relay sessions, for hosts and for those who join. */
import { BYTES, type Codec, JSON_CODEC } from "./relay/codec.js";
import { openConnection, type RelayConnection } from "./relay/connection.js";
import { postOnce } from "./relay/http.js";
import type { RelayCredentials } from "./relay/socket.js";

export type { Codec } from "./relay/codec.js";
export { RelayConnection, type RelayState } from "./relay/connection.js";
export { RelayError } from "./relay/error.js";
export type { RelayEvent, RelayEvents } from "./relay/events.js";
export type { RelayCredentials } from "./relay/socket.js";

/** What every connection may be made with. */
export interface ConnectionOptions {
  /** How many messages are kept while the connection is away, and sent afterwards; 0 unless set. */
  bufferWhileAway?: number;
  /** How long the calls and the first connection may take in all, in milliseconds; 15,000 unless set. */
  timeoutMs?: number;
}

/** What a message is made of: bytes unless set. Both ends have to set the same. */
export interface WithCodec<Value> {
  codec: "json" | Codec<Value>;
}

/** Bytes go as they are. */
export interface WithoutCodec {
  codec?: undefined;
}

/** A new session, with this participant as its host. */
export interface HostOptions extends ConnectionOptions {
  /** Where the service is, such as `https://relay.example.com`. */
  url: string;
  /** An API key that may host: a publishable one, with the permission `relays:host` alone. */
  key: string;
  /** How many users the session may have. */
  maxUsers?: number;
  /** Kept with the session, as it is. */
  metadata?: unknown;
  /** The code of the region where the session runs. */
  region?: string;
  /** How long the session lives at most, in seconds. */
  ttlSeconds?: number;
}

/** A session that somebody else has made, and its code. */
export interface JoinOptions extends ConnectionOptions {
  /** Where the service is, such as `https://relay.example.com`. */
  url: string;
  /** The session's join code, as the player typed it. */
  code: string;
}

/** A participant whose tokens are known. */
export interface ConnectOptions extends ConnectionOptions, RelayCredentials {}

const DEFAULT_TIMEOUT_MS = 15_000;

interface Ticket {
  link: string;
  session_token: number;
  user_token: number;
  join_code?: string;
}

/**
 * Makes a session, and connects as its host. Others join with the connection's `joinCode`.
 * @throws RelayError if it is refused or cannot be reached
 */
export function hostRelay(options: HostOptions & WithoutCodec): Promise<RelayConnection>;
export function hostRelay<Value = unknown>(
  options: HostOptions & WithCodec<Value>,
): Promise<RelayConnection<Value, Value>>;
export async function hostRelay(options: HostOptions & AnyCodec): Promise<unknown> {
  const { url, key, maxUsers, metadata, region, ttlSeconds } = options;
  const body = { max_users: maxUsers, metadata, region, ttl_seconds: ttlSeconds };
  return enter(options, at(url, "/v1/relays/host"), body, key);
}

/**
 * Joins a session with its code, and connects.
 * @throws RelayError if it is refused or cannot be reached
 */
export function joinRelay(options: JoinOptions & WithoutCodec): Promise<RelayConnection>;
export function joinRelay<Value = unknown>(
  options: JoinOptions & WithCodec<Value>,
): Promise<RelayConnection<Value, Value>>;
export async function joinRelay(options: JoinOptions & AnyCodec): Promise<unknown> {
  return enter(options, at(options.url, "/v1/relays/join"), { join_code: options.code });
}

/**
 * Connects a participant whose tokens are known.
 * @throws RelayError if it is refused or cannot be reached
 */
export function connectRelay(options: ConnectOptions & WithoutCodec): Promise<RelayConnection>;
export function connectRelay<Value = unknown>(
  options: ConnectOptions & WithCodec<Value>,
): Promise<RelayConnection<Value, Value>>;
export async function connectRelay(options: ConnectOptions & AnyCodec): Promise<unknown> {
  const { link, sessionToken, userToken, deviceToken } = options;
  return open(options, { link, sessionToken, userToken, deviceToken }, null);
}

type AnyCodec = WithoutCodec | WithCodec<unknown>;

async function enter(
  options: ConnectionOptions & AnyCodec,
  url: string,
  body: unknown,
  key?: string,
): Promise<unknown> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const start = performance.now();
  const ticket = await postOnce<Ticket>(url, body, { key, timeoutMs });
  const { link, session_token, user_token, join_code = null } = ticket;
  const left = Math.max(timeoutMs - (performance.now() - start), 1);
  const credentials = { link, sessionToken: session_token, userToken: user_token };
  return open({ ...options, timeoutMs: left }, credentials, join_code);
}

function open(
  options: ConnectionOptions & AnyCodec,
  credentials: RelayCredentials,
  joinCode: string | null,
): Promise<unknown> {
  const { codec = BYTES, bufferWhileAway = 0, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  return openConnection({
    credentials,
    codec: codec === "json" ? JSON_CODEC : (codec as Codec<unknown>),
    joinCode,
    bufferWhileAway,
    timeoutMs,
  });
}

function at(url: string, path: string): string {
  return url.replace(/\/+$/, "") + path;
}
