/**
 * The wire format of relay sessions: Edgegap's, with our additions. What leaves is listed field by
 * field here, and nowhere else.
 */
import { z } from "zod";
import { freeText, humanText } from "../../http/human-text";
import { spellAddress } from "../../platform/ip-address";
import { errorOf, type RelayUser, type Session } from "../../session/machine";
import { joinCode, sessionTokens } from "../../session/relay-tokens";
import type { SessionView } from "../../session/session-calls";
import { connectionId } from "../relay-permissions/wire";

/** Cloudflare's location hints for Durable Objects (2026-11). */
const REGIONS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;

/** The most users that one session can hold. */
export const MOST_USERS = 64;

/** Typed clients send null for what they leave out. */
function optional<S extends z.ZodType>(schema: S) {
  return z.preprocess((value) => (value === null ? undefined : value), schema.optional());
}

const NO_ADDRESS = "must be an IPv4 or IPv6 address";
const ip = z.string(NO_ADDRESS).transform((text, issues) => {
  const spelt = spellAddress(text);
  if (spelt !== null) return spelt;
  issues.addIssue(NO_ADDRESS);
  return z.NEVER;
});

const deviceId = z
  .string("must be a string")
  .regex(/^[A-Za-z0-9._-]{1,64}$/, "must be 1 to 64 letters, digits, dots, _ or -");

const identity = { connection_id: optional(connectionId), device_id: optional(deviceId) };
const user = z.object({ ip, ...identity }, "must be an object with an ip");

const filter = z.object(
  {
    field: z.string("must be a string"),
    values: z.array(z.unknown(), "must be an array"),
    filter_type: z.enum(["any", "all", "not"], "must be any, all or not"),
  },
  "must be an object with field, values and filter_type",
);

const metadata = z
  .record(z.string(), z.unknown(), "must be an object of strings")
  .refine((value) => {
    const names = Object.keys(value);
    return new Set(names.map((name) => name.normalize("NFC"))).size === names.length;
  }, "must not have a name twice, in two encodings of the same text")
  .pipe(z.record(humanText(1, 64), freeText(0, 2_048)))
  .refine((value) => Object.keys(value).length <= 16, "must have at most 16 entries")
  .refine(
    (value) => Buffer.byteLength(JSON.stringify(value)) <= 2_048,
    "must be at most 2 KB as JSON",
  );

function whole(least: number, most: number) {
  const message = `must be a whole number from ${least} to ${most}`;
  return z.int(message).min(least, message).max(most, message);
}

/** The body of a create. Unknown fields are ignored, as the vendor does. */
export const createSessionBody = z
  .object({
    users: optional(
      z.array(user, "must be an array").max(MOST_USERS, `must have at most ${MOST_USERS} entries`),
    ),
    filters: optional(
      z.array(filter, "must be an array").max(100, "must have at most 100 entries"),
    ),
    webhook_url: optional(z.string("must be a string")),
    ttl_seconds: optional(whole(60, 86_400)),
    idle_seconds: optional(whole(10, 3_600)),
    max_users: optional(whole(1, MOST_USERS)),
    metadata: optional(metadata),
    region: optional(z.enum(REGIONS, `must be one of ${REGIONS.join(", ")}`)),
    join_code: optional(z.boolean("must be true or false")),
  })
  .transform(({ users = [], ...body }) => ({
    users: users.map(toUser),
    ttlSeconds: body.ttl_seconds ?? 3_600,
    idleSeconds: body.idle_seconds ?? 300,
    // A client that knows nothing of max_users may still name more users than our default.
    maxUsers: body.max_users ?? Math.max(16, users.length),
    webhookUrl: body.webhook_url ? body.webhook_url : null,
    metadata: body.metadata ?? null,
    region: body.region ?? null,
    withJoinCode: body.join_code ?? false,
  }))
  .refine((body) => body.users.length <= body.maxUsers, {
    path: ["users"],
    message: "must not be more than max_users",
  });

const sessionId = z.string("must be a string");

/** The body of authorize-user. */
export const authorizeUserBody = z
  .object({ session_id: sessionId, user_ip: ip, ...identity })
  .transform(({ session_id, user_ip, ...rest }) => ({
    sessionId: session_id,
    user: toUser({ ip: user_ip, ...rest }),
  }));

const TOKEN = "must be a number, or a string of digits";

/** The body of revoke-user. */
export const revokeUserBody = z
  .object({
    session_id: sessionId,
    authorization_token: z.union([z.int(), z.string().regex(/^\d+$/).transform(Number)], TOKEN),
  })
  .transform((body) => ({ sessionId: body.session_id, token: body.authorization_token }));

/** The body of a join. */
export const joinBody = z
  .object({ join_code: z.string("must be a string").max(64, "is too long for a join code") })
  .transform((body) => body.join_code);

function pageNumber(most: number, fallback: number) {
  const message =
    most === Number.MAX_SAFE_INTEGER
      ? "must be a whole number from 1"
      : `must be a whole number from 1 to ${most}`;
  return z
    .string()
    .regex(/^[0-9]{1,15}$/, message)
    .transform(Number)
    .refine((n) => n >= 1 && n <= most, message)
    .default(fallback);
}

/** The query of the list. */
export const listSessionsQuery = z.object({
  page: pageNumber(Number.MAX_SAFE_INTEGER, 1),
  limit: pageNumber(100, 20),
});

/** Where the API was called, for the links of a session. */
export interface LinkSettings {
  /** Such as `https://relay.example.com`. */
  origin: string;
  /** The deployment's secret, from which tokens are derived. */
  secret: string;
}

/**
 * A RelaySession. Without the figures of its sockets (a list, a webhook) those fields are null: they
 * are known to the session's object only.
 */
export function toRelaySession(
  session: Session,
  traffic: SessionView["traffic"] | null,
  at: LinkSettings,
) {
  const users = session.users.map((_, index) => toSessionUser(session, index, traffic, at));
  return { ...withoutUsers(session, at), session_users: users };
}

/** The answer of authorize-user: the session without its users, and the one that was added. */
export function toSessionWithUser(
  session: Session,
  traffic: SessionView["traffic"],
  at: LinkSettings,
) {
  const last = session.users.length - 1;
  return { ...withoutUsers(session, at), session_user: toSessionUser(session, last, traffic, at) };
}

/** The answer of a join: what the player's game needs to connect. */
export function toJoinAnswer({ id }: Session, joined: RelayUser, at: LinkSettings) {
  const tokens = sessionTokens(at.secret, id);
  return {
    session_id: id,
    session_token: tokens.session,
    user_token: tokens.user(joined),
    link: linkTo(id, joined.n === 0 ? "server" : "client", at.origin),
  };
}

/** A page of RelaySessions. */
export function toRelaySessionPage(
  page: { sessions: Session[]; total: number },
  query: { page: number; limit: number },
  at: LinkSettings,
) {
  const pages = Math.ceil(page.total / query.limit);
  const hasNext = query.page < pages;
  const hasPrevious = query.page > 1;
  return {
    sessions: page.sessions.map((session) => toRelaySession(session, null, at)),
    total_count: page.total,
    pagination: {
      number: query.page,
      next_page_number: hasNext ? query.page + 1 : null,
      previous_page_number: hasPrevious ? query.page - 1 : null,
      paginator: { num_pages: pages },
      has_next: hasNext,
      has_previous: hasPrevious,
    },
  };
}

function withoutUsers(session: Session, at: LinkSettings) {
  const active = session.status === "active";
  return {
    session_id: session.id,
    authorization_token: sessionTokens(at.secret, session.id).session,
    status: statusWords[session.status],
    ready: active,
    linked: active,
    error: errorOf(session),
    relay: toRelay(session.id, at.origin),
    webhook_url: session.webhookUrl,
    created_at: new Date(session.createdAt).toISOString(),
    expires_at: new Date(session.expiresAt).toISOString(),
    max_users: session.maxUsers,
    metadata: session.metadata,
    join_code:
      session.joinCodeDraw === null ? null : joinCode(at.secret, session.id, session.joinCodeDraw),
    region: session.region,
  };
}

const statusWords: Record<Session["status"], string> = {
  pending: "Initializing",
  active: "READY",
  failed: "Error",
  expired: "Ended",
};

function toSessionUser(
  session: Session,
  index: number,
  traffic: SessionView["traffic"] | null,
  at: LinkSettings,
) {
  const user = session.users[index];
  if (!user) throw new Error("the session has no such user");
  const figures = traffic?.[user.n];
  return {
    ip_address: user.ip,
    latitude: figures?.latitude ?? null,
    longitude: figures?.longitude ?? null,
    authorization_token: sessionTokens(at.secret, session.id).user(user),
    connection_id: user.connectionId,
    device_id: user.deviceId,
    ...toFigures(traffic, user.n),
  };
}

/** Null: not known here. Someone who never connected has figures, of nothing. */
function toFigures(traffic: SessionView["traffic"] | null, n: number) {
  if (traffic === null) {
    return { connected: null, bytes_in: null, bytes_out: null, frames_dropped: null };
  }
  const figures = traffic[n] ?? { connected: false, bytesIn: 0, bytesOut: 0, dropped: 0 };
  return {
    connected: figures.connected,
    bytes_in: figures.bytesIn,
    bytes_out: figures.bytesOut,
    frames_dropped: figures.dropped,
  };
}

/** The relay is the session's own object, reached through the host that answers the API. */
function toRelay(id: string, origin: string) {
  const { hostname, port, protocol } = new URL(origin);
  const secure = protocol === "https:";
  const toPort = (side: "server" | "client") => ({
    port: Number(port || (secure ? 443 : 80)),
    protocol: secure ? "WSS" : "WS",
    link: linkTo(id, side, origin),
  });
  const address = hostname.replace(/^\[|\]$/g, "");
  return {
    // Only a host that is an address has one to show: a Worker is reached by name, at many addresses.
    ip: hostname === "localhost" ? "127.0.0.1" : spellAddress(address),
    host: hostname,
    ports: { server: toPort("server"), client: toPort("client") },
  };
}

function linkTo(id: string, side: "server" | "client", origin: string): string {
  return `${origin.replace(/^http/, "ws")}/v1/relays/sessions/${id}/${side}`;
}

function toUser(user: {
  ip: string;
  connection_id?: string | undefined;
  device_id?: string | undefined;
}) {
  return {
    ip: user.ip,
    connectionId: user.connection_id ?? null,
    deviceId: user.device_id ?? null,
  };
}
