/**
 * What the routes of relay sessions show: Edgegap's format, with Drawbridge's additions. The mappers name
 * every field that is shown.
 */
import { spellAddress } from "../../platform/ip-address";
import { HOST } from "../../relay/host";
import { joinCode, sessionTokens } from "../../session/relay-tokens";
import { endReasonOf, type RelayUser, type Session } from "../../session/session";
import type { SessionView } from "../../session/session-calls";
import { toRfc3339 } from "../shared/wire-time";

/** What the links and tokens of a session are made from. */
export interface LinkSettings {
  /** The origin under which the API was called, such as `https://relay.example.com`. */
  origin: string;
  /** The deployment's secret, from which tokens are derived. */
  secret: string;
}

/**
 * A RelaySession.
 * @param traffic the figures of its websockets, which only the Durable Object knows; null in a list and a
 *   webhook, whose fields for them are null
 */
export function toRelaySession(
  session: Session,
  traffic: SessionView["traffic"] | null,
  at: LinkSettings,
) {
  const users = session.users.map((_, index) => toSessionUser(session, index, traffic, at));
  return { ...withoutUsers(session, at), session_users: users };
}

/** The answer of authorize-user: the session without its users, and the user who was added. */
export function toSessionWithUser(
  session: Session,
  traffic: SessionView["traffic"],
  at: LinkSettings,
) {
  const last = session.users.length - 1;
  return { ...withoutUsers(session, at), session_user: toSessionUser(session, last, traffic, at) };
}

/** The answer of a join: all that the player's game needs to connect. */
export function toJoinAnswer({ id }: Session, joined: RelayUser, at: LinkSettings) {
  const tokens = sessionTokens(at.secret, id);
  return {
    session_id: id,
    session_token: tokens.session,
    user_token: tokens.user(joined),
    link: linkTo(id, joined.n === HOST ? "server" : "client", at.origin),
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
    error: endReasonOf(session),
    relay: toRelay(session.id, at.origin),
    webhook_url: session.webhookUrl,
    created_at: toRfc3339(session.createdAt),
    expires_at: toRfc3339(session.expiresAt),
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

/** The figures of one user: null where they are not known, 0 for a user who never connected. */
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

/** The relay is the session's Durable Object. Clients reach it through the host of the API. */
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
    // A Worker has a name and many addresses, so there is an address only if the host is one.
    ip: hostname === "localhost" ? "127.0.0.1" : spellAddress(address),
    host: hostname,
    ports: { server: toPort("server"), client: toPort("client") },
  };
}

function linkTo(id: string, side: "server" | "client", origin: string): string {
  return `${origin.replace(/^http/, "ws")}/v1/relays/sessions/${id}/${side}`;
}
