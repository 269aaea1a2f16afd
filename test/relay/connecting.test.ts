/**
 * Connecting takes from the user's budget, and so does everything else that a participant makes the
 * relay handle or send.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RelayHub } from "../../src/relay/relay-hub";
import { advance, stopClock } from "../support/clock";
import { whileD1Refuses } from "../support/d1-refuses";
import { newConnectedRelay } from "../support/permissions";
import { hubWith, LIMITS, openToAll, sized } from "../support/relay-hub";
import {
  connect,
  fromClient,
  newRelay,
  type Relay,
  readUser,
  type Socket,
  tryConnect,
  upgrade,
  withId,
} from "../support/socket";

beforeEach(() => {
  // The clock is stopped, so that no budget fills while a test sends.
  stopClock();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("connecting", () => {
  const told = (socket: Socket, type: string) =>
    socket.controls.filter((control) => control.type === type).length;
  /**
   * Asks for an upgrade so many times, one after another, and returns the status of each answer.
   */
  async function connectTimes(relay: Relay, n: number, times: number): Promise<number[]> {
    const statuses: number[] = [];
    for (let i = 0; i < times; i++) {
      const { status, webSocket } = await upgrade(relay, n);
      webSocket?.accept();
      statuses.push(status);
    }
    return statuses;
  }
  const twenty = Array(20).fill(101);

  test("costs fifty messages of the user's budget: 20 of 100 connections at once are let in", async () => {
    const relay = await newRelay(3);
    const host = await connect(relay, 0);
    const statuses = await connectTimes(relay, 1, 100);
    expect(statuses).toEqual([...twenty, ...Array(80).fill(429)]);
    await host.settle();
    expect([told(host, "peer_joined"), told(host, "peer_left")]).toEqual([20, 19]);
    expect((await tryConnect(relay, 2)).status).toBe(101);
  });

  test("is possible again after the time that the refusal names: ten times a second", async () => {
    const relay = await newRelay(2);
    await connectTimes(relay, 1, 20);
    const refused = await tryConnect(relay, 1);
    expect(refused.status).toBe(429);
    expect(refused.headers.get("Retry-After")).toBe("1");
    expect(refused.body).toEqual({
      message: expect.stringContaining("Retry-After"),
      code: "over-limit",
    });
    advance(1);
    expect(await connectTimes(relay, 1, 11)).toEqual([...Array(10).fill(101), 429]);
  });

  test("leaves the open connection of the user as it is when the new one is refused", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    await connectTimes(relay, 1, 19);
    const last = await connect(relay, 1);
    expect((await tryConnect(relay, 1)).status).toBe(429);
    host.send(...withId(1, 7));
    expect(await last.frame()).toEqual(fromClient(7));
  });

  test("costs a host what everyone is told about it, where that is more", async () => {
    const relay = await newRelay(31);
    const clients: Socket[] = [];
    for (let n = 1; n <= 30; n++) clients.push(await connect(relay, n));
    // Each takes from the host's budget of 1,000 messages: the first client 90, each later one 93,
    // since by then the host is there.
    const statuses = await connectTimes(relay, 0, 30);
    expect(statuses.filter((status) => status === 101)).toHaveLength(10);
    for (const client of clients) {
      await client.settle();
      expect([told(client, "host_joined"), told(client, "host_left")]).toEqual([10, 9]);
    }
  });

  test("costs the same when the user is refused because D1 cannot be read", async () => {
    const relay = await newConnectedRelay("host", "client");
    await whileD1Refuses(/select/, async () => {
      expect(await connectTimes(relay, 1, 22)).toEqual([...Array(20).fill(503), 429, 429]);
    });
  });

  test("costs the user nothing with a wrong token", async () => {
    const relay = await newRelay(2);
    for (let i = 0; i < 30; i++) {
      await tryConnect(relay, 1, { query: `session_token=${relay.sessionToken}&user_token=1` });
    }
    expect(await connectTimes(relay, 1, 20)).toEqual(twenty);
  });
});

describe("a participant's budget", () => {
  const big = (bytes: number) => sized([9], bytes);

  test.each<[string, (client: Socket) => void, number]>([
    ["a malformed message", (client) => client.sendBytes(big(2_097_152)), 4400],
    ["a payload that is too large", (client) => client.sendBytes(sized([2], 2_097_152)), 1009],
    ["a text message", (client) => client.sendText("é".repeat(1_048_576)), 4400],
  ])(
    "is charged for all bytes received before the user may connect again: %s",
    async (_, send, code) => {
      const relay = await newRelay(2);
      const client = await connect(relay, 1);
      send(client);
      expect((await client.closed).code).toBe(code);
      // 2 MB against a burst of 1 MB: the missing 1 MB takes four seconds to fill.
      const refused = await tryConnect(relay, 1);
      expect(refused.status).toBe(429);
      expect(refused.headers.get("Retry-After")).toBe("4");
      advance(4);
      expect((await tryConnect(relay, 1)).status).toBe(101);
    },
  );

  test("is charged also for what arrives on a connection that was replaced", async () => {
    const relay = await newRelay(2);
    const first = await connect(relay, 1, { halfOpen: true });
    const second = await connect(relay, 1);
    await first.closed;
    for (let i = 0; i < 899; i++) first.send(...fromClient(66));
    // Both together had 900 left. Some pings may be answered before those messages have arrived.
    let answered = 0;
    while (answered < 800 && (await second.settle().catch(() => null))) answered += 1;
    expect((await second.closed).code).toBe(4429);
    expect(answered).toBeLessThan(800);
  });

  test("is charged also for frames to peers that are not there", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    for (let i = 0; i < 950; i++) host.send(...withId(77));
    await readUser(relay, 0);
    expect(host.open).toBe(true);
    host.send(...withId(77));
    expect((await host.closed).code).toBe(4429);
  });
});

describe("the limit on what is sent to a silent participant", () => {
  test("counts control messages, and closes a participant who gets only those", async () => {
    const { join } = hubWith({ unheardBytes: 2_000 });
    const deaf = join(0);
    for (let i = 0; i < 100 && deaf.open; i++) {
      const client = join(1);
      await client.control("ready");
    }
    expect((await deaf.closed).code).toBe(4429);
    expect(JSON.stringify(deaf.controls).length).toBeLessThan(2_200);
    const last = join(1);
    await last.settle();
    expect(last.controls).toEqual([
      { type: "ready", connection_id: 1, role: "client", received: 0, sent: 0 },
    ]);
  });
});

test("a hub that is rebuilt from its websockets, in any order, goes on with the newest counts of each user", () => {
  const { join, inners } = hubWith({});
  join(1);
  join(1);
  const [first, second] = inners;
  if (!first || !second) throw new Error("two sockets have joined");
  for (const sockets of [
    [first, second],
    [second, first],
  ]) {
    const hub = new RelayHub(sockets, LIMITS, new Map(), {
      gate: openToAll,
      host: () => 0,
      lastPing: () => null,
    });
    hub.receive(second, Uint8Array.from(fromClient(1, 2, 3)).buffer, Date.now());
    expect(hub.traffic.get(1)).toMatchObject({ bytesIn: 3, dropped: 1 });
  }
});
