/** `drawbridge-client/relay`: connections to relay sessions, for hosts and for those who join. */
import { type Codec, codecOf } from "./relay/codec.js";
import { openConnection, type RelayConnection } from "./relay/connection.js";
import { RelayError } from "./relay/error.js";
import { postOnce } from "./relay/http.js";
import type { RelayCredentials } from "./relay/socket.js";
import { serviceUrl } from "./service-url.js";

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
 * @throws TypeError before any call, if an option cannot be right
 */
export function hostRelay(options: HostOptions & WithoutCodec): Promise<RelayConnection>;
export function hostRelay<Value = unknown>(
  options: HostOptions & WithCodec<Value>,
): Promise<RelayConnection<Value, Value>>;
export async function hostRelay(options: HostOptions & AnyCodec): Promise<unknown> {
  const { key, maxUsers, metadata, region, ttlSeconds } = options;
  const body = { max_users: maxUsers, metadata, region, ttl_seconds: ttlSeconds };
  return enter(options, "/v1/relays/host", body, key);
}

/**
 * Joins a session with its code, and connects.
 * @throws RelayError if it is refused or cannot be reached
 * @throws TypeError before any call, if an option cannot be right
 */
export function joinRelay(options: JoinOptions & WithoutCodec): Promise<RelayConnection>;
export function joinRelay<Value = unknown>(
  options: JoinOptions & WithCodec<Value>,
): Promise<RelayConnection<Value, Value>>;
export async function joinRelay(options: JoinOptions & AnyCodec): Promise<unknown> {
  return enter(options, "/v1/relays/join", { join_code: options.code });
}

/**
 * Connects a participant whose tokens are known.
 * @throws RelayError if it is refused or cannot be reached
 * @throws TypeError if an option cannot be right
 */
export function connectRelay(options: ConnectOptions & WithoutCodec): Promise<RelayConnection>;
export function connectRelay<Value = unknown>(
  options: ConnectOptions & WithCodec<Value>,
): Promise<RelayConnection<Value, Value>>;
export async function connectRelay(options: ConnectOptions & AnyCodec): Promise<unknown> {
  const { link, sessionToken, userToken, deviceToken } = options;
  const credentials = { link, sessionToken, userToken, deviceToken };
  return openConnection({ ...setupOf(options), credentials, joinCode: null });
}

type AnyCodec = WithoutCodec | WithCodec<unknown>;

async function enter(
  options: ConnectionOptions & AnyCodec & { url: string; code?: string },
  path: string,
  body: unknown,
  key?: string,
): Promise<unknown> {
  const url = serviceUrl(options.url) + path;
  const setup = setupOf(options);
  const { timeoutMs } = setup;
  const start = performance.now();
  const ticket = await postOnce<Ticket>(url, body, { key, timeoutMs });
  const { link, session_token, user_token, join_code } = ticket;
  return openConnection({
    ...setup,
    timeoutMs: Math.max(timeoutMs - (performance.now() - start), 1),
    credentials: { link, sessionToken: session_token, userToken: user_token },
    joinCode: join_code ?? asShown(options.code ?? ""),
  });
}

/** What a connection needs of the options. Before any call is made, it throws if none can come of them. */
function setupOf({
  codec,
  bufferWhileAway = 0,
  timeoutMs = DEFAULT_TIMEOUT_MS,
}: ConnectionOptions & AnyCodec) {
  const setup = { codec: codecOf(codec), bufferWhileAway, timeoutMs };
  if (globalThis.WebSocket) return setup;
  throw new RelayError("there is no WebSocket here: Node 22 or newer has one");
}

/** A code that was typed, as the service shows it. */
function asShown(code: string): string {
  return code.replace(/[\s-]/g, "").toUpperCase().replace(/^.{4}/, "$&-");
}
