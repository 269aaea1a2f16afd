/**
 * What the operations of relay sessions show: Edgegap's format, with Drawbridge's additions. The mappers
 * name every field that is shown.
 */
import * as z from "zod";
import type { Shown } from "../../http/operation";
import type { ListedSession } from "../../session/live-sessions";
import { joinCode, type SessionTokens, sessionTokens } from "../../session/relay-tokens";
import {
  endReasonOf,
  hostOf,
  joinCodeDrawOf,
  type RelayUser,
  type Session,
} from "../../session/session";
import type { SessionView } from "../../session/session-calls";
import { time, toRfc3339 } from "../shared/wire-time";
import { type LinkSettings, relay, token, toRelay } from "./links";

const NOT_KNOWN = "Null in a webhook, and in a list without `with_traffic`.";
const count = (what: string) =>
  z
    .int()
    .nullable()
    .meta({ description: `${what} Up to 5 seconds behind. ${NOT_KNOWN}` });
/** What only the session's Durable Object knows of a user. */
const figures = z.object({
  connected: z
    .boolean()
    .nullable()
    .meta({ description: `Whether a websocket is open. ${NOT_KNOWN}` }),
  bytes_in: count("Bytes that this user has sent."),
  bytes_out: count("Bytes that were sent to this user."),
  frames_dropped: count("Frames of this user that were not passed on."),
});

const coordinate = z
  .number()
  .nullable()
  .meta({
    description: `Where the user connected from, in degrees. Null before that. ${NOT_KNOWN}`,
  });

const sessionUser = z
  .object({
    ip_address: z.string(),
    latitude: coordinate,
    longitude: coordinate,
    authorization_token: token.meta({
      description: "The user's token: `user_token` of the websocket.",
    }),
    connection_id: z.string().nullable().meta({ description: "The connection that they carry." }),
    device_id: z
      .string()
      .nullable()
      .meta({ description: "The paired device that they have to be." }),
    is_host: z.boolean().meta({ description: "Whether this user is the host of the session." }),
    ...figures.shape,
  })
  .meta({ id: "RelaySessionUser" });

/** A session without its users. */
const sessionFacts = z.object({
  session_id: z.string(),
  authorization_token: token.meta({
    description: "The session's token: `session_token` of the websocket.",
  }),
  status: z.enum(["Initializing", "READY", "Error", "Ended"]).meta({
    description:
      "`READY`: it can be connected to. `Initializing`: its relay node has not taken it yet. `Error`: it failed; only sessions on relay nodes can. Only webhooks show `Ended`.",
  }),
  ready: z.boolean().meta({ description: "Whether the status is `READY`." }),
  linked: z.boolean().meta({ description: "The same as `ready`." }),
  error: z.string().nullable().meta({
    description:
      "Why the session ended: `api` (idle, or its time was over), `organisation` (an API key ended it) or `admin` (the root token); or why it failed: `no-relay-node`, `relay-node-lost`. Null before that.",
  }),
  relay: relay.nullable().meta({ description: "Null: no relay node has taken the session." }),
  webhook_url: z.string().nullable().meta({ description: "Who is told; null: nobody." }),
  created_at: time,
  expires_at: time.meta({ description: "When it ends at the latest." }),
  max_users: z.int(),
  metadata: z.record(z.string(), z.string()).nullable(),
  join_code: z.string().nullable().meta({ description: "Null: it has none." }),
  region: z.string().nullable().meta({ description: "What was asked for; null: near the caller." }),
});

/** The schema of a RelaySession. */
export const relaySession = z
  .object({ ...sessionFacts.shape, session_users: z.array(sessionUser) })
  .meta({ id: "RelaySession" });

/** The schema of the answer of revoke-user. */
export const sessionAfterRevocation = z
  .object({
    ...relaySession.shape,
    effective_by: time.optional().meta({
      description:
        "Only if the relay node has not confirmed yet that it let go of the user: it has by then.",
    }),
  })
  .meta({ id: "RelaySessionAfterRevocation" });

/** The schema of the answer of authorize-user. */
export const sessionWithUser = z
  .object({ ...sessionFacts.shape, session_user: sessionUser })
  .meta({ id: "RelaySessionWithUser" });

/** The schema of the answer of join-code:rotate. */
export const newJoinCode = z
  .object({ join_code: z.string().meta({ description: "The only one that works from now on." }) })
  .meta({ id: "RelayJoinCode" });

const pageNumber = z.int().nullable();

/** The schema of a page of RelaySessions. */
export const relaySessionPage = z
  .object({
    sessions: z.array(relaySession),
    total_count: z.int().meta({
      description: "How many live sessions there are; with `device_id`, how many of that device.",
    }),
    pagination: z.object({
      number: z.int(),
      next_page_number: pageNumber.meta({ description: "Null: this is the last page." }),
      previous_page_number: pageNumber.meta({ description: "Null: this is the first page." }),
      paginator: z.object({ num_pages: z.int() }),
      has_next: z.boolean(),
      has_previous: z.boolean(),
    }),
  })
  .meta({ id: "RelaySessionPage" });

/**
 * A RelaySession.
 * @param traffic the figures of its websockets, which only the Durable Object knows; null in a webhook, and
 *   in a list that did not ask for them: the fields for them are null
 */
export function toRelaySession(
  session: Session,
  traffic: SessionView["traffic"] | null,
  at: LinkSettings,
): Shown<typeof relaySession> {
  const tokens = sessionTokens(at.secret, session.id);
  const users = session.users.map((user) => toSessionUser({ session, traffic, tokens }, user));
  return { ...withoutUsers(session, tokens, at), session_users: users };
}

/** The answer of revoke-user. */
export function toSessionAfterRevocation(
  { session, traffic, effectiveBy }: SessionView,
  at: LinkSettings,
): Shown<typeof sessionAfterRevocation> {
  return {
    ...toRelaySession(session, traffic, at),
    ...(effectiveBy === undefined ? {} : { effective_by: toRfc3339(effectiveBy) }),
  };
}

/** The answer of authorize-user: the session without its users, and the user who was added. */
export function toSessionWithUser(
  session: Session,
  traffic: SessionView["traffic"],
  at: LinkSettings,
): Shown<typeof sessionWithUser> {
  const added = session.users.at(-1);
  if (!added) throw new Error("the session has no user");
  const tokens = sessionTokens(at.secret, session.id);
  const user = toSessionUser({ session, traffic, tokens }, added);
  return { ...withoutUsers(session, tokens, at), session_user: user };
}

/** A page of RelaySessions. */
export function toRelaySessionPage(
  page: { listed: readonly ListedSession[]; total: number },
  query: { page: number; limit: number },
  at: LinkSettings,
): Shown<typeof relaySessionPage> {
  const pages = Math.ceil(page.total / query.limit);
  const hasNext = query.page < pages;
  const hasPrevious = query.page > 1;
  return {
    sessions: page.listed.map(({ session, traffic }) => toRelaySession(session, traffic, at)),
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

function withoutUsers(
  session: Session,
  tokens: SessionTokens,
  at: LinkSettings,
): Shown<typeof sessionFacts> {
  const active = session.status === "active";
  return {
    session_id: session.id,
    authorization_token: tokens.session,
    status: statusWords[session.status],
    ready: active,
    linked: active,
    error: endReasonOf(session),
    relay: toRelay(session, at.origin),
    webhook_url: session.webhookUrl,
    created_at: toRfc3339(session.createdAt),
    expires_at: toRfc3339(session.expiresAt),
    max_users: session.maxUsers,
    metadata: session.metadata,
    join_code: toJoinCode(session, at),
    region: session.region,
  };
}

/** The join code of a session now; null: it has none. */
export function toJoinCode(session: Session, { secret }: LinkSettings): string | null {
  const draw = joinCodeDrawOf(session);
  return draw === null ? null : joinCode(secret, session.id, draw);
}

const statusWords = {
  pending: "Initializing",
  active: "READY",
  failed: "Error",
  expired: "Ended",
} as const satisfies Record<Session["status"], string>;

/** The session whose users are shown. `tokens` are made once for all of them, because they share digests. */
interface ShownSession {
  session: Session;
  traffic: SessionView["traffic"] | null;
  tokens: SessionTokens;
}

function toSessionUser(
  { session, traffic, tokens }: ShownSession,
  user: RelayUser,
): Shown<typeof sessionUser> {
  const place = traffic?.[user.n];
  return {
    ip_address: user.ip,
    latitude: place?.latitude ?? null,
    longitude: place?.longitude ?? null,
    authorization_token: tokens.user(user),
    connection_id: user.connectionId,
    device_id: user.deviceId,
    is_host: user.n === hostOf(session),
    ...toFigures(traffic, user.n),
  };
}

/** The figures of one user: null where they are not known, 0 for a user who never connected. */
function toFigures(traffic: SessionView["traffic"] | null, n: number): Shown<typeof figures> {
  if (traffic === null) {
    return { connected: null, bytes_in: null, bytes_out: null, frames_dropped: null };
  }
  const known = traffic[n] ?? { connected: false, bytesIn: 0, bytesOut: 0, dropped: 0 };
  return {
    connected: known.connected,
    bytes_in: known.bytesIn,
    bytes_out: known.bytesOut,
    frames_dropped: known.dropped,
  };
}
