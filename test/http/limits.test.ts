/** How long a key is trusted without looking, and how much one address or one key may ask for. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { MinuteLimit } from "../../src/http/limits";
import { KEY_CACHE_MS } from "../../src/keys/cache";
import { newToken } from "../../src/keys/token";
import { call, newOrganisation } from "../support/client";
import { withD1 } from "../support/d1";
import { changeKey, insertKey } from "../support/keys";
import { anyAddress, create, list, SESSIONS } from "../support/sessions";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function stopClock(): number {
  const now = Date.now();
  vi.useFakeTimers({ toFake: ["Date"], now });
  return now;
}

describe("a key that was seen", () => {
  test("is looked up once in ten seconds", async () => {
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

  test("and was then blocked elsewhere is refused within ten seconds", async () => {
    expect(KEY_CACHE_MS).toBe(10_000);
    const { id } = await newOrganisation();
    const key = await insertKey(id);
    const now = stopClock();
    expect((await list(key.token)).status).toBe(200);
    await changeKey(key.id, { blocked: true });
    vi.setSystemTime(now + KEY_CACHE_MS);
    expect((await list(key.token)).status).toBe(403);
  });

  test("and whose time is then over is refused at once", async () => {
    const { id } = await newOrganisation();
    const now = stopClock();
    const { token } = await insertKey(id, { expiresAt: now + 1_000 });
    expect((await list(token)).status).toBe(200);
    vi.setSystemTime(now + 1_000);
    expect((await list(token)).status).toBe(403);
  });
});

test("a key that was refused because nobody had it works as soon as it exists", async () => {
  const { id } = await newOrganisation();
  const key = await insertKey(id, { blocked: true });
  expect((await list(newToken())).status).toBe(403);
  const fresh = await insertKey(id);
  expect((await list(fresh.token)).status).toBe(200);
  expect((await list(key.token)).status).toBe(403);
});

describe("failed authentications of one address", () => {
  test("are 300 in a minute; then also a good key has to wait, and no other address has", async () => {
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
    for (const credential of [key, newToken(), env.DRAWBRIDGE_ROOT_TOKEN]) {
      const refused = await call("GET", SESSIONS, { key: credential, ip: guesser });
      expect(refused.status).toBe(429);
      expect(Object.keys(refused.body)).toEqual(["message"]);
      expect(refused.headers.get("Retry-After")).toBe("40");
    }
    const root = await call("GET", "/v1/organisations", {
      key: env.DRAWBRIDGE_ROOT_TOKEN,
      ip: guesser,
    });
    expect(root.status).toBe(429);
    expect(root.body.code).toBe("too-many-failures");
    expect((await call("GET", SESSIONS, { key, ip: other })).status).toBe(200);
    vi.setSystemTime(now + 60_000);
    expect((await call("GET", SESSIONS, { key, ip: guesser })).status).toBe(200);
  });

  test("count the root token's as well", async () => {
    const guesser = anyAddress();
    stopClock();
    for (let i = 0; i < 300; i++) {
      await call("GET", "/v1/organisations", { key: "guess", ip: guesser });
    }
    const refused = await call("GET", "/v1/organisations", { key: "guess", ip: guesser });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("Retry-After"))).toBe(60);
  });

  test("are not added up from calls that succeed, or lack only a permission", async () => {
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

test("a key that asks for too much is told when to come back, and does nothing meanwhile", async () => {
  const { key } = await newOrganisation();
  const limiter = Object.getPrototypeOf(env.KEY_LIMIT) as RateLimit;
  const limit = vi.spyOn(limiter, "limit").mockResolvedValue({ success: false });
  const refused = await create(key);
  expect(refused.status).toBe(429);
  expect(Object.keys(refused.body)).toEqual(["message"]);
  expect(refused.headers.get("Retry-After")).toBe("10");
  limit.mockRestore();
  expect((await list(key)).body.total_count).toBe(0);
});

describe("a limit per minute", () => {
  const NOW = 1_790_000_000_000;

  test("lets so many through, then none until the minute is over", () => {
    const limit = new MinuteLimit();
    for (let i = 0; i < 3; i++) {
      expect(limit.retryAfterSeconds("a", 3, NOW)).toBe(0);
      limit.count("a", NOW + i);
    }
    expect(limit.retryAfterSeconds("a", 3, NOW + 1)).toBe(60);
    expect(limit.retryAfterSeconds("a", 3, NOW + 59_999)).toBe(1);
    expect(limit.retryAfterSeconds("a", 3, NOW + 60_000)).toBe(0);
    expect(limit.retryAfterSeconds("b", 3, NOW)).toBe(0);
  });

  test("of 0 is none", () => {
    const limit = new MinuteLimit();
    for (let i = 0; i < 100; i++) limit.count("a", NOW);
    expect(limit.retryAfterSeconds("a", 0, NOW)).toBe(0);
  });

  test("keeps the one who goes on while a flood of others passes", () => {
    const limit = new MinuteLimit();
    for (let i = 0; i < 5; i++) limit.count("a", NOW);
    for (let i = 0; i < 19_999; i++) limit.count(`flood${i}`, NOW);
    expect(limit.retryAfterSeconds("a", 5, NOW)).toBe(60);
  });
});
