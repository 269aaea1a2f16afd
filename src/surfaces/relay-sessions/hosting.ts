/** The operation with which a player hosts a relay session without a backend, with a publishable API key. */
import * as z from "zod";
import { requireKey } from "../../http/authenticate";
import { requireSpace } from "../../http/database-full";
import { idempotencyScope, readIdempotencyKey } from "../../http/idempotency";
import { withIdempotencyKey } from "../../http/mount";
import {
  checkedByHandler,
  type OperationGroup,
  operation,
  type Shown,
  toResponse,
} from "../../http/operation";
import { countCall, requireBelowLimit } from "../../http/rate-limits";
import { type Call, type Caller, clientIp, Refused } from "../../http/request-context";
import { sessionsOf } from "../../http/services";
import { wholeNumber } from "../../http/whole-numbers";
import { HOST_SESSIONS } from "../../keys/permissions";
import { createRelaySession } from "../../session/relay-sessions";
import { joinCode } from "../../session/relay-tokens";
import type { Session } from "../../session/session";
import { createSessionBody } from "./bodies";
import { toRelayRefusal } from "./errors";
import { joinAnswer, type LinkSettings, linkSettings, toJoinAnswer } from "./links";
import { SHORTEST_JOIN_KEY } from "./participants";

/** What anybody who has the key may take: a party, for an evening. */
const MOST_USERS = 16;
const LONGEST_SECONDS = 28_800;
const USERS = 8;
const TTL_SECONDS = 3_600;

const ofCreate = createSessionBody.in.shape;

const wishes = z.object({
  max_users: wholeNumber(1, MOST_USERS)
    .nullish()
    .meta({
      description: `How many users the session may have, its host included. If left out, ${USERS}.`,
    }),
  metadata: ofCreate.metadata,
  region: ofCreate.region,
  ttl_seconds: wholeNumber(60, LONGEST_SECONDS)
    .nullish()
    .meta({
      description: `How many seconds the session lives at most. If left out, ${TTL_SECONDS}.`,
    }),
});

/** The wishes are then read as the body of a create, so that both have the same defaults. */
const hostBody = wishes.transform(toCreateBody).pipe(createSessionBody);

function toCreateBody(wish: z.output<typeof wishes>): z.input<typeof createSessionBody> {
  return {
    ...wish,
    max_users: wish.max_users ?? USERS,
    ttl_seconds: wish.ttl_seconds ?? TTL_SECONDS,
    join_code: true,
    host_migration: "oldest",
    transport: "websocket",
  };
}

const hostedSession = z
  .object({
    ...joinAnswer.omit({ udp: true }).shape,
    join_code: z.string().meta({ description: "For the others: they join with it." }),
  })
  .meta({ id: "HostedRelaySession" });

/** Hosting, for players whose game has no backend. */
export const relayHosting: OperationGroup = {
  name: "Hosting without a backend",
  description:
    "A game without a backend carries a publishable API key, which anybody may read. With it a player hosts a relay session; the others join with its join code.",
  page: "api-keys.md",
  operations: [
    operation({
      id: "hostRelaySession",
      method: "POST",
      path: "/v1/relays/host",
      // The limits come before the Idempotency-Key, whose rows cost money: anybody may have the key.
      caller: checkedByHandler("apiKey", "operatorToken"),
      addsRows: true,
      origins: "any",
      summary: "Host a relay session as a player",
      description: `Needs the permission \`${HOST_SESSIONS}\`. A key that holds it alone is publishable: it can do this and nothing else. The session has one user, the caller, who is its host. It has a join code, and is on websockets only. If the host is gone, the client that joined first becomes the host. An \`Idempotency-Key\` must have ${SHORTEST_JOIN_KEY} characters or more: it is all that keeps one player from getting the tokens of another.`,
      body: hostBody,
      bodyIsOptional: true,
      answers: { 200: hostedSession },
      answerTexts: { 200: "All that the host needs to connect, and the code for the others." },
      refusals: { 429: ["too-many-hosts"] },
      example: { body: { max_users: 4, metadata: { map: "harbour" } } },
      async handle(c, { readBody }) {
        const caller = await requireKey(c, HOST_SESSIONS);
        readIdempotencyKey(c, SHORTEST_JOIN_KEY);
        requireBelowHostLimits(c, caller);
        return withIdempotencyKey(c, idempotencyScope(caller), async () => {
          countHost(c, caller);
          const wish = await readBody();
          await requireSpace(c);
          const body = await host(c, caller, wish);
          return toResponse({ status: 200, body });
        });
      },
    }),
  ],
};

function requireBelowHostLimits(c: Call, { keyId }: Caller): void {
  const now = Date.now();
  requireBelowLimit(c, "hostsOfAddress", now);
  requireBelowLimit(c, "hostsOfKey", now, String(keyId));
}

/**
 * Counts a call, whatever comes of it: a body that is refused costs as much as one that is taken. It is
 * refused here too, since many calls at the same moment all pass the check before.
 */
function countHost(c: Call, { keyId }: Caller): void {
  const now = Date.now();
  countCall(c, "hostsOfAddress", now);
  countCall(c, "hostsOfKey", now, String(keyId));
}

async function host(
  c: Call,
  caller: Caller,
  { transport: _, ...facts }: z.output<typeof hostBody>,
): Promise<Shown<typeof hostedSession>> {
  const db = c.get("db");
  const sessions = sessionsOf(c);
  const config = c.get("config");
  const at = linkSettings(c);
  const users = [{ ip: clientIp(c), connectionId: null, deviceId: null }];
  const result = await createRelaySession(
    { db, sessions, secret: config.secret },
    caller,
    { ...facts, users, origin: at.origin, nodes: null },
    Date.now(),
  );
  if (!result.ok) throw new Refused(toRelayRefusal(result.refusal, 409));
  return toHostedSession(result.session, at);
}

function toHostedSession(session: Session, at: LinkSettings): Shown<typeof hostedSession> {
  const { id, joinCodeDraw, users } = session;
  const [hosting] = users;
  if (!hosting || joinCodeDraw === null) throw new Error("a hosted session lacks its host or code");
  return {
    ...toJoinAnswer(session, hosting, at),
    join_code: joinCode(at.secret, id, joinCodeDraw),
  };
}
