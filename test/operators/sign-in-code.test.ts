/** Sign-in codes: the root token makes them, and each signs one person in, once, as an API key. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { SIGN_IN_CODE_MS } from "../../src/operators/sign-in-code";
import { type Answer, call, newOrganisation, type Tenant } from "../support/client";
import { otherIsolate } from "../support/isolates";
import { newKey, patchKey, type TestKey } from "../support/keys";
import { rowsOf, settled, written } from "../support/rows";
import { anyAddress } from "../support/sessions";
import { fillPath, send, TESTED_OPERATIONS } from "../support/tested-operations";

afterEach(() => {
  vi.useRealTimers();
});

const make = (keyId: unknown): Promise<Answer> =>
  call("POST", "/v1/auth/sign-in-codes", {
    key: env.DRAWBRIDGE_ROOT_TOKEN,
    body: { key_id: keyId },
  });

const exchange = (code: string, headers: Record<string, string> = {}): Promise<Answer> =>
  call("POST", "/v1/auth/session-tokens", { body: { code }, headers });

async function newCode(keyId: number): Promise<string> {
  const answer = await make(keyId);
  expect(answer.status, answer.text).toBe(201);
  return answer.body.code;
}

const operatorKey = (tenant: Tenant, more: Record<string, unknown> = {}): Promise<TestKey> =>
  newKey(tenant, { permissions: ["operator:sign-in", "relays:read"], ...more });

/** Signs in with a code, which must work. */
async function signInWith(code: string): Promise<string> {
  const answer = await exchange(code);
  expect(answer.status, answer.text).toBe(201);
  return answer.body.session_token;
}

const whoAmI = (key: string) => call("GET", "/v1/auth/session-tokens", { key });

describe("a sign-in code", () => {
  test("signs a person in as its key, for as long as the key itself would", async () => {
    const tenant = await newOrganisation();
    const key = await operatorKey(tenant);
    const { body } = await make(key.id);
    expect(Object.keys(body)).toEqual(["code", "expires_at"]);
    const { body: signedIn } = await exchange(body.code);
    const { body: withKey } = await call("POST", "/v1/auth/session-tokens", {
      body: { token: key.token },
    });
    const difference = Date.parse(withKey.expires_at) - Date.parse(signedIn.expires_at);
    expect(Math.abs(difference)).toBeLessThan(60_000);
    expect((await whoAmI(signedIn.session_token)).body).toMatchObject({
      key_id: key.id,
      signed_in: true,
      email: null,
      permissions: ["operator:sign-in", "relays:read"],
    });
    const use = (path: string) => call("GET", path, { key: signedIn.session_token });
    expect((await use("/v1/relays/sessions")).status).toBe(200);
    expect((await use("/api-keys")).status).toBe(403);
  });

  test("may stand in the fragment of a URL as it is, and differs each time", async () => {
    const { id } = await operatorKey(await newOrganisation());
    const codes = [await newCode(id), await newCode(id)];
    for (const code of codes) {
      expect(code).toMatch(/^drbc_[A-Za-z0-9_-]{64}$/);
      expect(new URL(`https://relay.example.com/console#code=${code}`).hash).toBe(`#code=${code}`);
    }
    expect(codes[0]).not.toBe(codes[1]);
  });

  test("is good once", async () => {
    const code = await newCode((await operatorKey(await newOrganisation())).id);
    await signInWith(code);
    expect((await exchange(code)).body).toMatchObject({ status: 401, code: "sign-in-code-used" });
  });

  test("gives one session token to several who use it at the same moment, also in two isolates", async () => {
    const code = await newCode((await operatorKey(await newOrganisation())).id);
    const there = await otherIsolate();
    const elsewhere = () => there("POST", "/v1/auth/session-tokens", { body: { code } });
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? exchange(code) : elsewhere())),
    );
    const won = answers.filter(({ status }) => status === 201);
    expect(won).toHaveLength(1);
    for (const answer of answers.filter((each) => !won.includes(each))) {
      expect(answer.body).toMatchObject({ status: 401, code: "sign-in-code-used" });
    }
  });

  test("is good for ten minutes, and never once it has been used", async () => {
    const { id } = await operatorKey(await newOrganisation());
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const { body } = await make(id);
    expect(Date.parse(body.expires_at)).toBe(now + SIGN_IN_CODE_MS);
    const [late, used] = [await newCode(id), await newCode(id)];
    await signInWith(used);
    vi.setSystemTime(now + SIGN_IN_CODE_MS - 1);
    await signInWith(body.code);
    expect((await exchange(used)).body.code).toBe("sign-in-code-used");
    vi.setSystemTime(now + SIGN_IN_CODE_MS);
    for (const code of [late, used]) {
      expect((await exchange(code)).body).toMatchObject({
        status: 401,
        code: "sign-in-code-ended",
      });
    }
  });

  test("ends with its key", async () => {
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const soon = now + 60_000;
    const { id } = await operatorKey(await newOrganisation(), {
      expiresAt: new Date(soon).toISOString(),
    });
    const { body } = await make(id);
    expect(Date.parse(body.expires_at)).toBe(soon);
    vi.setSystemTime(soon);
    expect((await exchange(body.code)).status).toBe(401);
  });

  test.each<[string, (tenant: Tenant, key: TestKey) => Promise<Answer>, number, string]>([
    [
      "refreshed",
      (tenant, { id }) => patchKey(tenant, id, { refreshApiToken: true }),
      401,
      "sign-in-code-ended",
    ],
    [
      "refreshed with a grace",
      (tenant, { id }) => patchKey(tenant, id, { refreshApiToken: true, refreshGraceSeconds: 600 }),
      401,
      "sign-in-code-ended",
    ],
    ["blocked", (tenant, { id }) => patchKey(tenant, id, { blocked: true }), 401, "blocked-key"],
    [
      "deleted",
      ({ key }, { id }) => call("DELETE", `/api-keys/${id}`, { key }),
      401,
      "sign-in-code-ended",
    ],
    [
      "kept from signing operators in",
      (tenant, { id }) => patchKey(tenant, id, { permissions: ["relays:read"] }),
      403,
      "missing-permission",
    ],
    [
      "bound to other addresses",
      (tenant, { id }) => patchKey(tenant, id, { ipAllowlist: ["192.0.2.0/24"] }),
      403,
      "address-refused",
    ],
  ])("signs nobody in once its key was %s", async (_, change, status, code) => {
    const tenant = await newOrganisation();
    const key = await operatorKey(tenant);
    const made = await newCode(key.id);
    expect((await change(tenant, key)).status).toBe(200);
    expect((await exchange(made)).body).toMatchObject({ status, code });
  });

  test("is still good after its key has signed in too often, and is no sign-in once it is used", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const key = await operatorKey(await newOrganisation());
    const [used, kept] = [await newCode(key.id), await newCode(key.id)];
    await signInWith(used);
    for (let i = 0; i < 60; i++) expect((await exchange(used)).status).toBe(401);
    const withKey = { body: { token: key.token } };
    for (let i = 1; i < 60; i++) await call("POST", "/v1/auth/session-tokens", withKey);
    expect((await exchange(kept)).body).toMatchObject({ status: 429, code: "too-many-sign-ins" });
    vi.setSystemTime(Date.now() + 60_001);
    await signInWith(kept);
  });

  test("is still good after a sign-in that was refused", async () => {
    const tenant = await newOrganisation();
    const key = await operatorKey(tenant);
    const code = await newCode(key.id);
    await patchKey(tenant, key.id, { blocked: true });
    expect((await exchange(code)).status).toBe(401);
    await patchKey(tenant, key.id, { blocked: false });
    const foreign = await exchange(code, { "X-Organisation-Id": "999999999" });
    expect(foreign.status).toBe(404);
    await signInWith(code);
  });

  test("is refused when any of its characters is another, and counts as a failed authentication", async () => {
    // Failures are counted by the minute.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const { id } = await operatorKey(await newOrganisation());
    const code = await newCode(id);
    const ip = anyAddress();
    const attempt = (text: string) =>
      call("POST", "/v1/auth/session-tokens", { body: { code: text }, ip });
    const forgeries = Array.from({ length: 64 }, (_, i) => {
      const at = "drbc_".length + i;
      return `${code.slice(0, at)}${code[at] === "A" ? "B" : "A"}${code.slice(at + 1)}`;
    });
    const others = ["", "drbc_", `${code} `, `${code}A`, code.slice(0, -1), code.slice(5), "é"];
    for (const text of [...forgeries, ...others]) {
      expect((await attempt(text)).body).toMatchObject({
        status: 401,
        code: "unknown-sign-in-code",
      });
    }
    await signInWith(code);
    for (let i = forgeries.length + others.length; i < 300; i++) {
      expect((await attempt(i % 2 === 0 ? code : "drbc_")).status).toBe(401);
    }
    expect((await attempt(code)).body).toMatchObject({ status: 429, code: "too-many-failures" });
    expect((await attempt("drbc_")).status).toBe(429);
    // Nobody can guess a code, so a right one still works from there.
    expect((await attempt(await newCode(id))).status).toBe(201);
  });

  test("is refused where another deployment made it", async () => {
    const { id } = await operatorKey(await newOrganisation());
    const elsewhere = await otherIsolate({ DRAWBRIDGE_SECRET: `${env.DRAWBRIDGE_SECRET}!` });
    const { body } = await elsewhere("POST", "/v1/auth/sign-in-codes", {
      key: env.DRAWBRIDGE_ROOT_TOKEN,
      body: { key_id: id },
    });
    expect((await exchange(body.code)).body.code).toBe("unknown-sign-in-code");
  });

  test("is no credential for any other call", async () => {
    const tenant = await newOrganisation();
    const code = await newCode((await newKey(tenant, { permissions: ["*"] })).id);
    // A websocket's tokens are refused where it is opened: they are numbers.
    const guarded = TESTED_OPERATIONS.filter(
      ({ operation: { caller, answers } }) =>
        !(caller.by === "handler" && caller.security.length === 0) && !(101 in answers),
    );
    for (const at of guarded) {
      const { operation } = at;
      const { params = {}, query = {}, body } = operation.example;
      const request = { path: fillPath(operation, params, query), body };
      const answer = await send({ ...at, keyIn: "header" }, request, code, { ip: anyAddress() });
      // The RPC has a code of its own for it.
      const isRefused = answer.status === 401 || answer.body.Code === "InvalidAccessKeyId.NotFound";
      expect(isRefused, `${at.id}: ${answer.text}`).toBe(true);
    }
    for (const field of ["token", "session_token"]) {
      const refused = await call("POST", "/v1/auth/session-tokens", { body: { [field]: code } });
      expect([400, 401]).toContain(refused.status);
    }
    await signInWith(code);
  });

  test.each<[string, (code: string) => object, string]>([
    ["a token beside it", (code) => ({ code, token: code }), "no other field"],
    ["another field", (code) => ({ code, email: "ana@example.com" }), "email is not a field"],
    ["a number for it", () => ({ code: 7 }), "as text"],
    ["null for it", () => ({ code: null }), "as text"],
  ])("is not looked at with %s in the body", async (_, body, words) => {
    const code = await newCode((await operatorKey(await newOrganisation())).id);
    const refused = await call("POST", "/v1/auth/session-tokens", { body: body(code) });
    expect(refused.body).toMatchObject({
      status: 400,
      code: "invalid-body",
      detail: expect.stringContaining(words),
    });
    await signInWith(code);
  });

  test("costs no row when it is made, and one when it is used", async () => {
    const { id } = await operatorKey(await newOrganisation());
    await settled();
    let code = "";
    const made = await rowsOf(async () => {
      code = await newCode(id);
    });
    expect(written(made)).toBe(0);
    expect(written(await rowsOf(() => signInWith(code)))).toBe(1);
  });
});

describe("a sign-in with a code and an Idempotency-Key", () => {
  const headers = { "Idempotency-Key": "in" };

  test("gives its first answer again, and needs the key for it", async () => {
    const code = await newCode((await operatorKey(await newOrganisation())).id);
    const first = await exchange(code, headers);
    const again = await exchange(code, headers);
    expect([again.status, again.text]).toEqual([201, first.text]);
    expect(again.headers.get("Idempotent-Replayed")).toBe("true");
    for (const others of [{}, { "Idempotency-Key": "other" }]) {
      expect((await exchange(code, others)).body.code).toBe("sign-in-code-used");
    }
  });

  test("never gives the answer of another person with the same key", async () => {
    const tenant = await newOrganisation();
    const key = await operatorKey(tenant);
    const answers = [
      await exchange(await newCode(key.id), headers),
      await exchange(await newCode(key.id), headers),
      await call("POST", "/v1/auth/session-tokens", { body: { token: key.token }, headers }),
    ];
    for (const answer of answers) {
      expect([answer.status, answer.headers.get("Idempotent-Replayed")]).toEqual([201, null]);
    }
    expect(new Set(answers.map(({ body }) => body.session_token)).size).toBe(3);
  });
});

describe("making a sign-in code", () => {
  test("is not possible for a key that does not exist", async () => {
    const tenant = await newOrganisation();
    const gone = await operatorKey(tenant);
    await call("DELETE", `/api-keys/${gone.id}`, { key: tenant.key });
    for (const id of [gone.id, 999_999_999, Number.MAX_SAFE_INTEGER]) {
      expect((await make(id)).body).toMatchObject({ status: 404, code: "api-key-not-found" });
    }
    const other = await newOrganisation();
    const orphan = await operatorKey(other);
    await call("DELETE", `/v1/organisations/${other.id}`, { key: env.DRAWBRIDGE_ROOT_TOKEN });
    expect((await make(orphan.id)).status).toBe(404);
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["lacks operator:sign-in", { permissions: ["relays:read"] }, "operator:sign-in"],
    ["is publishable", { permissions: ["relays:host"] }, "operator:sign-in"],
    ["is blocked", { blocked: true }, "Unblock it"],
    ["has expired", { expires_at: 1 }, "later end"],
  ])("is refused for a key that %s, and says so", async (_, traits, words) => {
    const tenant = await newOrganisation();
    const { permissions, blocked, expires_at } = traits;
    const key = await operatorKey(tenant, permissions ? { permissions } : {});
    if (blocked) await patchKey(tenant, key.id, { blocked });
    if (expires_at) {
      await env.DB.prepare("update api_keys set expires_at = 1 where id = ?").bind(key.id).run();
    }
    expect((await make(key.id)).body).toMatchObject({
      status: 409,
      code: "key-cannot-sign-in",
      detail: expect.stringContaining(words),
    });
  });

  test.each([["1"], [0], [-1], [1.5], [null], [undefined], [{}]])(
    "is refused for %j in place of an id",
    async (id) => {
      expect((await make(id)).body).toMatchObject({ status: 400, code: "invalid-body" });
    },
  );
});
