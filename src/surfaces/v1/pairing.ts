/** What devices call on `/v1`, without an API key: challenge, request, poll. */
import type { Hono } from "hono";
import { type Application, selectApplication } from "../../devices/application-store";
import { readCredential } from "../../http/authenticate";
import { readBody } from "../../http/body";
import { type AppEnv, type Call, clientIp, Refused } from "../../http/context";
import { fail, requireFewFailures } from "../../http/failed-attempts";
import { MinuteLimit } from "../../http/limits";
import { askToPair } from "../../pairing/ask";
import { isPollToken, newChallenge, pollToken } from "../../pairing/challenge";
import { pollRequest } from "../../pairing/collect-token";
import { fingerprint } from "../../pairing/device-key";
import { PollPace } from "../../pairing/poll-pace";
import { judgeProof } from "../../pairing/proof";
import { depsOf } from "../shared/device-deps";
import { type DeviceRefusal, toHttpRefusal } from "../shared/device-refusals";
import { toTime } from "../shared/time";
import { askBody, POLL_SECONDS } from "./device-wire";

/** Challenges and requests of one address in a minute: each costs a read or more, though nobody is known. */
const ASKS_PER_MINUTE = 120;
const asks = new MinuteLimit();
const pace = new PollPace(POLL_SECONDS * 1_000);

/** Adds the routes to the app. */
export function deviceSideRoutes(app: Hono<AppEnv>): void {
  const pairing = "/v1/applications/:application/pairing";

  app.post(`${pairing}/challenges`, async (c) => {
    requireFewAsks(c);
    const { id } = await requireApplication(c);
    const now = Date.now();
    const { nonce, expiresAt } = newChallenge(c.var.config.secret, id, now);
    return c.json({ nonce, expires_at: toTime(expiresAt), server_time: toTime(now) }, 201);
  });

  app.post(`${pairing}/requests`, async (c) => {
    requireFewAsks(c);
    requireFewFailures(c, Date.now());
    const { asked, proof } = await readBody(c, askBody);
    const application = await requireApplication(c);
    const { secret } = c.var.config;
    const now = Date.now();
    const unproven = await judgeProof(secret, application.id, asked, proof, now);
    if (unproven) return refuse(c, unproven);
    const { nonce, setupCode } = proof;
    const ask = { asked, nonce, setupCode, remoteIp: clientIp(c) };
    const result = await askToPair(depsOf(c), application, ask, now);
    switch (result.type) {
      case "refused":
        return refuse(c, result.refusal);
      case "token":
        return c.json({
          status: "approved",
          pair_request_id: result.requestId,
          device_id: asked.deviceId,
          device_token: result.token,
          role: result.role,
          scopes: result.scopes,
        });
      case "pending":
        return c.json(
          {
            pair_request_id: result.request.id,
            status: "pending",
            expires_at: toTime(result.request.expiresAt),
            poll_token: pollToken(secret, application.id, result.request.id),
            interval: POLL_SECONDS,
            fingerprint: fingerprint(asked.deviceId),
          },
          202,
        );
    }
  });

  app.get(`${pairing}/requests/:id{[A-Za-z0-9._-]+}`, async (c) => {
    const now = Date.now();
    const application = c.req.param("application");
    const id = c.req.param("id");
    if (!isPollToken(c.var.config.secret, application, id, readCredential(c, now))) {
      return fail(c, now, wrongPollToken);
    }
    if (!pace.allows(id, now)) throw new Refused(slowDown);
    const result = await pollRequest(c.var.db, application, id, now);
    if (!result) throw new Refused(toHttpRefusal({ code: "request-not-found" }));
    const { status, token } = result;
    if (!token) return c.json({ status });
    return c.json({ status, device_token: token.token, role: token.role, scopes: token.scopes });
  });
}

const wrongPollToken = {
  status: 401,
  code: "wrong-poll-token",
  message: "This is not the poll_token of this request. Ask again to get it again.",
  headers: { "WWW-Authenticate": "Bearer" },
} as const;

const slowDown = {
  status: 429,
  code: "slow_down",
  message: `Poll every ${POLL_SECONDS} seconds, as interval says.`,
  headers: { "Retry-After": String(POLL_SECONDS) },
} as const;

async function requireApplication(c: Call): Promise<Application> {
  const id = c.req.param("application") ?? "";
  const [application] = await selectApplication(c.var.db, null, id);
  if (!application) throw new Refused(toHttpRefusal({ code: "application-not-found" }));
  return application;
}

/** What does not prove itself counts as a failed authentication: keys and codes are not to be guessed. */
function refuse(c: Call, refusal: DeviceRefusal): never {
  if (refusal.code === "wrong-signature" || refusal.code === "invalid-setup-code") {
    return fail(c, Date.now(), toHttpRefusal(refusal));
  }
  throw new Refused(toHttpRefusal(refusal));
}

function requireFewAsks(c: Call): void {
  const now = Date.now();
  const retryAfter = asks.retryAfterSeconds(clientIp(c), ASKS_PER_MINUTE, now);
  if (retryAfter > 0) {
    throw new Refused({
      status: 429,
      code: "too-many-asks",
      message: "Too many pairing calls from your address. Wait as long as Retry-After says.",
      headers: { "Retry-After": String(retryAfter) },
    });
  }
  asks.count(clientIp(c), now);
}
