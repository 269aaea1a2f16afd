/**
 * Nobody can guess a token: an address that sends wrong tokens is locked out, and many wrong tokens
 * close the session to addresses that are new.
 */
import { evictDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { stopClock } from "../support/clock";
import { rowsOf } from "../support/rows";
import { connect, newRelay, type Relay, revokeUser, tryConnect } from "../support/socket";

afterEach(() => {
  vi.useRealTimers();
});

const MINUTE_MS = 60_000;
const GUESSER = "198.51.100.66";

/** Sends a wrong user token with the right session token. */
const guess = (relay: Relay, token: number, ip = GUESSER) =>
  tryConnect(relay, 1, { ip, query: `session_token=${relay.sessionToken}&user_token=${token}` });

/** Sends so many different wrong tokens, from 1 up, and returns the status of each answer. */
async function guessTimes(relay: Relay, times: number, ip = GUESSER): Promise<number[]> {
  const statuses: number[] = [];
  for (let token = 1; token <= times; token++) {
    statuses.push((await guess(relay, token, ip)).status);
  }
  return statuses;
}

describe("guessing tokens", () => {
  test("nine times wrong leaves the right one usable", async () => {
    const relay = await newRelay(2);
    expect(await guessTimes(relay, 9)).toEqual(Array(9).fill(403));
    expect((await tryConnect(relay, 1, { ip: GUESSER })).status).toBe(101);
  });

  test("ten times wrong locks the address out for a minute, also with the right token, and tells when to return", async () => {
    stopClock();
    const relay = await newRelay(2);
    expect(await guessTimes(relay, 10)).toEqual(Array(10).fill(403));
    const locked = await tryConnect(relay, 1, { ip: GUESSER });
    expect(locked.status).toBe(429);
    expect(locked.headers.get("Retry-After")).toBe("60");
    vi.setSystemTime(Date.now() + MINUTE_MS - 1);
    expect((await tryConnect(relay, 1, { ip: GUESSER })).headers.get("Retry-After")).toBe("1");
    vi.setSystemTime(Date.now() + 1);
    expect((await tryConnect(relay, 1, { ip: GUESSER })).status).toBe(101);
  });

  test("fifteen times with the same wrong token locks nobody out", async () => {
    const relay = await newRelay(2);
    for (let i = 0; i < 15; i++) expect((await guess(relay, 1)).status).toBe(403);
    expect((await tryConnect(relay, 1, { ip: GUESSER })).status).toBe(101);
  });

  test("ten times with a wrong session token locks the address too", async () => {
    const relay = await newRelay(2);
    for (let i = 1; i <= 10; i++) {
      const query = `session_token=${i}&user_token=${relay.userTokens[1]}`;
      expect((await tryConnect(relay, 1, { ip: GUESSER, query })).status).toBe(403);
    }
    expect((await tryConnect(relay, 1, { ip: GUESSER })).status).toBe(429);
  });

  test("does not lock another address, another session, or a user who is connected", async () => {
    const [relay, other] = await Promise.all([newRelay(3), newRelay(2)]);
    const inside = await connect(relay, 2, { ip: GUESSER });
    await guessTimes(relay, 10);
    expect((await tryConnect(relay, 1, { ip: GUESSER })).status).toBe(429);
    expect((await tryConnect(relay, 1, { ip: "198.51.100.67" })).status).toBe(101);
    expect((await tryConnect(other, 1, { ip: GUESSER })).status).toBe(101);
    expect(await inside.settle()).toEqual([]);
  });

  test("locks an IPv6 client with its whole /64, and not the next /64", async () => {
    const relay = await newRelay(2);
    for (let i = 1; i <= 10; i++) await guess(relay, i, `2001:db8:0:7::${i}`);
    expect((await tryConnect(relay, 1, { ip: "2001:db8:0:7:ffff::1" })).status).toBe(429);
    expect((await tryConnect(relay, 1, { ip: "2001:db8:0:8::1" })).status).toBe(101);
  });

  test("is also to use the wrong link or a revoked token", async () => {
    const relay = await newRelay(3);
    await guessTimes(relay, 8);
    expect((await tryConnect(relay, 1, { side: "server", ip: GUESSER })).status).toBe(403);
    await revokeUser(relay, 2);
    expect((await tryConnect(relay, 2, { ip: GUESSER })).status).toBe(403);
    expect((await tryConnect(relay, 1, { ip: GUESSER })).status).toBe(429);
  });

  test("costs no stored row, so that a guesser causes no cost", async () => {
    const relay = await newRelay(2);
    const rows = await rowsOf(() => guessTimes(relay, 12));
    expect(rows).toMatchObject({ objectWritten: 0 });
  });

  test("keeps the object awake from four wrong tokens on, since hibernation would forget them", async () => {
    const relay = await newRelay(2);
    await connect(relay, 0);
    await guessTimes(relay, 3);
    await evictDurableObject(relay.stub);
    await guessTimes(relay, 4);
    await expect(evictDurableObject(relay.stub)).rejects.toThrow("active references");
  });
});

describe("a session with sixty wrong user tokens in a minute", () => {
  const NEW = "203.0.113.9";

  /** Sends sixty different wrong user tokens, ten from each of six addresses. */
  async function useUpBudget(relay: Relay, sessionToken = relay.sessionToken): Promise<void> {
    for (let i = 0; i < 60; i++) {
      const query = `session_token=${sessionToken}&user_token=${i + 1}`;
      const { status } = await tryConnect(relay, 1, { ip: `198.51.100.${i % 6}`, query });
      expect(status).toBe(403);
    }
  }

  test("refuses addresses that were never connected, for the rest of that minute", async () => {
    stopClock();
    const relay = await newRelay(3);
    await useUpBudget(relay);
    const refused = await tryConnect(relay, 1, { ip: NEW });
    expect(refused.status).toBe(429);
    expect(refused.headers.get("Retry-After")).toBe("60");
    expect(refused.body).toEqual({
      message: expect.stringContaining("connected before"),
      code: "locked",
    });
    expect((await guess(relay, 61, NEW)).status).toBe(429);
    vi.setSystemTime(Date.now() + MINUTE_MS);
    expect((await tryConnect(relay, 1, { ip: NEW })).status).toBe(101);
  });

  test("lets in addresses that are or were connected, until they have sent ten wrong tokens themselves", async () => {
    const relay = await newRelay(4);
    const [here, gone] = ["203.0.113.1", "2001:db8:0:9::1"];
    await connect(relay, 1, { ip: here });
    expect((await tryConnect(relay, 2, { ip: gone })).status).toBe(101);
    await useUpBudget(relay);
    expect((await tryConnect(relay, 3, { ip: here })).status).toBe(101);
    expect((await tryConnect(relay, 2, { ip: "2001:db8:0:9::2" })).status).toBe(101);
    for (let i = 101; i <= 110; i++) expect((await guess(relay, i, here)).status).toBe(403);
    expect((await tryConnect(relay, 3, { ip: here })).status).toBe(429);
    expect((await tryConnect(relay, 2, { ip: gone })).status).toBe(101);
  });

  test("still knows after hibernation from which addresses its users are or were connected", async () => {
    stopClock();
    const relay = await newRelay(4);
    const [here, gone] = ["203.0.113.1", "203.0.113.2"];
    const leaver = await connect(relay, 2, { ip: gone });
    const host = await connect(relay, 0);
    await connect(relay, 1, { ip: here });
    leaver.close(1000);
    await host.control("peer_left");
    await host.settle();
    await evictDurableObject(relay.stub);
    await useUpBudget(relay);
    expect((await tryConnect(relay, 1, { ip: here })).status).toBe(101);
    expect((await tryConnect(relay, 2, { ip: gone })).status).toBe(101);
    expect((await tryConnect(relay, 3, { ip: NEW })).status).toBe(429);
  });

  test("forgets the addresses of a user who was revoked", async () => {
    const relay = await newRelay(3);
    await tryConnect(relay, 2, { ip: NEW });
    await revokeUser(relay, 2);
    await useUpBudget(relay);
    expect((await tryConnect(relay, 1, { ip: NEW })).status).toBe(429);
  });

  test("counts only those that came with its session token", async () => {
    const relay = await newRelay(2);
    await useUpBudget(relay, relay.sessionToken === 7 ? 8 : 7);
    expect((await tryConnect(relay, 1, { ip: NEW })).status).toBe(101);
  });

  test("does not count one old token more than once, though it comes from many addresses", async () => {
    const relay = await newRelay(2);
    for (let i = 0; i < 70; i++) await guess(relay, 1, `198.51.100.${i}`);
    expect((await tryConnect(relay, 1, { ip: NEW })).status).toBe(101);
  });
});
