/** The operations with which a backend makes, shows, changes and ends relay sessions: `docs/relay-sessions.md`. */

import { placeOf } from "../../http/caller-place";
import { key, type OperationGroup, operation } from "../../http/operation";
import { type Call, type HttpRefusal, Refused } from "../../http/request-context";
import { requireSendable } from "../../http/sendable-address";
import { sessionsOf } from "../../http/services";
import { ADDRESS_REFUSALS } from "../../outbound/address";
import { nodesForSession } from "../../relay-nodes/nodes-for-session";
import {
  askForTraffic,
  listLiveSessions,
  listLiveSessionsWithDevice,
} from "../../session/live-sessions";
import { changeJoinCode, createRelaySession } from "../../session/relay-sessions";
import type { Session } from "../../session/session";
import type { SessionResult } from "../../session/session-calls";
import {
  authorizeUserBody,
  createSessionBody,
  listSessionsQuery,
  sessionIdForm,
  showSessionQuery,
  userOfSessionBody,
} from "./bodies";
import { pageTooDeep, requireSessionId, sessionNotFound, toRelayRefusal } from "./errors";
import { linkSettings } from "./links";
import {
  newJoinCode,
  relaySession,
  relaySessionPage,
  sessionAfterRevocation,
  sessionWithUser,
  toJoinCode,
  toRelaySession,
  toRelaySessionPage,
  toSessionAfterRevocation,
  toSessionWithUser,
} from "./wire";

const SESSION_ID = "0378bc592661-S";

const byId = { params: { id: sessionIdForm }, example: { params: { id: SESSION_ID } } } as const;

/** Relay sessions, for whoever opens them. */
export const relaySessions: OperationGroup = {
  name: "Relay sessions",
  description:
    "Your backend opens a session for the players of a game, or for devices, and gives each of them a token. The format is that of Edgegap Relays.",
  page: "relay-sessions.md",
  operations: [
    operation({
      id: "createRelaySession",
      method: "POST",
      path: "/v1/relays/sessions",
      caller: key("relays:write"),
      addsRows: true,
      summary: "Create a relay session",
      description:
        "Without a relay node the session is ready at once. With one it is ready when the node has taken it, which normally is before the answer. The first of `users` is the host, and connects to the `server` link. All others are clients, and connect to the `client` link. Each user needs two tokens: that of the session, and their own. Every field may be left out; `null` counts as left out.",
      body: createSessionBody,
      answers: { 200: relaySession },
      answerTexts: { 200: "The new session, with the tokens and links." },
      refusals: { 400: ADDRESS_REFUSALS, 503: ["no-relay-node-online"] },
      example: {
        body: {
          users: [{ ip: "198.51.100.1" }, { ip: "198.51.100.2" }],
          join_code: true,
          metadata: { map: "harbour" },
        },
      },
      async handle(c, { body, caller }) {
        const at = linkSettings(c);
        if (body.webhookUrl !== null) requireSendable(c, "webhook_url", body.webhookUrl);
        const db = c.get("db");
        const sessions = sessionsOf(c);
        const config = c.get("config");
        const now = Date.now();
        const { transport, ...facts } = body;
        const { region } = body;
        const { organisationId } = caller;
        const wish = { organisationId, transport, region, callerPlace: placeOf(c) };
        const nodes = await nodesForSession(db, wish, now);
        if (nodes.kind === "none-online") throw new Refused(noNodeOnline);
        const result = await createRelaySession(
          { db, sessions, secret: config.secret },
          caller,
          { ...facts, origin: at.origin, nodes: nodes.kind === "nodes" ? nodes.ids : null },
          now,
        );
        const { session, traffic } = requireSession(result, 409);
        return { status: 200, body: toRelaySession(session, traffic, at) };
      },
    }),
    operation({
      id: "listRelaySessions",
      method: "GET",
      path: "/v1/relays/sessions",
      caller: key("relays:read"),
      readsNearby: true,
      summary: "List the live relay sessions, newest first",
      description:
        "Sessions that have ended are not listed. What only a session itself knows is null here, unless you ask for it with `with_traffic`: coordinates, bytes, and who is connected.",
      query: listSessionsQuery,
      answers: { 200: relaySessionPage },
      refusals: { 400: ["page-too-deep"] },
      example: { query: { page: "1", limit: "20" } },
      async handle(c, { query, caller }) {
        const db = c.get("db");
        const sessions = sessionsOf(c);
        const { limit, device_id: deviceId } = query;
        const wanted = {
          organisationId: caller.organisationId,
          kind: "relay",
          offset: (query.page - 1) * limit,
          limit,
          now: Date.now(),
        } as const;
        const page = await (deviceId === null
          ? listLiveSessions(db, wanted)
          : listLiveSessionsWithDevice(db, deviceId, wanted));
        if (!page) throw new Refused(pageTooDeep);
        const listed = query.with_traffic
          ? await askForTraffic(sessions, page.sessions)
          : page.sessions.map((session) => ({ session, traffic: null }));
        const shown = { listed, total: page.total };
        return { status: 200, body: toRelaySessionPage(shown, query, linkSettings(c)) };
      },
    }),
    operation({
      id: "getRelaySession",
      method: "GET",
      ...byId,
      path: "/v1/relays/sessions/{id}",
      caller: key("relays:read"),
      summary: "Show a live relay session",
      description:
        "A session that has ended is 404. Reading a session counts as use: its idle clock starts again, unless `touch` is `false`.",
      query: showSessionQuery,
      answers: { 200: relaySession },
      refusals: { 404: ["session-not-found"] },
      async handle(c, { params, query, caller: { organisationId } }) {
        const id = requireSessionId(params.id);
        const sessions = sessionsOf(c);
        const result = await (query.touch
          ? sessions.read(organisationId, id)
          : sessions.peek(organisationId, id));
        const { session, traffic } = requireSession(result, 404);
        if (session.status === "failed" || session.status === "expired") {
          throw new Refused(sessionNotFound);
        }
        return { status: 200, body: toRelaySession(session, traffic, linkSettings(c)) };
      },
    }),
    operation({
      id: "deleteRelaySession",
      method: "DELETE",
      ...byId,
      path: "/v1/relays/sessions/{id}",
      caller: key("relays:write"),
      summary: "End a relay session",
      description:
        "All its websockets are closed with code 4410, and the session is 404 from then on.",
      answers: { 204: null },
      refusals: { 404: ["session-not-found"] },
      async handle(c, { params, caller }) {
        const id = requireSessionId(params.id);
        const result = await sessionsOf(c).expire(caller.organisationId, id, "organisation");
        requireSession(result, 404);
        return { status: 204 };
      },
    }),
    operation({
      id: "authorizeRelayUser",
      method: "POST",
      path: "/v1/relays/sessions:authorize-user",
      caller: key("relays:write"),
      summary: "Add a user to a relay session",
      description: "The session must not be full: `max_users` counts.",
      answerTexts: { 200: "The session, with the new user in place of all users." },
      body: authorizeUserBody,
      answers: { 200: sessionWithUser },
      refusals: {
        404: ["session-not-found"],
        409: ["session-ended", "session-full", "session-not-active"],
      },
      example: { body: { session_id: SESSION_ID, user_ip: "198.51.100.3" } },
      async handle(c, { body, caller }) {
        const id = requireSessionId(body.sessionId);
        const result = await sessionsOf(c).authorizeUser(caller.organisationId, id, body.user);
        const { session, traffic } = requireSession(result, 409);
        return { status: 200, body: toSessionWithUser(session, traffic, linkSettings(c)) };
      },
    }),
    operation({
      id: "revokeRelayUser",
      method: "POST",
      path: "/v1/relays/sessions:revoke-user",
      caller: key("relays:write"),
      summary: "Remove a user from a relay session",
      description:
        "The user's token stops working at once. Their websocket is closed with code 4403 before you get the answer. A relay node has let go of them before that, or by `effective_by`.",
      body: userOfSessionBody,
      answers: { 200: sessionAfterRevocation },
      refusals: { 404: ["session-not-found", "unknown-user"], 409: ["session-ended"] },
      example: { body: { session_id: SESSION_ID, authorization_token: 1983822941 } },
      async handle(c, { body, caller }) {
        const id = requireSessionId(body.sessionId);
        const result = await sessionsOf(c).revokeUser(caller.organisationId, id, body.token);
        return {
          status: 200,
          body: toSessionAfterRevocation(requireSession(result, 409), linkSettings(c)),
        };
      },
    }),
    operation({
      id: "assignRelayHost",
      method: "POST",
      path: "/v1/relays/sessions:assign-host",
      caller: key("relays:write"),
      summary: "Make another user the host of a relay session",
      description:
        "The user becomes the host at once, connected or not. Whoever was the host goes on as a client: their websocket is closed with code 4503, and they connect again. Tokens and connection ids stay. On a relay node the host cannot change.",
      body: userOfSessionBody,
      answers: { 200: relaySession },
      refusals: {
        404: ["session-not-found", "unknown-user"],
        409: ["session-ended", "session-not-active", "session-on-relay-node"],
      },
      example: { body: { session_id: SESSION_ID, authorization_token: 1983822941 } },
      async handle(c, { body, caller }) {
        const id = requireSessionId(body.sessionId);
        const result = await sessionsOf(c).assignHost(caller.organisationId, id, body.token);
        const { session, traffic } = requireSession(result, 409);
        return { status: 200, body: toRelaySession(session, traffic, linkSettings(c)) };
      },
    }),
    operation({
      id: "rotateRelayJoinCode",
      method: "POST",
      ...byId,
      path: "/v1/relays/sessions/{id}/join-code:rotate",
      caller: key("relays:write"),
      summary: "Give a relay session another join code",
      description:
        "The code that it had stops working at once. A session that has none gets one. Users who have joined stay.",
      answers: { 200: newJoinCode },
      refusals: { 404: ["session-not-found"] },
      async handle(c, { params, caller }) {
        const session = await changeCode(c, params.id, caller.organisationId, "rotate");
        const code = toJoinCode(session, linkSettings(c));
        if (code === null) throw new Error("a join code was made, and is not there");
        return { status: 200, body: { join_code: code } };
      },
    }),
    operation({
      id: "deleteRelayJoinCode",
      method: "DELETE",
      ...byId,
      path: "/v1/relays/sessions/{id}/join-code",
      caller: key("relays:write"),
      summary: "Close a relay session to its join code",
      description:
        "The code stops working at once, and `join_code` is null. Users who have joined stay. A session that has no code stays as it is.",
      answers: { 204: null },
      refusals: { 404: ["session-not-found"] },
      async handle(c, { params, caller }) {
        await changeCode(c, params.id, caller.organisationId, "close");
        return { status: 204 };
      },
    }),
  ],
};

async function changeCode(
  c: Call,
  id: string,
  organisationId: number,
  change: "rotate" | "close",
): Promise<Session> {
  const db = c.get("db");
  const sessions = sessionsOf(c);
  const config = c.get("config");
  const services = { db, sessions, secret: config.secret };
  const of = { organisationId, sessionId: requireSessionId(id) };
  return requireSession(await changeJoinCode(services, of, change), 404).session;
}

function requireSession(result: SessionResult, whenEnded: 404 | 409) {
  if (!result.ok) throw new Refused(toRelayRefusal(result.refusal, whenEnded));
  return result;
}

const noNodeOnline: HttpRefusal = {
  status: 503,
  code: "no-relay-node-online",
  message:
    "No relay node takes sessions now, and transport is udp. Start one, or try again shortly.",
  headers: { "Retry-After": "5" },
};
