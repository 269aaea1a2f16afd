/** Operators sign in with an API key, act with its permissions, and sign out. */
import { env } from "cloudflare:workers";
import { SignJWT, UnsecuredJWT } from "jose";
import { afterEach, describe, expect, test, vi } from "vitest";
import { openDatabase } from "../../src/db/open";
import { HOST_SESSIONS, PERMISSIONS } from "../../src/keys/permissions";
import { sweepSignedOut } from "../../src/operators/operator-store";
import { OPERATOR_SESSION_MS, signSessionToken } from "../../src/operators/session-token";
import { ACTIONS } from "../../src/surfaces/polarclaw/actions";
import { call, newOrganisation } from "../support/client";
import { newApplication } from "../support/devices";
import { keyBody, newKey, patchKey, signIn } from "../support/keys";
import { d1CallsOf, rowsOf, written } from "../support/rows";

afterEach(() => {
  vi.useRealTimers();
});

const post = (body: unknown, options = {}) =>
  call("POST", "/v1/auth/session-tokens", { body, ...options });
const use = (key: string) => call("GET", "/v1/relays/sessions", { key });

describe("signing in", () => {
  test("takes an API key that lets operators in, and gives what the key holds for twelve hours", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, { permissions: ["operator:sign-in", "keys:read"] });
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const answer = await post({ token: key.token });
    expect(answer.status).toBe(201);
    expect(Object.keys(answer.body)).toEqual(["session_token", "expires_at"]);
    const expiresAt = Date.parse(answer.body.expires_at);
    expect(expiresAt).toBe(Math.floor((now + OPERATOR_SESSION_MS) / 1_000) * 1_000);
    const session = answer.body.session_token;
    const list = async () =>
      call("GET", "/api-keys", { headers: { Authorization: `Bearer ${session}` } });
    expect((await list()).status).toBe(200);
    expect((await use(session)).status).toBe(403);
    vi.setSystemTime(expiresAt - 1);
    expect((await list()).status).toBe(200);
    vi.setSystemTime(expiresAt);
    expect((await list()).body).toMatchObject({ status: 401, code: "session-ended" });
  });

  test("lets an operator manage keys as the key itself may", async () => {
    const tenant = await newOrganisation();
    const session = await signIn(tenant.key);
    const made = await call("POST", "/api-keys", { key: session, body: keyBody(tenant) });
    expect(made.status).toBe(201);
    const key = await newKey(tenant, {
      permissions: ["operator:sign-in", "keys:write", "relays:read"],
    });
    const weak = await signIn(key.token);
    const body = keyBody(tenant, { permissions: ["relays:write"] });
    const refused = await call("POST", "/api-keys", { key: weak, body });
    expect(refused.body.code).toBe("permission-not-held");
    const own = await patchKey(tenant, key.id, { expiresAt: null, blocked: false }, weak);
    expect(own.status).toBe(200);
  });

  test("is refused to a key that does not let operators in", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    expect((await post({ token: key.token })).body).toMatchObject({
      status: 403,
      code: "missing-permission",
      detail: expect.stringContaining("operator:sign-in"),
    });
  });

  test.each([
    ["a token that is none", { token: "drb_nonsense" }, 401],
    ["an unknown token", { token: "drb_qkJaB6MffYVzZXWqmcoF49yrUxP3wf0LsakP" }, 401],
    ["no token", {}, 400],
    ["another field", { token: "x", password: "y" }, 400],
    ["no body", undefined, 400],
  ])("is refused with %s", async (_, body, status) => {
    expect((await post(body)).status).toBe(status);
  });

  test("is refused to a blocked key, and to a session token", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, { permissions: ["operator:sign-in"] });
    const session = await signIn(key.token);
    expect((await post({ token: session })).status).toBe(401);
    await patchKey(tenant, key.id, { blocked: true });
    expect((await post({ token: key.token })).body.code).toBe("blocked-key");
  });

  test("lasts no longer than the key, or than the grace of the token that was used", async () => {
    const tenant = await newOrganisation();
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const soon = Math.floor(now / 1_000) * 1_000 + 60_000;
    const short = await newKey(tenant, {
      permissions: ["operator:sign-in"],
      expiresAt: new Date(soon).toISOString(),
    });
    const ends = async (token: string) => Date.parse((await post({ token })).body.expires_at);
    expect(await ends(short.token)).toBe(soon);
    const key = await newKey(tenant, { permissions: ["operator:sign-in"] });
    await patchKey(tenant, key.id, { refreshApiToken: true, refreshGraceSeconds: 60 });
    expect(await ends(key.token)).toBeLessThanOrEqual(now + 60_000);
  });

  test("gives the same session token for a repeat with its Idempotency-Key", async () => {
    const tenant = await newOrganisation();
    const headers = { "Idempotency-Key": "in" };
    const first = await post({ token: tenant.key }, { headers });
    const second = await post({ token: tenant.key }, { headers });
    expect(second.body).toEqual(first.body);
  });

  test("is limited for one key, so that no list of sign-outs grows without end", async () => {
    const tenant = await newOrganisation();
    const statuses = [];
    for (let i = 0; i < 61; i++) statuses.push((await post({ token: tenant.key })).status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(60);
    expect(statuses.at(-1)).toBe(429);
  });
});

describe("a session token", () => {
  test("is made without a write, and is refused without a read when it is forged", async () => {
    const tenant = await newOrganisation();
    const rows = await rowsOf(() => post({ token: tenant.key }));
    expect(written(rows)).toBe(0);
    const [head, body] = (await signIn(tenant.key)).split(".");
    const forged = await d1CallsOf(async () => {
      expect((await use(`${head}.${body}.${"A".repeat(43)}`)).status).toBe(401);
    });
    expect(forged).toEqual([]);
  });

  test("is refused with another secret, algorithm, type or time", async () => {
    const tenant = await newOrganisation();
    const { results } = await env.DB.prepare(
      "select key_id from organisation_keys where organisation_id = ?",
    )
      .bind(tenant.id)
      .all<{ key_id: number }>();
    const keyId = results[0]?.key_id ?? 0;
    const now = Date.now();
    const expiresAt = now + 60_000;
    const session = {
      keyId,
      tokenVersion: 1,
      tokenId: "x",
      expiresAt,
      email: null,
      tokenEndsAt: null,
    };
    const good = await signSessionToken(env.DRAWBRIDGE_SECRET, session, now);
    expect((await use(good)).status).toBe(200);
    const claims = { ver: 1, sub: String(keyId), jti: "x", iss: "drawbridge" };
    const forgeries = [
      await signSessionToken(`${env.DRAWBRIDGE_SECRET}!`, session, now),
      await signSessionToken(env.DRAWBRIDGE_SECRET, { ...session, expiresAt: now - 1_000 }, now),
      await signSessionToken(env.DRAWBRIDGE_SECRET, { ...session, tokenVersion: 2 }, now),
      await signSessionToken(env.DRAWBRIDGE_SECRET, { ...session, keyId: 999_999_999 }, now),
      new UnsecuredJWT(claims).setExpirationTime("1h").encode(),
      await new SignJWT(claims)
        .setProtectedHeader({ alg: "HS256", typ: "drawbridge-session+jwt" })
        .setExpirationTime("1h")
        .sign(new TextEncoder().encode(env.DRAWBRIDGE_SECRET)),
    ];
    for (const forgery of forgeries) expect((await use(forgery)).status).toBe(401);
  });

  // `test/http/every-route.test.ts` has every other operation.
  test.each(Object.entries(ACTIONS))("may %s over the RPC if its key may", async (name, action) => {
    const at = await newApplication();
    const query = new URLSearchParams({
      Action: name,
      Version: "2017-08-01",
      ApplicationId: at.application,
      PairRequestId: "pr-none",
      DeviceId: "none",
    });
    const statusFor = async (permissions: string[]) => {
      const key = await newKey(at, { permissions: ["operator:sign-in", ...permissions] });
      return (await call("POST", `/?${query}`, { key: await signIn(key.token) })).status;
    };
    const others = PERMISSIONS.filter(
      (each) => each !== action.permission && each !== HOST_SESSIONS,
    );
    expect(await statusFor(others)).toBe(403);
    // No device waits: the request that is named does not exist.
    expect(await statusFor([action.permission])).toBe(name.startsWith("List") ? 200 : 404);
  });

  test("ends at once, alone, when its operator signs out, and a second sign-out is no error", async () => {
    const tenant = await newOrganisation();
    const [one, two] = [await signIn(tenant.key), await signIn(tenant.key)];
    const out = await call("DELETE", "/v1/auth/session-tokens", { key: one });
    expect(out.status).toBe(204);
    expect((await use(one)).status).toBe(401);
    expect((await use(two)).status).toBe(200);
    const again = await call("DELETE", "/v1/auth/session-tokens", { key: one });
    expect(again.body).toMatchObject({ status: 401, code: "session-ended" });
  });

  test("is needed to sign out: an API key cannot be signed out", async () => {
    const tenant = await newOrganisation();
    const answer = await call("DELETE", "/v1/auth/session-tokens", { key: tenant.key });
    expect(answer.body).toMatchObject({ status: 400, code: "not-a-session-token" });
    expect((await use(tenant.key)).status).toBe(200);
  });

  test("ends when its key may no longer let operators in", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, { permissions: ["operator:sign-in", "relays:read"] });
    const session = await signIn(key.token);
    await patchKey(tenant, key.id, { permissions: ["relays:read"] });
    expect((await use(session)).status).toBe(401);
    expect((await use(key.token)).status).toBe(200);
  });

  test("stays in the list of sign-outs until it would have ended, and not longer", async () => {
    const tenant = await newOrganisation();
    const db = openDatabase(env);
    await call("DELETE", "/v1/auth/session-tokens", { key: await signIn(tenant.key) });
    const count = async () =>
      (await env.DB.prepare("select count(*) as n from signed_out_tokens").first())?.n;
    const before = await count();
    await sweepSignedOut(db, Date.now(), 100);
    expect(await count()).toBe(before);
    expect(await sweepSignedOut(db, Date.now() + OPERATOR_SESSION_MS, 100)).toBe(before);
    expect(await count()).toBe(0);
  });
});
