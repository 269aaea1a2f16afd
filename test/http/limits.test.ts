/**
 * How long an isolate uses a key without reading it again, and how often one address, key or
 * organisation may call.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { LIMITS } from "../../src/http/rate-limits";
import { KEY_CACHE_MS } from "../../src/keys/key-cache";
import { newToken } from "../../src/keys/key-token";
import wrangler from "../../wrangler.toml?raw";
import { call, newOrganisation } from "../support/client";
import { withD1 } from "../support/d1";
import { changeKey, insertKey } from "../support/keys";
import { addressesOfOneClient, anyAddress, create, list, SESSIONS } from "../support/sessions";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function stopClock(): number {
  const now = Date.now();
  vi.useFakeTimers({ toFake: ["Date"], now });
  return now;
}

describe("an API key that this isolate has read", () => {
  test("is read again only after ten seconds", async () => {
    const { id } = await newOrganisation();
    const { token } = await insertKey(id, { permissions: ["relays:read"] });
    const now = stopClock();
    let lookups = 0;
    const count = (sql: string) => {
      if (sql.includes("key_tokens")) lookups += 1;
    };
    await withD1(count, async () => {
      for (let i = 0; i < 5; i++) expect((await list(token)).status).toBe(200);
      expect(lookups).toBe(1);
      vi.setSystemTime(now + KEY_CACHE_MS);
      expect((await list(token)).status).toBe(200);
      expect(lookups).toBe(2);
    });
  });

  test("is refused within ten seconds after another isolate blocked it", async () => {
    expect(KEY_CACHE_MS).toBe(10_000);
    const { id } = await newOrganisation();
    const key = await insertKey(id);
    const now = stopClock();
    expect((await list(key.token)).status).toBe(200);
    await changeKey(key.id, { blocked: true });
    vi.setSystemTime(now + KEY_CACHE_MS);
    expect((await list(key.token)).status).toBe(403);
  });

  test("is refused at once when it expires", async () => {
    const { id } = await newOrganisation();
    const now = stopClock();
    const { token } = await insertKey(id, { expiresAt: now + 1_000 });
    expect((await list(token)).status).toBe(200);
    vi.setSystemTime(now + 1_000);
    expect((await list(token)).status).toBe(403);
  });
});

test("an API key that was refused as unknown works as soon as it exists", async () => {
  const { id } = await newOrganisation();
  const key = await insertKey(id, { blocked: true });
  expect((await list(newToken())).status).toBe(403);
  const fresh = await insertKey(id);
  expect((await list(fresh.token)).status).toBe(200);
  expect((await list(key.token)).status).toBe(403);
});

describe("the limit on failed authentications of one address", () => {
  test("is 300 in a minute, then refuses wrong keys from that address, and no right key or other address", async () => {
    const { key } = await newOrganisation();
    const [guesser, other] = [anyAddress(), anyAddress()];
    const now = stopClock();
    const guesses = [undefined, "nonsense", newToken()];
    for (let i = 0; i < 300; i++) {
      const guess = guesses[i % 3];
      const { status } = await call("GET", SESSIONS, {
        ip: guesser,
        ...(guess === undefined ? {} : { key: guess }),
      });
      expect([401, 403]).toContain(status);
    }
    vi.setSystemTime(now + 20_000);
    for (const credential of [newToken(), "nonsense", env.DRAWBRIDGE_ROOT_TOKEN]) {
      const refused = await call("GET", SESSIONS, { key: credential, ip: guesser });
      expect(refused.status).toBe(429);
      expect(Object.keys(refused.body)).toEqual(["message", "code"]);
      expect(refused.headers.get("Retry-After")).toBe("40");
    }
    const root = await call("GET", "/v1/organisations", { key: "guess", ip: guesser });
    expect([root.status, root.body.code]).toEqual([429, "too-many-failures"]);
    expect((await call("GET", SESSIONS, { key, ip: guesser })).status).toBe(200);
    expect((await call("GET", SESSIONS, { key: newToken(), ip: other })).status).toBe(403);
    vi.setSystemTime(now + 60_000);
    expect((await call("GET", SESSIONS, { key: newToken(), ip: guesser })).status).toBe(403);
  });

  test("counts all addresses of one /64 together", async () => {
    const nextAddress = addressesOfOneClient();
    stopClock();
    const guess = () => call("GET", SESSIONS, { key: "nonsense", ip: nextAddress() });
    for (let i = 0; i < 300; i++) expect((await guess()).status).toBe(401);
    expect((await guess()).status).toBe(429);
  });

  test("counts wrong root tokens as well", async () => {
    const guesser = anyAddress();
    stopClock();
    for (let i = 0; i < 300; i++) {
      await call("GET", "/v1/organisations", { key: "guess", ip: guesser });
    }
    const refused = await call("GET", "/v1/organisations", { key: "guess", ip: guesser });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("Retry-After"))).toBe(60);
  });

  test("does not count calls that succeed or that lack only a permission", async () => {
    const { id } = await newOrganisation();
    const { token } = await insertKey(id, { permissions: ["relays:read"] });
    const ip = anyAddress();
    stopClock();
    for (let i = 0; i < 151; i++) {
      await call("GET", SESSIONS, { key: token, ip });
      await call("POST", SESSIONS, { key: token, ip, body: {} });
    }
    expect((await call("GET", SESSIONS, { key: token, ip })).status).toBe(200);
  });
});

test("an API key over its limit of calls is told when to come back, and its calls do nothing", async () => {
  const { key } = await newOrganisation();
  const limiter = Object.getPrototypeOf(env.KEY_LIMIT) as RateLimit;
  const limit = vi.spyOn(limiter, "limit").mockResolvedValue({ success: false });
  const refused = await create(key);
  expect(refused.status).toBe(429);
  expect(Object.keys(refused.body)).toEqual(["message", "code"]);
  expect(refused.headers.get("Retry-After")).toBe("10");
  limit.mockRestore();
  expect((await list(key)).body.total_count).toBe(0);
});

test("an organisation's API keys share a limit, besides the limit of each key", async () => {
  const { id, key } = await newOrganisation();
  const other = await insertKey(id);
  const neighbour = await newOrganisation();
  const used = new Map<RateLimit, Map<string, number>>();
  const limiter = Object.getPrototypeOf(env.KEY_LIMIT) as RateLimit;
  vi.spyOn(limiter, "limit").mockImplementation(async function (this: RateLimit, { key: whose }) {
    const counts = used.get(this) ?? new Map<string, number>();
    used.set(this, counts.set(whose, (counts.get(whose) ?? 0) + 1));
    return { success: (counts.get(whose) ?? 0) <= 3 };
  });
  const statuses = [];
  for (const token of [key, other.token, key, other.token]) {
    statuses.push((await list(token)).status);
  }
  expect(statuses).toEqual([200, 200, 200, 429]);
  const refused = await list(other.token);
  expect(refused.body.message).toContain("in this organisation");
  expect(refused.headers.get("Retry-After")).toBe("10");
  expect((await list(neighbour.key)).status).toBe(200);
});

test.each([LIMITS.keyRequests, LIMITS.organisationRequests])(
  "wrangler.toml and the table of limits have the same numbers: $binding",
  ({ binding, most, seconds }) => {
    const [, section = ""] = wrangler.split(`name = "${binding}"`);
    const [, limit, period] = /simple = \{ limit = (\d+), period = (\d+) \}/.exec(section) ?? [];
    expect([Number(limit), Number(period)]).toEqual([most, seconds]);
  },
);
