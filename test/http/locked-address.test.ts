/**
 * What an address may still do after 300 failed authentications: everything with a credential that
 * cannot be guessed, and nothing with one that could be.
 */
import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { newToken } from "../../src/keys/key-token";
import { pairOf, send, signAcs3, signV1 } from "../support/alibaba";
import { call } from "../support/client";
import {
  ask,
  newAddress,
  newApplication,
  newDevice,
  pair,
  request,
  type TestApplication,
} from "../support/devices";
import { signIn } from "../support/keys";
import { SESSIONS } from "../support/sessions";
import { newActive, newBroker, newConnector } from "../support/source-sessions";

const ip = newAddress();
let at: TestApplication;

beforeAll(async () => {
  // The lock lasts a minute, and the clock is stopped here.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  at = await newApplication();
  for (let i = 0; i < 300; i++) await call("GET", SESSIONS, { key: "nonsense", ip });
});

afterAll(() => {
  vi.useRealTimers();
});

const list = { action: "ListPolarClawDevicePairs" };
const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` }, ip });

describe("an address with too many failed authentications", () => {
  test("may still use an API key", async () => {
    expect((await call("GET", SESSIONS, { key: at.key, ip })).status).toBe(200);
  });

  test("may still use the root token", async () => {
    const root = { key: env.DRAWBRIDGE_ROOT_TOKEN, ip };
    expect((await call("GET", "/v1/organisations", root)).status).toBe(200);
  });

  test("may still sign an operator in, and use the session token", async () => {
    const token = { body: { token: at.key }, ip };
    expect((await call("POST", "/v1/auth/session-tokens", token)).status).toBe(201);
    const session = await signIn(at.key);
    expect((await call("GET", SESSIONS, bearer(session))).status).toBe(200);
  });

  test.each([
    ["ACS3", signAcs3],
    ["HMAC-SHA1", signV1],
  ])("may still sign with an access key: %s", async (_name, sign) => {
    const signed = sign(await pairOf(at), { ...list, query: { ApplicationId: at.application } });
    expect(await send(signed, ip)).toEqual({ status: 200, code: 200 });
  });

  test("may still sign as a connector", async () => {
    const broker = await newBroker();
    const { type, secret } = await newConnector(broker, { result: "active" });
    const id = await newActive(broker, { type });
    const body = '{"reason":"service"}';
    const now = new Date();
    const headers = {
      "webhook-id": "msg_1",
      "webhook-timestamp": String(Math.floor(now.getTime() / 1_000)),
      "webhook-signature": new Webhook(secret).sign("msg_1", now, body),
    };
    const ended = await call("POST", `/v1/sessions/${id}:expire`, { body, headers, ip });
    expect(ended.status).toBe(200);
  });

  test("may still sign as a device, and use a poll token", async () => {
    const asked = await request(at, await newDevice(), { ip });
    const path = `${at.path}/pairing/requests/${asked.id}`;
    expect((await call("GET", path, bearer(asked.pollToken))).status).toBe(200);
  });

  test("may still use a device token", async () => {
    const device = await newDevice();
    const { token } = await pair(at, device);
    const rotated = await call("POST", `${at.path}/devices/${device.id}/tokens:rotate`, {
      ...bearer(token),
      body: { role: "operator" },
    });
    expect(rotated.status).toBe(200);
  });

  test("may not use a setup code, which still works from elsewhere", async () => {
    const { body: made } = await call("POST", `${at.path}/setup-codes`, {
      key: at.key,
      body: { role: "operator", scopes: ["operator.read"], ttl_seconds: 600 },
    });
    const device = await newDevice();
    const refused = await ask(at, device, { setupCode: made.setup_code, ip });
    expect([refused.status, refused.body.code]).toEqual([429, "too-many-failures"]);
    const elsewhere = await ask(at, device, { setupCode: made.setup_code });
    expect([elsewhere.status, elsewhere.body.status]).toEqual([200, "approved"]);
  });

  test.each<[string, () => Promise<{ status: number }>]>([
    ["key", () => call("GET", SESSIONS, { key: newToken(), ip })],
    ["root token", () => call("GET", "/v1/organisations", { key: "x".repeat(40), ip })],
    ["signature", async () => send(signV1({ ...(await pairOf(at)), secret: "no" }, list), ip)],
    [
      "poll token",
      async () => {
        const { id } = await request(at, await newDevice());
        return call("GET", `${at.path}/pairing/requests/${id}`, bearer("drbp_no"));
      },
    ],
  ])("is told to wait with a wrong %s", async (_name, attempt) => {
    expect((await attempt()).status).toBe(429);
  });
});
