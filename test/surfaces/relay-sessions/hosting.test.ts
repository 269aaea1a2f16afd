/**
 * A player hosts a session with a publishable API key: the host connects with the answer, friends join with
 * the code. What anybody may take who has read the key is bounded.
 */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LIMITS } from "../../../src/http/rate-limits";
import { readConfig } from "../../../src/platform/config";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { insertKey, newKey } from "../../support/keys";
import { d1CallsOf, rowsOf, settled } from "../../support/rows";
import { addressesOfOneClient, anyAddress, join, list, read } from "../../support/sessions";
import { connect, type Relay } from "../../support/socket";

const PER_ADDRESS = 10;

let owner: Tenant;
let key: string;

beforeEach(async () => {
  owner = await newOrganisation();
  key = (await newKey(owner, { permissions: ["relays:host"] })).token;
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function host(body?: unknown, more: { ip?: string; key?: string; once?: string } = {}) {
  const { once } = more;
  return call("POST", "/v1/relays/host", {
    key: more.key ?? key,
    ip: more.ip ?? anyAddress(),
    ...(body === undefined ? {} : { body }),
    ...(once === undefined ? {} : { headers: { "Idempotency-Key": once } }),
  });
}

function stopClock(): number {
  const now = Date.now();
  vi.useFakeTimers({ toFake: ["Date"], now });
  return now;
}

/** How many sessions the organisation has. */
const live = async () => (await list(owner.key)).body.total_count;

describe("hosting a session", () => {
  test("gives a player all that they need, and the others a code", async () => {
    const ip = "198.51.100.20";
    const { status, body } = await host(undefined, { ip });
    expect(status).toBe(200);
    expect(Object.keys(body).sort()).toEqual([
      "join_code",
      "link",
      "session_id",
      "session_token",
      "user_token",
    ]);
    const joined = (await join(body.join_code)).body;
    expect(joined).toMatchObject({
      session_id: body.session_id,
      session_token: body.session_token,
    });
    const relay: Relay = {
      id: body.session_id,
      key: owner.key,
      sessionToken: body.session_token,
      userTokens: [body.user_token, joined.user_token],
      stub: env.SESSIONS.getByName(body.session_id),
    };
    expect(body.link).toMatch(/^ws:.*\/server$/);
    const [hosting, client] = [await connect(relay, 0), await connect(relay, 1)];
    client.send(2, 7);
    expect(await hosting.frame()).toEqual([2, 1, 0, 0, 0, 7]);
    for (const socket of [hosting, client]) socket.close();
  });

  test("makes a session like those of a backend, with bounds and defaults of its own", async () => {
    const ip = "198.51.100.20";
    const { session_id: id, join_code } = (await host({}, { ip })).body;
    const { body } = await read(owner.key, id);
    expect(body).toMatchObject({ status: "READY", max_users: 8, metadata: null, join_code });
    expect(body).toMatchObject({ webhook_url: null, region: null });
    expect(Date.parse(body.expires_at) - Date.parse(body.created_at)).toBe(3_600_000);
    expect(body.session_users).toEqual([expect.objectContaining({ ip_address: ip })]);
  });

  test("takes the number of users, the metadata, the region and the time", async () => {
    const wish = { max_users: 16, metadata: { map: "harbour" }, region: "weur" };
    const { body: hosted } = await host({ ...wish, ttl_seconds: 28_800 });
    const { body } = await read(owner.key, hosted.session_id);
    expect(body).toMatchObject(wish);
    expect(Date.parse(body.expires_at) - Date.parse(body.created_at)).toBe(28_800_000);
  });

  test.each([
    { max_users: 17 },
    { max_users: 0 },
    { max_users: "8" },
    { ttl_seconds: 28_801 },
    { ttl_seconds: 59 },
    { metadata: { map: "x".repeat(2_100) } },
    { metadata: "map" },
    { region: "moon" },
    [],
    "{",
  ])("refuses %j, and makes nothing", async (body) => {
    const refused = await host(body);
    expect(refused.status, refused.text).toBe(400);
    expect(await live()).toBe(0);
  });

  test("ignores what only a backend may ask for", async () => {
    const { body: hosted } = await host({
      users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }],
      webhook_url: "https://attacker.example/",
      idle_seconds: 3_600,
      transport: "udp",
      join_code: false,
    });
    const { body } = await read(owner.key, hosted.session_id);
    expect(body.session_users).toHaveLength(1);
    expect(body).toMatchObject({ webhook_url: null, join_code: hosted.join_code });
    expect(hosted.link).toMatch(/^ws:/);
  });

  test("takes a key that may do everything, and no key without the permission", async () => {
    expect((await host({}, { key: owner.key })).status).toBe(200);
    const { token } = await insertKey(owner.id, { permissions: ["relays:write", "relays:read"] });
    const refused = await host({}, { key: token });
    expect([refused.status, refused.body.message]).toEqual([
      403,
      expect.stringContaining("relays:host"),
    ]);
    expect((await call("POST", "/v1/relays/host", { ip: anyAddress() })).status).toBe(401);
  });
});

describe("an Idempotency-Key", () => {
  test("gives the same session again, from another address too, and is not counted", async () => {
    const once = crypto.randomUUID();
    const ip = anyAddress();
    const first = await host({}, { once, ip });
    expect(first.status).toBe(200);
    for (let i = 0; i < PER_ADDRESS; i++) {
      const again = await host({}, { once, ip: i % 2 ? ip : anyAddress() });
      expect([again.status, again.text]).toEqual([200, first.text]);
      expect(again.headers.get("Idempotent-Replayed")).toBe("true");
    }
    expect((await host({}, { ip })).status).toBe(200);
    expect(await live()).toBe(2);
  });

  test("of fewer than 16 characters is refused: two players could have the same", async () => {
    const refused = await host({}, { once: "123456789012345" });
    expect([refused.status, refused.body.message]).toEqual([400, expect.stringContaining("16")]);
    expect(await live()).toBe(0);
    expect((await host({}, { once: "1234567890123456" })).status).toBe(200);
  });
});

describe("the limit of one address", () => {
  test("is ten sessions a minute, with whichever key, and refuses without a row", async () => {
    const other = (await newKey(owner, { permissions: ["relays:host"] })).token;
    const ip = anyAddress();
    const now = stopClock();
    for (let i = 0; i < PER_ADDRESS; i++) {
      expect((await host({}, { ip, key: i % 2 ? key : other })).status).toBe(200);
    }
    vi.setSystemTime(now + 20_000);
    await settled();
    const rows = await rowsOf(async () => {
      for (const once of [undefined, crypto.randomUUID()]) {
        const refused = await host({}, { ip, ...(once === undefined ? {} : { once }) });
        expect([refused.status, refused.headers.get("Retry-After")]).toEqual([429, "40"]);
        expect(refused.body.message).toContain("from your address");
        expect(refused.headers.get("Access-Control-Allow-Origin")).toBe("*");
      }
    });
    expect([rows.d1Written, rows.objectWritten]).toEqual([0, 0]);
    expect(LIMITS.hostsOfAddress.code).toBe("too-many-hosts");
    expect((await host()).status).toBe(200);
    vi.setSystemTime(now + 60_000);
    expect((await host({}, { ip })).status).toBe(200);
  });

  test("counts all addresses of one /64 together", async () => {
    const nextAddress = addressesOfOneClient();
    stopClock();
    for (let i = 0; i < PER_ADDRESS; i++) {
      expect((await host({}, { ip: nextAddress() })).status).toBe(200);
    }
    expect((await host({}, { ip: nextAddress() })).status).toBe(429);
    expect(await live()).toBe(PER_ADDRESS);
  });

  test("counts bodies that are refused, which cost as much to judge", async () => {
    const ip = anyAddress();
    stopClock();
    for (let i = 0; i < PER_ADDRESS; i++) {
      expect((await host({ max_users: 99 }, { ip, once: crypto.randomUUID() })).status).toBe(400);
    }
    expect((await host({}, { ip })).status).toBe(429);
  });

  test("holds when all calls come at once", async () => {
    const ip = anyAddress();
    const once = () => crypto.randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, i) => host({}, { ip, ...(i % 2 ? { once: once() } : {}) })),
    );
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(PER_ADDRESS);
    expect(statuses.filter((status) => status === 429)).toHaveLength(20);
    expect(await live()).toBe(PER_ADDRESS);
  });

  test("is not used up by keys that are refused", async () => {
    const ip = anyAddress();
    const { token } = await insertKey(owner.id, { permissions: ["relays:write"] });
    for (let i = 0; i < 2 * PER_ADDRESS; i++) await host({}, { ip, key: token });
    expect((await host({}, { ip })).status).toBe(200);
  });
});

describe("the limit of one key", () => {
  test("is 600 sessions a minute, from whichever addresses, and no other key's", async () => {
    const config = readConfig(env);
    expect(config.hostedSessionsPerMinute).toBe(600);
    config.hostedSessionsPerMinute = 3;
    try {
      const now = stopClock();
      const other = (await newKey(owner, { permissions: ["relays:host"] })).token;
      for (let i = 0; i < 3; i++) expect((await host()).status).toBe(200);
      const ip = anyAddress();
      const calls = await d1CallsOf(async () => {
        for (let i = 0; i < 2 * PER_ADDRESS; i++) {
          const refused = await host({}, { ip });
          expect([refused.status, refused.headers.get("Retry-After")]).toEqual([429, "60"]);
          expect(refused.body.message).toContain("with this API key");
        }
      });
      expect(calls).toEqual([]);
      // The player's address has not paid for it.
      expect((await host({}, { ip, key: other })).status).toBe(200);
      vi.setSystemTime(now + 60_000);
      expect((await host({}, { ip })).status).toBe(200);
    } finally {
      config.hostedSessionsPerMinute = 600;
    }
  });
});
