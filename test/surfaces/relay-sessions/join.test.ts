/**
 * A join code lets a player in without an API key: into its own session only, within max_users,
 * while the session lives.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call, newOrganisation } from "../../support/client";
import { d1CallsOf, settled } from "../../support/rows";
import {
  addressesOfOneClient,
  anyAddress,
  create,
  join,
  read,
  remove,
  revoke,
  SESSIONS,
} from "../../support/sessions";
import { connect } from "../../support/socket";

/** How many wrong codes one address may send in a minute. */
const WRONG_PER_MINUTE = 30;

afterEach(() => {
  vi.useRealTimers();
});

async function newJoinable(body: Record<string, unknown> = {}) {
  const { key } = await newOrganisation();
  const session = (await create(key, { join_code: true, ...body })).body;
  return { key, session, id: session.session_id as string, code: session.join_code as string };
}

describe("a join code", () => {
  test("has eight characters without look-alikes, and is shown with its session", async () => {
    const { key, id, code } = await newJoinable();
    expect(code).toMatch(/^[34679ACDEFGHJKMNPQRTUVWXY]{4}-[34679ACDEFGHJKMNPQRTUVWXY]{4}$/);
    expect((await read(key, id)).body.join_code).toBe(code);
  });

  test.each([false, null, undefined])("is not made for join_code: %s", async (join_code) => {
    const { key } = await newOrganisation();
    expect((await create(key, { join_code })).body.join_code).toBeNull();
  });

  test("gives tokens and a link with which one more user connects", async () => {
    const { key, session, id, code } = await newJoinable({ users: [{ ip: "1.1.1.1" }] });
    const { status, body } = await join(code, "198.51.100.20");
    expect(status).toBe(200);
    expect(Object.keys(body).sort()).toEqual(["link", "session_id", "session_token", "user_token"]);
    expect(body).toMatchObject({
      session_id: id,
      session_token: session.authorization_token,
      link: session.relay.ports.client.link,
    });
    const users = (await read(key, id)).body.session_users;
    expect(users).toHaveLength(2);
    expect(users[1]).toMatchObject({
      ip_address: "198.51.100.20",
      authorization_token: body.user_token,
    });
    const relay = {
      id,
      key,
      sessionToken: body.session_token,
      userTokens: [users[0].authorization_token, body.user_token],
      stub: env.SESSIONS.getByName(id),
    };
    const socket = await connect(relay, 1);
    expect(socket.open).toBe(true);
    socket.close();
  });

  test("makes the player who joins an empty session its host", async () => {
    const { session, code } = await newJoinable();
    expect((await join(code)).body.link).toBe(session.relay.ports.server.link);
    expect((await join(code)).body.link).toBe(session.relay.ports.client.link);
  });

  test.each<[string, (code: string) => string]>([
    ["in small letters", (code) => code.toLowerCase()],
    ["in mixed letters", (code) => code.charAt(0).toLowerCase() + code.slice(1)],
    ["without the dash", (code) => code.replace("-", "")],
    ["in small letters without the dash", (code) => code.replace("-", "").toLowerCase()],
    ["with spaces around and between", (code) => ` ${code.replace("-", " ")} `],
  ])("is accepted %s", async (_, spell) => {
    const { id, code } = await newJoinable();
    expect((await join(spell(code))).body.session_id).toBe(id);
  });

  test("lets nobody into a full session", async () => {
    const { key, id, code } = await newJoinable({ max_users: 1 });
    const { body } = await join(code);
    expect((await join(code)).status).toBe(409);
    await revoke(key, id, body.user_token);
    expect((await join(code)).status).toBe(200);
  });

  test("opens its own session and no other", async () => {
    const [a, b] = [await newJoinable(), await newJoinable()];
    expect(a.code).not.toBe(b.code);
    expect((await join(a.code)).body.session_id).toBe(a.id);
    expect((await join(b.code)).body.session_id).toBe(b.id);
  });

  test("ends with its session when that is deleted", async () => {
    const { key, id, code } = await newJoinable();
    await remove(key, id);
    const refused = await join(code);
    expect(refused.status).toBe(404);
    expect(refused.text).toBe((await join("3333-3333")).text);
  });

  test("ends with its session when its time is over", async () => {
    const { code } = await newJoinable({ ttl_seconds: 60, idle_seconds: 3_600 });
    expect((await join(code)).status).toBe(200);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_000 });
    expect((await join(code)).status).toBe(404);
  });

  test("is kept in D1 in no readable form", async () => {
    const { code } = await newJoinable();
    const { results } = await env.DB.prepare("select * from join_codes").all();
    expect(results.length).toBeGreaterThan(0);
    expect(JSON.stringify(results)).not.toContain(code);
    expect(JSON.stringify(results)).not.toContain(code.replace("-", ""));
  });
});

describe("a join is refused", () => {
  test.each<[string, unknown, number]>([
    ["with an unknown code", { join_code: "3333-3333" }, 404],
    ["with an empty code", { join_code: "" }, 404],
    ["with a code of six characters, as codes once were", { join_code: "333333" }, 404],
    ["with look-alikes, which no code has", { join_code: "OIL2-Z5S8" }, 404],
    ["without a code", {}, 400],
    ["with a code of null", { join_code: null }, 400],
    ["with a code that is a number", { join_code: 333_333 }, 400],
    ["with a code that is far too long", { join_code: "3".repeat(65) }, 400],
    ["with an array", [], 400],
  ])("%s", async (_, body, status) => {
    const refused = await call("POST", "/v1/relays/join", { body, ip: anyAddress() });
    expect(refused.status).toBe(status);
    expect(Object.keys(refused.body)).toEqual(["message", "code"]);
  });

  test("from an address that sent too many wrong codes, for a minute, and from no other", async () => {
    const { code } = await newJoinable();
    const [guesser, player] = [anyAddress(), anyAddress()];
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    for (let i = 0; i < WRONG_PER_MINUTE; i++) {
      expect((await join("3333-3333", guesser)).status).toBe(404);
    }
    const refused = await join(code, guesser);
    expect(refused.status).toBe(429);
    expect(refused.headers.get("Retry-After")).toBe("60");
    expect((await join(code, player)).status).toBe(200);
    vi.setSystemTime(now + 60_000);
    expect((await join(code, guesser)).status).toBe(200);
  });

  test("from all addresses of a /64 that sent too many wrong codes", async () => {
    const { code } = await newJoinable();
    const nextAddress = addressesOfOneClient();
    await settled();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    for (let i = 0; i < WRONG_PER_MINUTE; i++) {
      expect((await join("333333", nextAddress())).status).toBe(404);
    }
    const reads = await d1CallsOf(async () => {
      for (const guess of ["333333", code]) {
        const refused = await join(guess, nextAddress());
        expect(refused.status).toBe(429);
        expect(Object.keys(refused.body)).toEqual(["message", "code"]);
      }
    });
    expect(reads).toEqual([]);
  });

  test("from an address that sends too many wrong codes before the first of them is answered", async () => {
    const { key, id, code } = await newJoinable();
    const guesser = anyAddress();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const guesses = [...Array.from({ length: 100 }, () => "333333"), code];
    const answers = await Promise.all(guesses.map((guess) => join(guess, guesser)));
    expect(answers.filter(({ status }) => status === 404)).toHaveLength(WRONG_PER_MINUTE);
    expect(answers.at(-1)?.status).toBe(429);
    expect((await read(key, id)).body.session_users).toEqual([]);
  });
});

test("40 players behind one address can join one session in a minute", async () => {
  const { key, id, code } = await newJoinable({ max_users: 64 });
  const ip = anyAddress();
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const answers = await Promise.all(Array.from({ length: 40 }, () => join(code, ip)));
  expect(answers.map(({ status }) => status)).toEqual(Array(40).fill(200));
  expect((await read(key, id)).body.session_users).toHaveLength(40);
});

test("a join needs no API key, and none changes its answer", async () => {
  const { code, key } = await newJoinable({ max_users: 2 });
  expect((await join(code)).status).toBe(200);
  const withKey = { key, body: { join_code: code }, ip: anyAddress() };
  expect((await call("POST", "/v1/relays/join", withKey)).status).toBe(200);
  const other = await call("POST", `${SESSIONS}`, { body: { join_code: true } });
  expect(other.status).toBe(401);
});
