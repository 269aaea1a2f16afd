/** Only a user with both tokens of a live session gets a websocket, and only on their own link. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { call } from "../support/client";
import { rowsOf } from "../support/rows";
import { connect, knock, newRelay, type Relay, readUser, tokensOf } from "../support/socket";

afterEach(() => {
  vi.useRealTimers();
});

const MINUTE_MS = 60_000;
const path = (relay: Relay) => `/v1/relays/sessions/${relay.id}`;

describe("tokens", () => {
  test("both right ones let the user in, and the session is connected", async () => {
    const relay = await newRelay(2);
    await connect(relay, 1);
    expect(await readUser(relay, 1)).toMatchObject({ connected: true });
    expect(await readUser(relay, 0)).toMatchObject({ connected: false });
  });

  test.each<[string, (relay: Relay, other: Relay) => string]>([
    ["no tokens", () => ""],
    ["no user token", ({ sessionToken }) => `session_token=${sessionToken}`],
    ["no session token", ({ userTokens }) => `user_token=${userTokens[1]}`],
    ["an empty user token", ({ sessionToken }) => `session_token=${sessionToken}&user_token=`],
    [
      "a user token one too high",
      ({ sessionToken, userTokens }) =>
        `session_token=${sessionToken}&user_token=${(userTokens[1] ?? 0) + 1}`,
    ],
    [
      "a session token one too high",
      ({ sessionToken, userTokens }) =>
        `session_token=${sessionToken + 1}&user_token=${userTokens[1]}`,
    ],
    [
      "the two tokens swapped",
      ({ sessionToken, userTokens }) => `session_token=${userTokens[1]}&user_token=${sessionToken}`,
    ],
    [
      "a token plus 2³², which has the same 32 bits",
      ({ sessionToken, userTokens }) =>
        `session_token=${sessionToken}&user_token=${(userTokens[1] ?? 0) + 2 ** 32}`,
    ],
    [
      "a token that is no number",
      ({ sessionToken }) => `session_token=${sessionToken}&user_token=abc`,
    ],
    [
      "a user of another session",
      ({ sessionToken }, other) =>
        `session_token=${sessionToken}&user_token=${other.userTokens[1]}`,
    ],
    ["all tokens of another session", (_, other) => tokensOf(other, 1)],
  ])("%s: refused, and nobody counts as connected", async (_, query) => {
    const [relay, other] = await Promise.all([newRelay(2), newRelay(2)]);
    const answer = await knock(relay, 1, { query: query(relay, other) });
    expect(answer.status).toBe(403);
    expect(answer.body).toEqual({ message: expect.stringContaining("token") });
    expect(await readUser(relay, 1)).toMatchObject({ connected: false });
  });

  test("a revoked user's tokens are refused from then on", async () => {
    const relay = await newRelay(2);
    await call("POST", "/v1/relays/sessions:revoke-user", {
      key: relay.key,
      body: { session_id: relay.id, authorization_token: relay.userTokens[1] },
    });
    expect((await knock(relay, 1)).status).toBe(403);
    expect((await knock(relay, 0)).status).toBe(101);
  });

  test("a user who is authorised later is let in", async () => {
    const relay = await newRelay(1);
    const { body } = await call("POST", "/v1/relays/sessions:authorize-user", {
      key: relay.key,
      body: { session_id: relay.id, user_ip: "192.0.2.9" },
    });
    relay.userTokens.push(body.session_user.authorization_token);
    const client = await connect(relay, 1);
    expect(client.controls[0]).toEqual({ type: "ready", connection_id: 1 });
  });
});

describe("links", () => {
  test("the server link refuses everyone but user 0", async () => {
    const relay = await newRelay(3);
    expect((await knock(relay, 1, { side: "server" })).status).toBe(403);
    expect((await knock(relay, 2, { side: "server" })).status).toBe(403);
    expect((await knock(relay, 0, { side: "server" })).status).toBe(101);
  });

  test("the client link refuses user 0 and takes everyone else", async () => {
    const relay = await newRelay(3);
    expect((await knock(relay, 0, { side: "client" })).status).toBe(403);
    expect((await knock(relay, 1, { side: "client" })).status).toBe(101);
    expect((await knock(relay, 2, { side: "client" })).status).toBe(101);
  });

  test("a plain request is told to upgrade, with the right tokens too", async () => {
    const relay = await newRelay(2);
    const answer = await call("GET", `${path(relay)}/client?${tokensOf(relay, 1)}`);
    expect(answer.status).toBe(426);
    expect(answer.headers.get("Upgrade")).toBe("websocket");
    expect(answer.body).toEqual({ message: expect.stringContaining("websocket") });
    expect(await readUser(relay, 1)).toMatchObject({ connected: false });
  });

  test("an id that never existed, and one that could not, are unknown", async () => {
    const relay = await newRelay(2);
    for (const id of ["0123456789ab-S", "nonsense", `${relay.id}x`]) {
      const answer = await knock({ ...relay, id }, 1);
      expect(answer.status).toBe(404);
      expect(answer.body).toEqual({ message: expect.any(String) });
    }
  });

  test("a session that was deleted says that it has ended", async () => {
    const relay = await newRelay(2);
    await call("DELETE", path(relay), { key: relay.key });
    const answer = await knock(relay, 1);
    expect(answer.status).toBe(410);
    expect(answer.body).toEqual({ message: expect.stringContaining("ended") });
  });

  test("a session whose life is over says so before its alarm has run, and lets nobody stay", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const relay = await newRelay(3, { ttl_seconds: 60 });
    const early = await connect(relay, 1);
    vi.setSystemTime(Date.now() + MINUTE_MS);
    expect((await knock(relay, 2)).status).toBe(410);
    expect((await early.closed).code).toBe(4410);
  });
});

describe("a place", () => {
  test("is shown as Cloudflare saw it once the user has connected, and not before", async () => {
    const relay = await newRelay(2);
    expect(await readUser(relay, 1)).toMatchObject({ latitude: null, longitude: null });
    await connect(relay, 1, { cf: { latitude: "52.52", longitude: "13.405" } });
    expect(await readUser(relay, 1)).toMatchObject({ latitude: 52.52, longitude: 13.405 });
  });
});

describe("guessing", () => {
  const GUESSER = "198.51.100.66";
  const guess = (relay: Relay, ip = GUESSER) =>
    knock(relay, 1, { ip, query: `session_token=${relay.sessionToken}&user_token=1` });
  async function guessTimes(relay: Relay, times: number): Promise<number[]> {
    const statuses: number[] = [];
    for (let i = 0; i < times; i++) statuses.push((await guess(relay)).status);
    return statuses;
  }

  test("nine wrong tokens leave the right one usable", async () => {
    const relay = await newRelay(2);
    expect(await guessTimes(relay, 9)).toEqual(Array(9).fill(403));
    expect((await knock(relay, 1, { ip: GUESSER })).status).toBe(101);
  });

  test("ten lock the address out for a minute, with the right token too, and tell when to return", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const relay = await newRelay(2);
    expect(await guessTimes(relay, 10)).toEqual(Array(10).fill(403));
    const locked = await knock(relay, 1, { ip: GUESSER });
    expect(locked.status).toBe(429);
    expect(locked.headers.get("Retry-After")).toBe("60");
    vi.setSystemTime(Date.now() + MINUTE_MS - 1);
    expect((await knock(relay, 1, { ip: GUESSER })).headers.get("Retry-After")).toBe("1");
    vi.setSystemTime(Date.now() + 1);
    expect((await knock(relay, 1, { ip: GUESSER })).status).toBe(101);
  });

  test("a lock concerns neither another address, nor another session, nor who is connected", async () => {
    const [relay, other] = await Promise.all([newRelay(3), newRelay(2)]);
    const inside = await connect(relay, 2, { ip: GUESSER });
    await guessTimes(relay, 10);
    expect((await knock(relay, 1, { ip: GUESSER })).status).toBe(429);
    expect((await knock(relay, 1, { ip: "198.51.100.67" })).status).toBe(101);
    expect((await knock(other, 1, { ip: GUESSER })).status).toBe(101);
    expect(await inside.settle()).toEqual([]);
  });

  test("the wrong link and a revoked token count as guesses", async () => {
    const relay = await newRelay(2);
    await guessTimes(relay, 9);
    expect((await knock(relay, 1, { side: "server", ip: GUESSER })).status).toBe(403);
    expect((await knock(relay, 1, { ip: GUESSER })).status).toBe(429);
  });

  test("guesses cost no stored row, so that a guesser sets no cost", async () => {
    const relay = await newRelay(2);
    const rows = await rowsOf(() => guessTimes(relay, 12));
    expect(rows).toMatchObject({ objectWritten: 0 });
  });
});
