/**
 * Text pings are answered without the session's object, and a participant who has pinged so and is silent for
 * a minute is gone.
 */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { moveClock } from "../support/clock";
import { hubWith, sized } from "../support/relay-hub";
import { rowsOf, settled } from "../support/rows";
import {
  connect,
  fromClient,
  newRelay,
  type Relay,
  readUser,
  type Socket,
  tryConnect,
  withId,
} from "../support/socket";

afterEach(() => {
  vi.useRealTimers();
});

const MINUTE_MS = 60_000;

async function threeOf(relay: Relay): Promise<[Socket, Socket, Socket]> {
  return [await connect(relay, 0), await connect(relay, 1), await connect(relay, 2)];
}

describe("a text ping", () => {
  test("is answered, of the host and of a client, and reaches nobody else", async () => {
    const [host, client, other] = await threeOf(await newRelay(3));
    await client.pingByText();
    await host.pingByText();
    expect(await host.settle()).toEqual([]);
    expect(await other.settle()).toEqual([]);
  });

  test("in a silent session costs no row and does not wake the object", async () => {
    const relay = await newRelay(3);
    const sockets = await threeOf(relay);
    await settled();
    await evictDurableObject(relay.stub);
    const rows = await rowsOf(async () => {
      for (let i = 0; i < 50; i++) await Promise.all(sockets.map((socket) => socket.pingByText()));
    });
    // An object that wakes reads its session first.
    expect(rows).toEqual({ d1Read: 0, d1Written: 0, objectRead: 0, objectWritten: 0 });
    const woken = await rowsOf(() => sockets[0].settle());
    expect(woken.objectRead).toBeGreaterThan(0);
  });

  test.each(["Ping", "ping ", "pong", "promoted", ""])(
    "is this word and nothing else: %j closes the websocket as malformed",
    async (text) => {
      const [host, client] = await threeOf(await newRelay(3));
      client.sendText(text);
      expect((await client.closed).code).toBe(4400);
      host.sendText(text);
      expect((await host.closed).code).toBe(4400);
    },
  );

  test("counts as being heard: who only pings so may be sent more than who never does", async () => {
    let ping: number | null = null;
    const { join } = hubWith({ unheardBytes: 10_000, lastPing: () => ping });
    const [host, client] = [join(0), join(1)];
    for (let i = 1; i <= 5; i++) {
      ping = i;
      for (let sent = 0; sent < 9; sent++) host.sendBytes(sized(withId(1), 1_000));
      await host.settle();
    }
    expect(client.open).toBe(true);
    for (let sent = 0; sent < 22; sent++) host.sendBytes(sized(withId(1), 1_000));
    expect((await client.closed).code).toBe(4429);
  });
});

describe("a participant who has pinged by text", () => {
  test("and of whom nothing was heard for a minute is gone: its websocket is closed, and the others are told", async () => {
    const relay = await newRelay(3);
    const [host, silent, other] = await threeOf(relay);
    await silent.pingByText();
    moveClock(MINUTE_MS);
    expect(await host.settle()).toEqual([]);
    expect(await silent.closed).toMatchObject({ code: 4408 });
    expect(await host.control("peer_left")).toEqual({ type: "peer_left", connection_id: 1 });
    expect(await readUser(relay, 1)).toMatchObject({ connected: false });
    expect(await other.settle()).toEqual([]);
  });

  test("as the host is gone for the clients too", async () => {
    const [host, client] = await threeOf(await newRelay(3));
    await host.pingByText();
    moveClock(MINUTE_MS);
    await client.settle();
    expect((await host.closed).code).toBe(4408);
    expect(await client.control("host_left")).toEqual({ type: "host_left" });
  });

  test("stays for a minute from its last ping or message, whichever came later", async () => {
    const [host, byPing, byFrame] = await threeOf(await newRelay(3));
    await byFrame.pingByText();
    await byPing.pingByText();
    moveClock(30_000);
    byFrame.send(...fromClient(1));
    expect(await host.frame()).toEqual(withId(2, 1));
    moveClock(29_000);
    await host.settle();
    moveClock(6_000);
    await host.settle();
    expect((await byPing.closed).code).toBe(4408);
    expect(await byFrame.settle()).toEqual([]);
  });

  test("comes back with the same tokens", async () => {
    const relay = await newRelay(3);
    const [host, silent] = await threeOf(relay);
    await silent.pingByText();
    moveClock(MINUTE_MS);
    const again = await connect(relay, 1);
    again.send(...fromClient(1));
    expect(await host.frame()).toEqual(withId(1, 1));
    expect((await silent.closed).code).toBe(4408);
  });

  test("counts as silent also after the object was evicted, and no sooner", async () => {
    const relay = await newRelay(3);
    const [host, silent, talking] = await threeOf(relay);
    await silent.pingByText();
    await talking.pingByText();
    moveClock(50_000);
    talking.send(...fromClient(1));
    await host.frame();
    await evictDurableObject(relay.stub);
    moveClock(15_000);
    await host.settle();
    expect((await silent.closed).code).toBe(4408);
    expect(await talking.settle()).toEqual([]);
  });

  test.each<[string, (relay: Relay) => Promise<unknown>]>([
    ["a call", (relay) => readUser(relay, 0)],
    ["the alarm", (relay) => runDurableObjectAlarm(relay.stub)],
    ["somebody who connects", (relay) => connect(relay, 2)],
  ])("is noticed by %s", async (_, wake) => {
    const relay = await newRelay(3);
    const silent = await connect(relay, 1);
    await silent.pingByText();
    moveClock(MINUTE_MS);
    await wake(relay);
    expect((await silent.closed).code).toBe(4408);
  });

  test("is noticed by somebody who leaves", async () => {
    const relay = await newRelay(3);
    const [host, silent] = await threeOf(relay);
    await silent.pingByText();
    moveClock(MINUTE_MS);
    host.close(1000);
    expect((await silent.closed).code).toBe(4408);
  });

  test("leaves the session idle when it was the last one, so that it ends in time", async () => {
    const relay = await newRelay(2, { idle_seconds: 10, ttl_seconds: 600 });
    const silent = await connect(relay, 1);
    await silent.pingByText();
    moveClock(MINUTE_MS);
    await runDurableObjectAlarm(relay.stub);
    expect((await silent.closed).code).toBe(4408);
    // A call after the close: when the object answers, it has handled the close. A wrong link is no use.
    await tryConnect(relay, 1, { side: "server" });
    moveClock(12_500);
    await runDurableObjectAlarm(relay.stub);
    expect((await tryConnect(relay, 1)).status).toBe(410);
  });
});

test("a participant who never pings by text may be silent for an hour", async () => {
  const [host, client] = await threeOf(await newRelay(3, { ttl_seconds: 86_400 }));
  client.send(1);
  await client.frame();
  moveClock(60 * MINUTE_MS);
  await host.settle();
  expect(await client.settle()).toEqual([]);
});
