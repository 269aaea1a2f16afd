/**
 * With read replication on, keys are also read from a copy of D1 that is near. It may lag as long as it
 * likes: the bound on revocation holds.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { NEAR_MS, NEAR_PAUSE_MS } from "../../src/db/near";
import { KEY_CACHE_MS } from "../../src/keys/key-cache";
import { tokenDigest } from "../../src/keys/key-token";
import { call, newOrganisation, type Tenant } from "../support/client";
import { otherIsolate } from "../support/isolates";
import { newKey, patchKey, signIn, type TestKey } from "../support/keys";
import { LaggingD1 } from "../support/lagging-d1";

const d1 = new LaggingD1();
/** An isolate far from the primary. */
let there: Awaited<ReturnType<typeof otherIsolate>>;
let tenant: Tenant;
let key: TestKey;
let now = Date.now();

beforeAll(async () => {
  there = await otherIsolate({ DB: d1.binding });
});

beforeEach(async () => {
  // So much later that the isolate trusts nothing that it knows from the test before.
  now += 2 * NEAR_PAUSE_MS;
  vi.useFakeTimers({ toFake: ["Date"], now });
  tenant = await newOrganisation();
  key = await newKey(tenant);
});

afterEach(() => {
  vi.useRealTimers();
});

const use = async (token: string) =>
  (await there("GET", "/v1/relays/sessions", { key: token })).status;

/** Makes that isolate hear from the primary now, and the copy have what the primary has now. */
async function hearOfPrimary() {
  expect(await use(tenant.key)).toBe(200);
  await d1.catchUp();
}

/** Who answered the reads of the key with this token. */
const readBy = (token: string) =>
  d1.served.filter(({ params }) => params.includes(tokenDigest(token))).map(({ by }) => by);

test("a key is read from the copy, if the isolate has heard from the primary lately", async () => {
  expect(await use(key.token)).toBe(200);
  expect(readBy(key.token)).toEqual(["primary"]);
  await d1.catchUp();
  vi.setSystemTime(now + NEAR_MS - 1);
  expect(await use(tenant.key)).toBe(200);
  expect(readBy(tenant.key)).toEqual(["copy"]);
});

test("an isolate that has not heard from the primary lately asks it", async () => {
  await hearOfPrimary();
  vi.setSystemTime(now + NEAR_MS);
  expect(await use(key.token)).toBe(200);
  expect(readBy(key.token)).toEqual(["primary"]);
});

const revocations: [string, () => Promise<{ status: number }>][] = [
  ["blocked", () => patchKey(tenant, key.id, { blocked: true })],
  ["refreshed", () => patchKey(tenant, key.id, { refreshApiToken: true })],
  ["narrowed", () => patchKey(tenant, key.id, { permissions: ["accessFtp"] })],
  ["deleted", () => call("DELETE", `/api-keys/${key.id}`, { key: tenant.key })],
];

describe("while the copy stays behind for good", () => {
  test.each(revocations)("a key that was %s stops working within the bound", async (_, revoke) => {
    await hearOfPrimary();
    expect((await revoke()).status).toBe(200);
    // As late as a copy may be asked. What it answers is older, and is trusted for that much less.
    vi.setSystemTime(now + NEAR_MS - 1);
    expect(await use(key.token)).toBe(200);
    expect(readBy(key.token)).toEqual(["copy"]);
    vi.setSystemTime(now + KEY_CACHE_MS - 1);
    expect(await use(key.token)).toBe(200);
    vi.setSystemTime(now + KEY_CACHE_MS);
    expect(await use(key.token)).toBe(403);
    expect(readBy(key.token)).toEqual(["copy", "primary"]);
  });

  test("an operator who signed out is refused within the bound", async () => {
    const session = await signIn(tenant.key);
    await hearOfPrimary();
    const out = await call("DELETE", "/v1/auth/session-tokens", { key: session });
    expect(out.status).toBe(204);
    vi.setSystemTime(now + NEAR_MS - 1);
    expect(await use(session)).toBe(200);
    vi.setSystemTime(now + KEY_CACHE_MS);
    expect(await use(session)).toBe(401);
  });

  test("a new key works at once", async () => {
    await hearOfPrimary();
    const added = await newKey(tenant);
    expect(await use(added.token)).toBe(200);
    // The copy was asked, and knows of none. Then the primary was asked, without a session.
    expect(readBy(added.token)).toEqual(["copy"]);
  });

  test("an isolate sees at once which keys were changed through it", async () => {
    await hearOfPrimary();
    const body = { blocked: true };
    const blocked = await there("PATCH", `/api-keys/${key.id}`, { key: tenant.key, body });
    expect(blocked.status).toBe(200);
    expect(await use(key.token)).toBe(403);
    expect(readBy(key.token)).toEqual(["primary"]);
  });

  test("a call that must not be made with a revoked key reads the primary", async () => {
    const maker = await newKey(tenant, { permissions: ["*"] });
    await hearOfPrimary();
    await patchKey(tenant, maker.id, { blocked: true });
    const body = { name: "Late", emails: [], permissions: [], organizationsIds: [tenant.id] };
    expect((await there("POST", "/api-keys", { key: maker.token, body })).status).toBe(401);
    expect(readBy(maker.token)).toEqual([]);
  });
});

describe("a copy that does not have what the isolate has heard of", () => {
  test("is not waited for long: the primary answers, and for a minute everything", async () => {
    await d1.catchUp();
    await patchKey(tenant, key.id, { blocked: true });
    // Now the isolate knows a state that is newer than the copy.
    expect(await use(tenant.key)).toBe(200);
    expect(await use(key.token)).toBe(403);
    expect(readBy(key.token)).toEqual(["primary"]);
    await d1.catchUp();
    const others = [await newKey(tenant), await newKey(tenant)];
    await d1.catchUp();
    vi.setSystemTime(now + NEAR_MS - 1);
    expect(await use(others[0]?.token ?? "")).toBe(200);
    expect(readBy(others[0]?.token ?? "")).toEqual(["primary"]);
    vi.setSystemTime(now + NEAR_PAUSE_MS);
    await hearOfPrimary();
    expect(await use(others[1]?.token ?? "")).toBe(200);
    expect(readBy(others[1]?.token ?? "")).toEqual(["copy"]);
  });
});
