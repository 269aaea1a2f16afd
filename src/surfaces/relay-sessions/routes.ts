/** The routes of relay sessions: `docs/relay-sessions.md`. */
import type { Hono } from "hono";
import { readBody, readQuery } from "../../http/body";
import { refuseAndCount } from "../../http/failed-attempts";
import { keyRoute } from "../../http/guarded-routes";
import { REPLAYED_HEADER, readIdempotencyKey } from "../../http/idempotency";
import { requireBelowLimit } from "../../http/rate-limits";
import { type AppEnv, type Call, clientIp, Refused } from "../../http/request-context";
import { requireSendable } from "../../http/sendable-address";
import { findByJoinCode } from "../../session/join-codes";
import { listLiveSessions } from "../../session/live-sessions";
import {
  createRelaySession,
  joinRelaySession,
  RELAY_SESSION_ID,
} from "../../session/relay-sessions";
import type { SessionResult } from "../../session/session-calls";
import type { AdmissionRefusal } from "../../session-object/admission";
import {
  authorizeUserBody,
  createSessionBody,
  joinBody,
  listSessionsQuery,
  revokeUserBody,
} from "./bodies";
import { toRelayRefusal } from "./errors";
import {
  type LinkSettings,
  toJoinAnswer,
  toRelaySession,
  toRelaySessionPage,
  toSessionWithUser,
} from "./wire";

/**
 * The fewest characters of a join's Idempotency-Key. A retry with it gets the same user's token. All players
 * know the join code, so only this key keeps a player from getting the token of another.
 */
const SHORTEST_JOIN_KEY = 16;

/** Adds the surface to the app. */
export function relaySessionRoutes(app: Hono<AppEnv>): void {
  sessionRoutes(app);
  userRoutes(app);
  joinRoute(app);
  websocketRoutes(app);
}

function sessionRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/v1/relays/sessions",
    keyRoute("relays:write", async (c, caller) => {
      const input = await readBody(c, createSessionBody);
      const { origin } = new URL(c.req.url);
      if (input.webhookUrl !== null) requireSendable(c, "webhook_url", input.webhookUrl);
      const result = await createRelaySession(
        servicesOf(c),
        caller,
        { ...input, origin },
        Date.now(),
      );
      const { session, traffic } = requireSession(result, 409);
      return c.json(toRelaySession(session, traffic, linkSettings(c)));
    }),
  );

  app.get(
    "/v1/relays/sessions",
    keyRoute("relays:read", async (c, { organisationId }) => {
      const query = readQuery(c, listSessionsQuery);
      const page = await listLiveSessions(c.var.db, {
        organisationId,
        kind: "relay",
        offset: (query.page - 1) * query.limit,
        limit: query.limit,
        now: Date.now(),
      });
      return c.json(toRelaySessionPage(page, query, linkSettings(c)));
    }),
  );

  app.get(
    "/v1/relays/sessions/:id",
    keyRoute("relays:read", async (c, { organisationId }) => {
      const result = await c.var.sessions.read(organisationId, requireId(c.req.param("id")));
      const { session, traffic } = requireSession(result, 404);
      if (session.status === "failed" || session.status === "expired") throw new Refused(notThere);
      return c.json(toRelaySession(session, traffic, linkSettings(c)));
    }),
  );

  app.delete(
    "/v1/relays/sessions/:id",
    keyRoute("relays:write", async (c, { organisationId }) => {
      const id = requireId(c.req.param("id"));
      requireSession(await c.var.sessions.expire(organisationId, id, "organisation"), 404);
      return c.body(null, 204);
    }),
  );
}

function userRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/v1/relays/sessions:authorize-user",
    keyRoute("relays:write", async (c, { organisationId }) => {
      const { sessionId, user } = await readBody(c, authorizeUserBody);
      const id = requireId(sessionId);
      const result = await c.var.sessions.authorizeUser(organisationId, id, user);
      const { session, traffic } = requireSession(result, 409);
      return c.json(toSessionWithUser(session, traffic, linkSettings(c)));
    }),
  );

  app.post(
    "/v1/relays/sessions:revoke-user",
    keyRoute("relays:write", async (c, { organisationId }) => {
      const { sessionId, token } = await readBody(c, revokeUserBody);
      const result = await c.var.sessions.revokeUser(organisationId, requireId(sessionId), token);
      const { session, traffic } = requireSession(result, 409);
      return c.json(toRelaySession(session, traffic, linkSettings(c)));
    }),
  );
}

/** Players join with a code and without an API key. */
function joinRoute(app: Hono<AppEnv>): void {
  app.post("/v1/relays/join", async (c) => {
    const now = Date.now();
    requireBelowLimit(c, "wrongJoinCodes", now);
    const idempotencyKey = readIdempotencyKey(c, SHORTEST_JOIN_KEY);
    const code = await readBody(c, joinBody);
    const found = await findByJoinCode(c.var.db, c.var.config.secret, code, now);
    if (!found) return refuseAndCount(c, now, notThere, "wrongJoinCodes");
    // Many guesses at the same moment all pass the check above before one of them is counted. They are
    // counted by now, so a right guess among too many wrong ones is refused here.
    requireBelowLimit(c, "wrongJoinCodes", now);
    const join = { ...found, ip: clientIp(c), idempotencyKey };
    const result = await joinRelaySession(servicesOf(c), join);
    if (!result.ok) throw new Refused(toRelayRefusal(result.refusal, 404));
    if (result.isRepeat) c.header(REPLAYED_HEADER, "true");
    return c.json(toJoinAnswer(result.session, result.user, linkSettings(c)));
  });
}

/** A websocket needs no API key: the tokens in its query say which user connects. */
function websocketRoutes(app: Hono<AppEnv>): void {
  for (const side of ["server", "client"] as const) {
    app.get(`/v1/relays/sessions/:id/${side}`, async (c) => {
      if (c.req.header("Upgrade")?.toLowerCase() !== "websocket")
        throw new Refused(upgradeRequired);
      const id = requireId(c.req.param("id"));
      const answer = await c.var.sessions.connect(id, c.req.raw);
      if (answer.status === 101) return answer;
      throw new Refused(toRelayRefusal(await answer.json<AdmissionRefusal>(), 410));
    });
  }
}

const notThere = toRelayRefusal({ code: "not-found" }, 404);
const upgradeRequired = {
  status: 426,
  code: "upgrade-required",
  message: "This is a websocket link: connect to it with a websocket client.",
  headers: { Upgrade: "websocket" },
} as const;

function requireSession(result: SessionResult, whenEnded: 404 | 409) {
  if (!result.ok) throw new Refused(toRelayRefusal(result.refusal, whenEnded));
  return result;
}

/** The id of a session. One of another form never existed, so no Durable Object is woken for it. */
function requireId(id: string | undefined): string {
  if (id === undefined || !RELAY_SESSION_ID.test(id)) throw new Refused(notThere);
  return id;
}

function servicesOf(c: Call) {
  return { db: c.var.db, sessions: c.var.sessions, secret: c.var.config.secret };
}

function linkSettings(c: Call): LinkSettings {
  return { origin: new URL(c.req.url).origin, secret: c.var.config.secret };
}
