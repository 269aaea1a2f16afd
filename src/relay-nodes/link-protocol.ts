/**
 * What travels between a relay node and Drawbridge. Pure. The node program imports this file, too.
 *
 * **The link** is one websocket for each node: `GET /v1/relay-nodes/link` with
 * `Authorization: Bearer drbn_…`. The node dials. It carries JSON text messages, each with a `type`. Its
 * names are on the wire.
 *
 *     node                                 Drawbridge
 *     hello                            →
 *                                      ←   welcome, or refused and a close
 *                                      ←   assign {ref, session}      for each session that is on the node
 *     done {ref}, or failed {ref}      →
 *                                      ←   end {ref, id}
 *     done {ref}                       →
 *     ping (LINK_PING)                 →   every `ping_seconds`
 *                                      ←   pong (LINK_PONG), from the platform: the node's object sleeps
 *
 * - `assign` says the whole state of a session. The first makes the session known to the node; a later one
 *   replaces what the node knew: users who are not in it any more are let go before `done` is sent, and
 *   users who are still in it (the same `n` and `token`) keep their address and their counters.
 * - Every message with a `ref` is answered with `done`, `failed` or the answer of the same type, with that
 *   `ref`. A node answers messages in the order in which they came. Drawbridge closes the link of a node
 *   that does not answer in time: after it is back it gets everything again.
 * - What a node carries and is not assigned after `hello` is ended with `end`.
 * - Unknown types, and unknown fields, are ignored on both sides. So old nodes and new Workers can work
 *   together. What cannot is refused with `refused`.
 *
 * **Blind.** A node that has not heard from Drawbridge for `blind_seconds` passes no datagram any more,
 * until it is welcomed again. It counts from the moment at which it *sent* the newest ping that was
 * answered (or its `hello`): only so is the bound true that Drawbridge gives its callers.
 *
 * **A trunk** is one more websocket, for one session: `trunkPath(id)` with the same credential. The node
 * opens it while the session has `trunk: true` (somebody is on a websocket) *and* the node hears one of its
 * users; it closes it when either ends. `src/relay/trunk.ts` has what travels on it.
 */
import * as z from "zod";

/** The version of the protocol. A node and a Worker with different ones do not understand each other. */
export const LINK_PROTOCOL = 1;

/** Where a node opens its link. */
export const LINK_PATH = "/v1/relay-nodes/link";

/**
 * The header with which a node says its id (`node_id` of `welcome`) when it dials again: so its object can
 * take the link while D1, which knows whose a token is, is down.
 */
export const NODE_ID_HEADER = "Drawbridge-Node-Id";

/** Where a node opens the trunk of a session. */
export function trunkPath(sessionId: string): string {
  return `/v1/relay-nodes/trunks/${sessionId}`;
}

/** What a node sends to be answered with `LINK_PONG`. To the byte: the platform compares the text. */
export const LINK_PING = '{"type":"ping"}';
export const LINK_PONG = '{"type":"pong"}';

/** The most sessions that `hello` names, and so the most that a node may carry. */
export const MAX_NODE_SESSIONS = 100_000;

/** How often a node sends `LINK_PING`, in seconds. */
export const PING_SECONDS = 10;
/** After so many seconds without hearing from Drawbridge, a node passes nothing more. */
export const BLIND_SECONDS = 30;
/** Permissions that are older than this, in milliseconds, are void: no frame between `gated` users passes. */
export const PERMISSIONS_MAX_AGE_MS = 30_000;
/** From this age on, in milliseconds, a node asks for permissions again, if there is traffic that needs them. */
export const PERMISSIONS_REFRESH_MS = 20_000;

/** With which codes Drawbridge closes a link or a trunk. The reason of the close is for people. */
export const LINK_CLOSE = {
  /** What was sent is not of this protocol. */
  malformed: 4400,
  /** The token does not work any more. Do not come back with it; on a trunk: it is refused with 401 then. */
  tokenRevoked: 4401,
  /** Another process has linked with the same token. Do not come back: it would be replaced in turn. */
  replaced: 4409,
  /** The node was deleted; on a trunk: the session is not on this node. Do not come back. */
  removed: 4410,
  /** The node is too old, or too new. Do not come back before it was updated. */
  wrongProtocol: 4426,
  /** Drawbridge was not answered in time, or did not hear from the node. Come back. */
  unanswered: 4408,
} as const;

const ordinal = z.int().min(0).max(0x7fff_ffff);
const token = z.int().min(1).max(0x7fff_ffff);
const count = z.number().min(0);
const port = z.int().min(1).max(65_535);
const ref = z.string().min(1).max(64);
/** The id of a session, such as `0378bc592661-S`. */
const id = z.string().min(1).max(64);

const permissions = z.object({
  /** The clients to whom the host may send. */
  to_clients: z.array(ordinal),
  /** The clients who may send to the host. */
  to_host: z.array(ordinal),
  /** How old they are when they are sent, in milliseconds. */
  age_ms: count,
});

const assignedSession = z.object({
  id,
  /** The session's token. Two sessions of a node may have the same: the pair of tokens is the key. */
  token,
  /** Said of it with `silent` when nobody was heard for so long, and again every quarter of it. */
  idle_seconds: z.number().positive(),
  /**
   * When it ends at the latest, Unix milliseconds. `end` comes then, and 30 s later a node without a link is
   * blind. So our node does not use this: the clock of its machine may be wrong.
   */
  expires_at: z.number(),
  users: z.array(
    z.object({
      /** The connection id. The user with 0 is the host: it uses the server port, all others the client port. */
      n: ordinal,
      token,
      /** Whether frames between this user and another `gated` one need a permission. */
      gated: z.boolean(),
    }),
  ),
  /** Null: not known now. They matter between `gated` users only. */
  permissions: permissions.nullable(),
  /** Whether somebody of it is on a websocket: the node opens a trunk while it hears somebody too. */
  trunk: z.boolean(),
});

/** A session as a node is told of it. */
export type AssignedSession = z.output<typeof assignedSession>;
/** Relay permissions of a session, as a node is told of them. */
export type LinkPermissions = z.output<typeof permissions>;

const userFigures = z.object({
  n: ordinal,
  /** Whether it was heard in the last 10 seconds. */
  connected: z.boolean(),
  /** Bytes of payload that came from it, and went to it. */
  bytes_in: count,
  bytes_out: count,
  /** Datagrams from it that were not passed on. */
  dropped: count,
});
/** What a node has counted of one user. */
export type UserFigures = z.output<typeof userFigures>;

const loadFigures = {
  sessions: count,
  /** Users who were heard in the last 10 seconds. */
  users: count,
  /** A second, of the last ten seconds: received, and dropped of these. */
  datagrams_per_second: count,
  bytes_per_second: count,
  dropped_per_second: count,
};

/** The messages that a node sends. */
const fromNode = {
  /** The first message of a link. */
  hello: z.object({
    type: z.literal("hello"),
    protocol: z.int(),
    /** Of the node program. */
    version: z.string().max(64),
    /** Where players reach it: a name or an address. */
    host: z.string().min(1).max(253),
    /** Its address; null: the host is a name, and the node does not know. */
    ip: z.string().max(45).nullish(),
    ports: z.object({ server: port, client: port }),
    /** How many sessions it takes; null: as many as Drawbridge was told when the node was made. */
    capacity: z.int().min(1).nullish(),
    /** Whether it takes no new sessions. */
    draining: z.boolean().nullish(),
    /** The sessions that it still carries, after a link was lost. */
    sessions: z.array(id).max(MAX_NODE_SESSIONS),
  }),
  /** `assign`, `end` or `permissions` is done. */
  done: z.object({ type: z.literal("done"), ref }),
  /**
   * It is not done. `assign`: "full", "draining". `figures`, `permissions`: "unknown-session". Others may
   * come.
   */
  failed: z.object({ type: z.literal("failed"), ref, code: z.string().max(64) }),
  /** The answer to `figures`. Users who were never heard may be left out. */
  figures: z.object({ type: z.literal("figures"), ref, users: z.array(userFigures).max(1_000) }),
  /** Nobody of this session was heard for `idle_seconds`. */
  silent: z.object({ type: z.literal("silent"), id }),
  /** Asks for the permissions of a session again. Answered with `permissions`. */
  permissions: z.object({ type: z.literal("permissions"), id }),
  /** It takes no new sessions from now on. */
  draining: z.object({ type: z.literal("draining") }),
  /** It ends now. What it still carries is lost at once. */
  leaving: z.object({ type: z.literal("leaving") }),
  /**
   * The answer to `load`, with its `ref`. Without one: a figure has come into another class
   * (`loadClass`). That is said behind the answer to `assign` or `end`, when Drawbridge is awake anyway,
   * and once a minute at most: while people play, nothing is said.
   */
  load: z.object({ type: z.literal("load"), ref: ref.nullish(), ...loadFigures }),
};

/** The messages that Drawbridge sends. */
const toNode = {
  welcome: z.object({
    type: z.literal("welcome"),
    protocol: z.int(),
    node_id: z.string(),
    ping_seconds: z.number().positive(),
    blind_seconds: z.number().positive(),
    /** What one user may send; a rate of 0 switches it off. A host's are multiplied by its connected clients. */
    limits: z.object({
      bytes_per_second: count,
      burst_bytes: count,
      messages_per_second: count,
      burst_messages: count,
    }),
    /** Whether Drawbridge gives it no new sessions: it was told so with `drain`, or said so itself. */
    draining: z.boolean(),
  }),
  /** The link is closed next. The message says what to do, the code is stable. */
  refused: z.object({ type: z.literal("refused"), code: z.string(), message: z.string() }),
  assign: z.object({ type: z.literal("assign"), ref, session: assignedSession }),
  /** The session is not on this node any more. A node that does not know it answers `done`. */
  end: z.object({ type: z.literal("end"), ref, id, reason: z.string() }),
  /** The permissions of a session: it had asked, or they have changed. */
  permissions: z.object({ type: z.literal("permissions"), ref, id, ...permissions.shape }),
  /** Whether somebody of this session is on a websocket, when that changes. Not answered. */
  trunk: z.object({ type: z.literal("trunk"), id, open: z.boolean() }),
  /** Asks what the users of a session have sent and received. */
  figures: z.object({ type: z.literal("figures"), ref, id }),
  /** Asks how loaded the node is. */
  load: z.object({ type: z.literal("load"), ref }),
  /** Takes no new sessions from now on, and ends after the last; or takes them again. Not answered. */
  drain: z.object({ type: z.literal("drain"), draining: z.boolean() }),
  /** `LINK_PONG`. */
  pong: z.object({ type: z.literal("pong") }),
};

type Messages<T extends Record<string, z.ZodType>> = { [K in keyof T]: z.output<T[K]> }[keyof T];

/** A message from a node to Drawbridge, but for `LINK_PING`. */
export type FromNode = Messages<typeof fromNode>;
/** A message from Drawbridge to a node. */
export type ToNode = Messages<typeof toNode>;
export type Hello = z.output<typeof fromNode.hello>;
export type Welcome = z.output<typeof toNode.welcome>;
/** How loaded a node is. */
export type NodeLoad = Omit<z.output<typeof fromNode.load>, "type" | "ref">;

/** A message that has a known type and not its fields: a mistake in one of the two programs. */
export interface MalformedMessage {
  type: "malformed";
  /** Which field of which type is wrong, for the log. */
  problem: string;
}

/** Reads what a node has sent. Null: of an unknown type, to be ignored. */
export function parseFromNode(text: string): FromNode | MalformedMessage | null {
  return parse(fromNode, text);
}

/** Reads what Drawbridge has sent. Null: of an unknown type, to be ignored. */
export function parseToNode(text: string): ToNode | MalformedMessage | null {
  return parse(toNode, text);
}

function parse<T extends Record<string, z.ZodType>>(
  schemas: T,
  text: string,
): Messages<T> | MalformedMessage | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { type: "malformed", problem: "not JSON" };
  }
  const type = (value as { type?: unknown } | null)?.type;
  if (typeof type !== "string") return { type: "malformed", problem: "no type" };
  const schema = Object.hasOwn(schemas, type) ? schemas[type] : undefined;
  if (!schema) return null;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data as Messages<T>;
  const [issue] = parsed.error.issues;
  return { type: "malformed", problem: `${type}.${issue?.path.join(".")}: ${issue?.message}` };
}

/** The class of a figure of `load`: it changes when the figure has doubled or halved. */
export function loadClass(figure: number): number {
  return figure < 1 ? 0 : Math.floor(Math.log2(figure)) + 1;
}
