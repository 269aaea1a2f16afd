/**
 * No participant sends more than the deployment's limits allow, has more than that buffered for it,
 * or slows the others down.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { RelayLimits } from "../../src/relay/relay-hub";
import { advance, stopClock } from "../support/clock";
import { hubWith, LIMITS, sized } from "../support/relay-hub";
import { connect, fromClient, newRelay, readUser, type Socket, withId } from "../support/socket";

const KB_64 = 65_536;

/** Sends the whole burst of bytes, in 16 frames. */
function sendBurst(client: Socket): void {
  for (let i = 0; i < 16; i++) client.sendBytes(sized([2], KB_64));
}

beforeEach(() => {
  // The clock is stopped, so that no budget fills while a test sends.
  stopClock();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the limit on messages", () => {
  test("passes a burst of 1,000, and the next message closes the websocket", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    // What connecting has taken from the budget is filled again.
    advance(1);
    for (let i = 0; i < 999; i++) client.send(...fromClient(1));
    expect(await client.settle()).toEqual([]);
    expect(await host.settle()).toHaveLength(999);
    client.send(...fromClient(2));
    expect((await client.closed).code).toBe(4429);
    expect(await host.settle()).toEqual([]);
  });

  test("passes 500 more a second later, and not 501", async () => {
    const relay = await newRelay(2);
    const client = await connect(relay, 1);
    advance(1);
    for (let i = 0; i < 1_000; i++) client.send(1);
    for (let i = 0; i < 1_000; i++) expect(await client.frame()).toEqual([1, 2]);
    advance(1);
    for (let i = 0; i < 501; i++) client.send(1);
    for (let i = 0; i < 500; i++) expect(await client.frame()).toEqual([1, 2]);
    expect((await client.closed).code).toBe(4429);
  });

  test("applies to the host as to everyone else", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    for (let i = 0; i < 1_001; i++) host.send(...withId(9));
    expect((await host.closed).code).toBe(4429);
  });
});

describe("the limit on bytes", () => {
  test("passes a burst of 1 MB, and the next byte closes the websocket", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    sendBurst(client);
    for (let i = 0; i < 16; i++) expect((await host.frameBytes()).length).toBe(KB_64 + 4);
    expect(client.open).toBe(true);
    client.send(1);
    expect((await client.closed).code).toBe(4429);
  });

  test("passes 256 KB more a second later, and not one byte more", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    sendBurst(client);
    for (let i = 0; i < 16; i++) await host.frameBytes();
    advance(1);
    for (let i = 0; i < 4; i++) client.sendBytes(sized([2], KB_64));
    for (let i = 0; i < 4; i++) await host.frameBytes();
    expect(client.open).toBe(true);
    client.send(1);
    expect((await client.closed).code).toBe(4429);
  });
});

describe("a participant over its limit", () => {
  test("does not disturb the others, and the host is told that it left", async () => {
    const relay = await newRelay(3);
    const host = await connect(relay, 0);
    const [loud, quiet] = [await connect(relay, 1), await connect(relay, 2)];
    for (let i = 0; i < 1_500; i++) loud.send(1);
    expect((await loud.closed).code).toBe(4429);
    expect(await host.control("peer_left")).toEqual({ type: "peer_left", connection_id: 1 });
    quiet.send(...fromClient(5));
    expect(await host.frame()).toEqual(withId(2, 5));
    host.send(...withId(2, 6));
    expect(await quiet.frame()).toEqual(fromClient(6));
  });

  test("may come back when time has filled its budget", async () => {
    const relay = await newRelay(2);
    const first = await connect(relay, 1);
    for (let i = 0; i < 1_001; i++) first.send(1);
    expect((await first.closed).code).toBe(4429);
    advance(2);
    const again = await connect(relay, 1);
    expect(await again.settle()).toEqual([]);
  });

  test("gets no new budget by connecting again", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const first = await connect(relay, 1);
    for (let i = 0; i < 899; i++) first.send(...fromClient(1));
    await first.settle();
    await host.settle();
    const second = await connect(relay, 1);
    second.send(...fromClient(2));
    await expect(second.settle()).rejects.toThrow("closed with 4429");
    expect(await host.settle()).toEqual([]);
  });
});

describe("a participant who never sends anything", () => {
  const MAX_FRAMES = Math.floor(LIMITS.unheardBytes / (KB_64 + 4));

  /**
   * Lets four clients send so many frames of 64 KB in all to the host, and waits until they are
   * handled.
   */
  async function sendToHost(clients: Socket[], frames: number): Promise<void> {
    for (let i = 0; i < frames; i++) {
      clients[i % clients.length]?.sendBytes(sized([2], KB_64));
    }
    for (const client of clients) await client.settle();
  }

  test("is closed when more than 4 MB were sent to it, and the others stay", async () => {
    const relay = await newRelay(7);
    const deaf = await connect(relay, 0);
    const clients: Socket[] = [];
    for (let n = 1; n <= 6; n++) clients.push(await connect(relay, n));
    await sendToHost(clients, MAX_FRAMES);
    expect(deaf.open).toBe(true);
    await sendToHost(clients.slice(5), 1);
    expect((await deaf.closed).code).toBe(4429);
    expect(await clients[0]?.control("host_left")).toEqual({ type: "host_left" });
    const next = await connect(relay, 0);
    clients[3]?.send(...fromClient(9));
    expect(await next.frame()).toEqual(withId(4, 9));
  });

  test("stays when it sends something in between", async () => {
    const relay = await newRelay(7);
    const host = await connect(relay, 0);
    const clients: Socket[] = [];
    for (let n = 1; n <= 6; n++) clients.push(await connect(relay, n));
    await sendToHost(clients, MAX_FRAMES);
    expect(await host.settle()).toHaveLength(MAX_FRAMES);
    await sendToHost(clients.slice(3), 10);
    expect(await host.settle()).toHaveLength(10);
  });

  test("is closed alone when it is a client: the host and the other clients stay", async () => {
    const relay = await newRelay(3);
    const host = await connect(relay, 0);
    const [deaf, other] = [await connect(relay, 1), await connect(relay, 2)];
    for (let i = 0; i < 66 && deaf.open; i++) {
      host.sendBytes(sized(withId(1), KB_64));
      await host.settle();
      advance(1);
    }
    expect((await deaf.closed).code).toBe(4429);
    host.send(...withId(2, 1));
    expect(await other.frame()).toEqual(fromClient(1));
    expect(await readUser(relay, 1)).toMatchObject({ connected: false });
  });
});

describe("a limit of 0", () => {
  /** A host and a client with these limits. */
  function pairWith(limits: Partial<RelayLimits>) {
    const { join } = hubWith(limits);
    return { host: join(0), client: join(1) };
  }

  test("for messages lets any number pass", async () => {
    const { host, client } = pairWith({ messagesPerSecond: 0 });
    for (let i = 0; i < 1_500; i++) client.send(...fromClient(1));
    await client.settle();
    expect(await host.settle()).toHaveLength(1_500);
  });

  test("for messages lets anyone connect any number of times", () => {
    const { hub } = hubWith({ messagesPerSecond: 0 });
    for (let i = 0; i < 500; i++) expect(hub.spendConnection(1, Date.now())).toBe(0);
  });

  test("for bytes lets any amount pass", async () => {
    const { host, client } = pairWith({ bytesPerSecond: 0 });
    for (let i = 0; i < 3; i++) sendBurst(client);
    await client.settle();
    expect(await host.settle()).toHaveLength(48);
  });

  test("for the bytes to a silent participant never closes one", async () => {
    const { host, client } = pairWith({ unheardBytes: 0, bytesPerSecond: 0 });
    for (let i = 0; i < 5; i++) sendBurst(client);
    await client.settle();
    expect(await host.settle()).toHaveLength(80);
  });
});
