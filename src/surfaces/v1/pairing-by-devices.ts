/**
 * Pairing on `/v1` for devices, which have no API key: they fetch a challenge, send a request, and poll
 * for the decision.
 */
import type { Hono } from "hono";
import { type Application, selectApplication } from "../../devices/application-store";
import { readCredential } from "../../http/authenticate";
import { readBody } from "../../http/body";
import { refuseAndCount } from "../../http/failed-attempts";
import { countCall, POLL_SECONDS, requireBelowLimit } from "../../http/rate-limits";
import { type AppEnv, type Call, clientIp, Refused } from "../../http/request-context";
import { newChallenge } from "../../pairing/challenge";
import { pollRequest } from "../../pairing/collect-token";
import { fingerprint } from "../../pairing/device-key";
import { judgeProof } from "../../pairing/device-proof";
import { isPollToken, pollToken } from "../../pairing/poll-token";
import { requestPairing } from "../../pairing/request-pairing";
import { type DeviceRefusal, toDeviceRefusal } from "../shared/device-refusals";
import { deviceServices } from "../shared/device-services";
import { toRfc3339 } from "../shared/wire-time";
import { APPLICATION_PATH, applicationNotFound } from "./device-paths";
import { pairingRequestBody } from "./device-wire";

const PAIRING_PATH = `${APPLICATION_PATH}/pairing`;

/** Adds the routes to the app. */
export function pairingByDeviceRoutes(app: Hono<AppEnv>): void {
  challengeRoute(app);
  requestRoute(app);
  pollRoute(app);
}

function challengeRoute(app: Hono<AppEnv>): void {
  app.post(`${PAIRING_PATH}/challenges`, async (c) => {
    const now = Date.now();
    countCall(c, "pairingCalls", now);
    const { id } = await requireApplication(c);
    const { nonce, expiresAt } = newChallenge(c.var.config.secret, id, now);
    return c.json({ nonce, expires_at: toRfc3339(expiresAt), server_time: toRfc3339(now) }, 201);
  });
}

function requestRoute(app: Hono<AppEnv>): void {
  app.post(`${PAIRING_PATH}/requests`, async (c) => {
    countCall(c, "pairingCalls", Date.now());
    const { requested, proof } = await readBody(c, pairingRequestBody);
    const application = await requireApplication(c);
    const { secret } = c.var.config;
    const now = Date.now();
    const signed = { applicationId: application.id, requested, proof };
    const unproven = await judgeProof(secret, signed, now);
    if (unproven) return refuse(c, unproven);
    const { nonce, setupCode } = proof;
    if (setupCode !== null) requireBelowLimit(c, "failedAuthentications", now);
    const proven = { requested, nonce, setupCode, remoteIp: clientIp(c) };
    const result = await requestPairing(deviceServices(c), application, proven, now);
    switch (result.type) {
      case "refused":
        return refuse(c, result.refusal);
      case "token":
        return c.json({
          status: "approved",
          pair_request_id: result.requestId,
          device_id: requested.deviceId,
          device_token: result.token,
          role: result.role,
          scopes: result.scopes,
        });
      case "pending":
        return c.json(
          {
            pair_request_id: result.request.id,
            status: "pending",
            expires_at: toRfc3339(result.request.expiresAt),
            poll_token: pollToken(secret, application.id, result.request.id),
            interval: POLL_SECONDS,
            fingerprint: fingerprint(requested.deviceId),
          },
          202,
        );
    }
  });
}

function pollRoute(app: Hono<AppEnv>): void {
  app.get(`${PAIRING_PATH}/requests/:id{[A-Za-z0-9._-]+}`, async (c) => {
    const now = Date.now();
    const application = c.req.param("application");
    const id = c.req.param("id");
    if (!isPollToken(c.var.config.secret, application, id, readCredential(c, now))) {
      return refuseAndCount(c, now, wrongPollToken);
    }
    countCall(c, "polls", now, id);
    const result = await pollRequest(c.var.db, application, id, now);
    if (!result) throw new Refused(toDeviceRefusal({ code: "request-not-found" }));
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

async function requireApplication(c: Call): Promise<Application> {
  const id = c.req.param("application") ?? "";
  const [application] = await selectApplication(c.var.db, null, id);
  if (!application) throw applicationNotFound();
  return application;
}

/**
 * Refuses a pairing request. A wrong signature or setup code counts as a failed authentication, against
 * guessing.
 */
function refuse(c: Call, refusal: DeviceRefusal): never {
  if (refusal.code === "wrong-signature" || refusal.code === "invalid-setup-code") {
    return refuseAndCount(c, Date.now(), toDeviceRefusal(refusal));
  }
  throw new Refused(toDeviceRefusal(refusal));
}
