/** The operations of those who take part in a relay session, without an API key: they join and connect. */
import { refuseAndCount } from "../../http/failed-attempts";
import { REPLAYED_HEADER, readIdempotencyKey } from "../../http/idempotency";
import { checkedByHandler, type OperationGroup, open, operation } from "../../http/operation";
import { requireBelowLimit } from "../../http/rate-limits";
import { clientIp, Refused } from "../../http/request-context";
import { findByJoinCode } from "../../session/join-codes";
import { joinRelaySession } from "../../session/relay-sessions";
import type { AdmissionRefusal } from "../../session-object/admission";
import { connectQuery, joinBody } from "./bodies";
import { requireSessionId, sessionNotFound, toRelayRefusal } from "./errors";
import { joinAnswer, linkSettings, toJoinAnswer } from "./wire";

/**
 * The fewest characters of a join's Idempotency-Key. A retry with it gets the same user's token. All players
 * know the join code, so only this key keeps a player from getting the token of another.
 */
const SHORTEST_JOIN_KEY = 16;

const CONTROL =
  "The relay itself sends text messages with JSON: `ready` first, then who comes and goes.";
const CONNECTING =
  "`docs/relay-protocol.md` has the frames, the messages and the close codes. A refused websocket is answered as any HTTP request. A user with a `device_id` may send its device token in place of `user_token`; `session_token` is not looked at then.";

const DESCRIPTIONS = {
  server: `A websocket, for the first user of the session. Each binary message is one datagram of Edgegap's relay without the two tokens in front: the host sends to one client, and reads from which client a message came. ${CONTROL} ${CONNECTING}`,
  client: `A websocket, for every user but the first. Each binary message is one datagram of Edgegap's relay without the two tokens in front: a client sends to the host, and the host to it. ${CONTROL} ${CONNECTING}`,
};

/** Joining and connecting, for the users of relay sessions. */
export const relayParticipants: OperationGroup = {
  name: "Joining and connecting",
  description: "What the users of a relay session call. They have no API key.",
  operations: [
    operation({
      id: "joinRelaySession",
      method: "POST",
      path: "/v1/relays/join",
      // The join code is the credential.
      caller: open,
      summary: "Join a relay session with its join code",
      description: `The answer has all that a game needs to connect. With the same code and the same \`Idempotency-Key\` (${SHORTEST_JOIN_KEY} characters or more), a repeat gets the same user again.`,
      body: joinBody,
      headers: ["Idempotency-Key"],
      answers: { 200: joinAnswer },
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
        const { db, sessions, config } = c.var;
        const found = await findByJoinCode(db, config.secret, code, now);
        if (!found) return refuseAndCount(c, now, sessionNotFound, "wrongJoinCodes");
        // Many guesses at the same moment all pass the check above before one of them is counted. They are
        // counted by now, so a right guess among too many wrong ones is refused here.
        requireBelowLimit(c, "wrongJoinCodes", now);
        const join = { ...found, ip: clientIp(c), idempotencyKey };
        const result = await joinRelaySession({ db, sessions, secret: config.secret }, join);
        if (!result.ok) throw new Refused(toRelayRefusal(result.refusal, 404));
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
      if (c.req.header("Upgrade")?.toLowerCase() !== "websocket") {
        throw new Refused(upgradeRequired);
      }
      const answer = await c.var.sessions.connect(requireSessionId(params.id), c.req.raw);
      if (answer.status === 101) return answer;
      throw new Refused(toRelayRefusal(await answer.json<AdmissionRefusal>(), 410));
    },
  });
}

const upgradeRequired = {
  status: 426,
  code: "upgrade-required",
  message: "This is a websocket link: connect to it with a websocket client.",
  headers: { Upgrade: "websocket" },
} as const;
