/** The operations of those who take part in a relay session, without an API key: they join and connect. */
import { refuseAndCount } from "../../http/failed-attempts";
import { REPLAYED_HEADER, readIdempotencyKey } from "../../http/idempotency";
import { checkedByHandler, type OperationGroup, open, operation } from "../../http/operation";
import { requireBelowLimit } from "../../http/rate-limits";
import { clientIp, Refused } from "../../http/request-context";
import { sessionsOf } from "../../http/services";
import { requireUpgrade } from "../../http/websocket-upgrade";
import { UnavailableError } from "../../platform/unavailable";
import { findByJoinCode } from "../../session/join-codes";
import { joinRelaySession } from "../../session/relay-sessions";
import type { AdmissionRefusal } from "../../session-object/admission";
import { offersSubprotocol } from "../../session-object/upgrade-request";
import { connectQuery, joinBody, sessionIdForm } from "./bodies";
import { requireSessionId, sessionNotFound, sessionUnreachable, toRelayRefusal } from "./errors";
import { joinAnswer, linkSettings, toJoinAnswer } from "./links";
import { refusedSocket } from "./refused-socket";

/**
 * The fewest characters of a join's Idempotency-Key. A retry with it gets the same user's token. All players
 * know the join code, so only this key keeps a player from getting the token of another.
 */
export const SHORTEST_JOIN_KEY = 16;

const CONTROL =
  "Text messages are JSON from the relay itself: `ready` first, then who comes and goes.";
const CONNECTING =
  'In a browser, offer the subprotocols `["drawbridge.v1", "tokens.<session_token>.<user_token>"]` (or `"device.<token>"`): no token stands in a URL then, either link lets in the host and the clients, and a refusal is a websocket that is closed at once with a code and a reason, where browsers see nothing of an HTTP answer. Without that, both tokens stand in the query, a user with a `device_id` may leave them out and send the token of that device in `Authorization`, and a websocket that is refused is answered as any HTTP request. `docs/relay-protocol.md` has the frames, the messages and the close codes. This page cannot open websockets: `docs/first-session.mjs` is a program that does.';

const DESCRIPTIONS = {
  server: `A websocket for the host of the session: its first user, until another one is made the host. Its binary messages carry the number of a client: for whom a message is, or from whom it came. ${CONTROL}\n\n${CONNECTING}`,
  client: `A websocket for every user but the host. Its binary messages go to the host, and come from the host. ${CONTROL}\n\n${CONNECTING}`,
};

/** Joining and connecting, for the users of relay sessions. */
export const relayParticipants: OperationGroup = {
  name: "Joining and connecting",
  description:
    "What the users of a relay session call. They have no API key: a join code or their two tokens let them in.",
  page: "relay-protocol.md",
  operations: [
    operation({
      id: "joinRelaySession",
      method: "POST",
      path: "/v1/relays/join",
      // The join code is the credential.
      caller: open,
      origins: "any",
      summary: "Join a relay session with its join code",
      description: `Adds one more user to the session of this code. The join code is the credential. A repeat with the same code and the same header \`Idempotency-Key\` (${SHORTEST_JOIN_KEY} to 255 visible ASCII characters) gets the same user again.`,
      body: joinBody,
      headers: ["Idempotency-Key"],
      answers: { 200: joinAnswer },
      answerTexts: { 200: "All that a game needs to connect: the link and both tokens." },
      refusals: {
        400: ["invalid-idempotency-key"],
        404: ["session-not-found"],
        409: ["session-full", "session-not-active"],
        429: ["too-many-joins"],
      },
      example: { body: { join_code: "PP7C-XFJR" } },
      async handle(c, { readBody }) {
        const now = Date.now();
        requireBelowLimit(c, "wrongJoinCodes", now);
        const idempotencyKey = readIdempotencyKey(c, SHORTEST_JOIN_KEY);
        const code = await readBody();
        const db = c.get("db");
        const sessions = sessionsOf(c);
        const config = c.get("config");
        const found = await findByJoinCode(db, config.secret, code, now);
        if (!found) return refuseAndCount(c, now, sessionNotFound, "wrongJoinCodes");
        // Many guesses at the same moment all pass the check above before one of them is counted. They are
        // counted by now, so a right guess among too many wrong ones is refused here.
        requireBelowLimit(c, "wrongJoinCodes", now);
        const join = { ...found, ip: clientIp(c), idempotencyKey };
        const result = await joinRelaySession({ db, sessions, secret: config.secret }, join);
        if (!result.ok) {
          const refusal = toRelayRefusal(result.refusal, 404);
          // The session has another code by now: this one is as wrong as any other.
          if (result.refusal.code === "not-found") {
            return refuseAndCount(c, now, refusal, "wrongJoinCodes");
          }
          throw new Refused(refusal);
        }
        return {
          status: 200,
          body: toJoinAnswer(result.session, result.user, linkSettings(c)),
          headers: result.isRepeat ? { [REPLAYED_HEADER]: "true" } : {},
        };
      },
    }),
    connect("connectRelayHost", "server", "Connect the host of a relay session"),
    connect("connectRelayClient", "client", "Connect a client of a relay session"),
  ],
};

/** A websocket needs no API key: the tokens say which user connects. */
function connect(id: string, side: "server" | "client", summary: string) {
  return operation({
    id,
    method: "GET",
    path: `/v1/relays/sessions/{id}/${side}`,
    params: { id: sessionIdForm },
    caller: checkedByHandler("relayTokens", "deviceToken"),
    summary,
    description: DESCRIPTIONS[side],
    query: connectQuery,
    answers: { 101: null },
    refusals: {
      403: ["wrong-token", "user-revoked", "device-not-paired", "device-revoked", "device-removed"],
      404: ["session-not-found"],
      410: ["session-ended"],
      426: ["upgrade-required"],
      429: ["locked", "over-limit"],
      503: ["session-not-shown", "device-not-read", "permissions-not-read"],
    },
    example: {
      params: { id: "0378bc592661-S" },
      query: { session_token: "1204464029", user_token: "751900726" },
    },
    async handle(c, { params }) {
      requireUpgrade(c);
      try {
        const answer = await sessionsOf(c).connect(requireSessionId(params.id), c.req.raw);
        if (answer.status === 101) return answer;
        throw new Refused(toRelayRefusal(await answer.json<AdmissionRefusal>(), 410));
      } catch (error) {
        if (!offersSubprotocol(c.req.raw.headers)) throw error;
        if (error instanceof Refused) return refusedSocket(error.refusal);
        if (error instanceof UnavailableError) return refusedSocket(sessionUnreachable);
        throw error;
      }
    },
  });
}
