/**
 * A change of a key takes effect at once in the isolate that made it, and within the stated bound
 * in all others. A second copy of the Worker, with caches of its own, shows that.
 */
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { KEY_CACHE_MS } from "../../src/keys/key-cache";
import { tokenDigest } from "../../src/keys/key-token";
import { call, newOrganisation, type Tenant } from "../support/client";
import { eventually } from "../support/eventually";
import { otherIsolate } from "../support/isolates";
import { newKey, patchKey, signIn, type TestKey } from "../support/keys";
import { rowsOf } from "../support/rows";

let elsewhere: Awaited<ReturnType<typeof otherIsolate>>;
let now: number;

beforeAll(async () => {
  elsewhere = await otherIsolate();
});

beforeEach(() => {
  now = Date.now();
  vi.useFakeTimers({ toFake: ["Date"], now });
});

afterEach(() => {
  vi.useRealTimers();
});

const here = async (key: string) => (await call("GET", "/v1/relays/sessions", { key })).status;
const there = async (key: string) =>
  (await elsewhere("GET", "/v1/relays/sessions", { key })).status;

const revocations: [string, (tenant: Tenant, key: TestKey) => Promise<{ status: number }>][] = [
  ["blocked", (tenant, { id }) => patchKey(tenant, id, { blocked: true })],
  ["refreshed", (tenant, { id }) => patchKey(tenant, id, { refreshApiToken: true })],
  ["narrowed", (tenant, { id }) => patchKey(tenant, id, { permissions: ["accessFtp"] })],
  ["bound elsewhere", (tenant, { id }) => patchKey(tenant, id, { ipAllowlist: ["192.0.2.0/24"] })],
  ["deleted", (tenant, { id }) => call("DELETE", `/api-keys/${id}`, { key: tenant.key })],
];

describe("the bound on revocation", () => {
  test("is the one that the README states", () => {
    expect(KEY_CACHE_MS).toBe(10_000);
  });

  test.each(revocations)(
    "holds for a key that was %s: refused at once by this isolate, and within the bound by another",
    async (_, revoke) => {
      const tenant = await newOrganisation();
      const key = await newKey(tenant);
      expect([await here(key.token), await there(key.token)]).toEqual([200, 200]);
      expect((await revoke(tenant, key)).status).toBe(200);
      expect(await here(key.token)).toBe(403);
      vi.setSystemTime(now + KEY_CACHE_MS - 1);
      expect(await there(key.token)).toBe(200);
      vi.setSystemTime(now + KEY_CACHE_MS);
      expect(await there(key.token)).toBe(403);
    },
  );

  test.each(revocations)("holds for an operator whose key was %s", async (_, revoke) => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, { permissions: ["operator:sign-in", "relays:read"] });
    const session = await signIn(key.token);
    expect([await here(session), await there(session)]).toEqual([200, 200]);
    expect((await revoke(tenant, key)).status).toBe(200);
    expect(await here(session)).toBeGreaterThanOrEqual(401);
    vi.setSystemTime(now + KEY_CACHE_MS - 1);
    expect(await there(session)).toBe(200);
    vi.setSystemTime(now + KEY_CACHE_MS);
    expect(await there(session)).toBeGreaterThanOrEqual(401);
  });

  test("holds for an operator who signed out, and costs no read besides that of the key", async () => {
    const tenant = await newOrganisation();
    const session = await signIn(tenant.key);
    const other = await signIn(tenant.key);
    expect([await here(session), await there(session)]).toEqual([200, 200]);
    const out = await call("DELETE", "/v1/auth/session-tokens", { key: session });
    expect([out.status, out.text]).toEqual([204, ""]);
    expect(await here(session)).toBe(401);
    expect(await there(session)).toBe(200);
    vi.setSystemTime(now + KEY_CACHE_MS);
    expect(await there(session)).toBe(401);
    expect([await here(other), await there(other)]).toEqual([200, 200]);
    const open = "/v1/relays/sessions/00000000-0000-4000-8000-000000000000";
    const cached = await rowsOf(() => call("GET", open, { key: other }));
    expect(cached.d1Read).toBe(0);
  });

  test("does not end an old token before its grace is over", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    expect([await here(key.token), await there(key.token)]).toEqual([200, 200]);
    const refresh = { refreshApiToken: true, refreshGraceSeconds: 60 };
    const { value } = (await patchKey(tenant, key.id, refresh)).body.token;
    vi.setSystemTime(now + 59_999);
    for (const use of [here, there]) {
      expect([await use(key.token), await use(value)]).toEqual([200, 200]);
    }
    vi.setSystemTime(now + 60_000);
    for (const use of [here, there]) {
      expect([await use(key.token), await use(value)]).toEqual([403, 200]);
    }
  });

  test("is not lengthened by a read that was under way when the key changed", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const digest = tokenDigest(key.token);
    // D1's answer to the read of this key arrives only after the change, and is out of date by
    // then.
    const d1 = Object.getPrototypeOf(env.DB.withSession());
    const send = d1._send;
    let arrive = () => {};
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const held = vi.spyOn(d1, "_send").mockImplementation(async function (this: unknown, ...args) {
      const answer = await send.apply(this, args);
      if (JSON.stringify(args).includes(digest)) await arrived;
      return answer;
    });
    const underWay = here(key.token);
    await eventually(() => expect(JSON.stringify(held.mock.calls)).toContain(digest));
    await patchKey(tenant, key.id, { blocked: true });
    arrive();
    await underWay;
    held.mockRestore();
    expect(await here(key.token)).toBe(403);
  });

  test("does not apply to changes of keys, which are decided on what is stored", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, { permissions: ["*"] });
    const make = { name: "Late", emails: [], permissions: [], organizationsIds: [tenant.id] };
    expect((await elsewhere("GET", "/api-keys", { key: key.token })).status).toBe(200);
    await patchKey(tenant, key.id, { blocked: true });
    expect((await elsewhere("GET", "/api-keys", { key: key.token })).status).toBe(200);
    const late = await elsewhere("POST", "/api-keys", { key: key.token, body: make });
    expect(late.body).toMatchObject({ status: 401, code: "blocked-key" });
  });
});
