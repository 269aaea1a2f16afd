/** A session goes on after its object was evicted: its sockets hibernate and wake it. */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { advance, stopClock } from "../support/clock";
import { rowsOf } from "../support/rows";
import {
  connect,
  endRelay,
  fromClient,
  newRelay,
  type Relay,
  readUser,
  revokeUser,
  tryConnect,
  withId,
} from "../support/socket";

afterEach(() => {
  vi.useRealTimers();
});

const evict = (relay: Relay) => evictDurableObject(relay.stub);
describe("a session whose object was evicted", () => {
  test("is woken by a client's frame, which reaches the host under the same id", async () => {
    const relay = await newRelay(3);
    const host = await connect(relay, 0);
    const [one, two] = [await connect(relay, 1), await connect(relay, 2)];
    await evict(relay);
    two.send(...fromClient(5, 6));
    expect(await host.frame()).toEqual(withId(2, 5, 6));
    one.send(...fromClient(7));
    expect(await host.frame()).toEqual(withId(1, 7));
  });

  test("is woken by a frame of the host, which reaches the client that it names", async () => {
    const relay = await newRelay(3);
    const host = await connect(relay, 0);
    const [one, two] = [await connect(relay, 1), await connect(relay, 2)];
    await evict(relay);
    host.send(...withId(2, 5));
    expect(await two.frame()).toEqual(fromClient(5));
    await host.settle();
    expect(await one.settle()).toEqual([]);
  });

  test("still passes frames both ways after several evictions", async () => {
    const relay = await newRelay(2);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    for (let round = 1; round <= 3; round++) {
      await evict(relay);
      client.send(...fromClient(round));
      expect(await host.frame()).toEqual(withId(1, round));
      await evict(relay);
      host.send(...withId(1, round));
      expect(await client.frame()).toEqual(fromClient(round));
    }
  });

  test("tells nobody again who is connected, and answers pings", async () => {
    const relay = await newRelay(2);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    await client.control("host_joined");
    await host.control("peer_joined");
    const before = [...host.controls, ...client.controls];
    await evict(relay);
    expect(await host.settle()).toEqual([]);
    expect(await client.settle()).toEqual([]);
    expect([...host.controls, ...client.controls]).toEqual(before);
  });

  test("writes nothing when it wakes", async () => {
    const relay = await newRelay(2);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    await rowsOf(async () => undefined);
    await evict(relay);
    const rows = await rowsOf(async () => {
      client.send(...fromClient(1));
      await host.frame();
      await host.settle();
    });
    expect(rows).toMatchObject({ objectWritten: 0 });
    expect(rows.objectRead).toBeGreaterThan(0);
  });

  test("tells the host when a client leaves, and does not show it as connected", async () => {
    const relay = await newRelay(2);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    await evict(relay);
    client.close(1000);
    expect((await client.closed).code).toBe(1000);
    expect(await host.control("peer_left")).toEqual({ type: "peer_left", connection_id: 1 });
    expect(await readUser(relay, 1)).toMatchObject({ connected: false });
  });

  test("tells the clients when the host leaves", async () => {
    const relay = await newRelay(2);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    await evict(relay);
    host.close(1000);
    expect(await client.control("host_left")).toEqual({ type: "host_left" });
  });

  test("closes a user's hibernated websocket when the user opens a second one", async () => {
    const relay = await newRelay(2);
    const [host, first] = [await connect(relay, 0), await connect(relay, 1)];
    await evict(relay);
    const second = await connect(relay, 1);
    expect((await first.closed).code).toBe(4409);
    host.send(...withId(1, 3));
    expect(await second.frame()).toEqual(fromClient(3));
  });
});

describe("a websocket that the relay closed before the eviction, and whose client did not answer,", () => {
  test("stays replaced", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const first = await connect(relay, 1, { halfOpen: true });
    const second = await connect(relay, 1);
    await first.closed;
    await evict(relay);
    first.send(...fromClient(66));
    host.send(...withId(1, 3));
    expect(await second.frame()).toEqual(fromClient(3));
    second.send(...fromClient(7));
    expect(await host.frame()).toEqual(withId(1, 7));
    expect(await host.settle()).toEqual([]);
  });

  test("stays revoked", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1, { halfOpen: true });
    await revokeUser(relay, 1);
    await client.closed;
    await evict(relay);
    client.send(...fromClient(66));
    host.send(...withId(1, 3));
    expect(await host.settle()).toEqual([]);
    expect(await readUser(relay, 0)).toMatchObject({ frames_dropped: 1 });
  });
});

describe("the counters of a session whose object was evicted", () => {
  test("lose at most the last five seconds of what was sent", async () => {
    stopClock();
    const relay = await newRelay(2);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    for (let i = 0; i < 4; i++) {
      client.send(...fromClient(...Array<number>(100).fill(i)));
      await host.frame();
      advance(5);
    }
    await evict(relay);
    const { bytes_in } = await readUser(relay, 1);
    expect(bytes_in).toBeGreaterThanOrEqual(300);
    expect(bytes_in).toBeLessThanOrEqual(400);
  });

  test("lose at most the last five seconds of a participant who only receives", async () => {
    stopClock();
    const relay = await newRelay(2);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    for (let i = 0; i < 4; i++) {
      client.send(...fromClient(...Array<number>(100).fill(i)));
      await host.frame();
      advance(5);
    }
    await evict(relay);
    expect((await readUser(relay, 0)).bytes_out).toBeGreaterThanOrEqual(300);
  });

  test("lose at most the last five seconds of a participant who has left", async () => {
    stopClock();
    const relay = await newRelay(3);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    client.send(...fromClient(1, 2, 3));
    await host.frame();
    client.close(1000);
    await host.control("peer_left");
    advance(6);
    const other = await connect(relay, 2);
    other.send(...fromClient(1));
    await host.frame();
    other.close(1000);
    await host.control("peer_left");
    // One more message through the object, after the close.
    await host.settle();
    await evict(relay);
    expect(await readUser(relay, 1)).toMatchObject({ connected: false, bytes_in: 3 });
  });

  test("lose nothing of a participant whom the relay closed and who never answered", async () => {
    stopClock();
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1, { halfOpen: true });
    client.send(...fromClient(1, 2, 3));
    await host.frame();
    advance(6);
    client.send(...fromClient(4));
    await host.frame();
    client.send(9);
    expect((await client.closed).code).toBe(4400);
    advance(60);
    await host.settle();
    await evict(relay);
    expect((await readUser(relay, 1)).bytes_in).toBeGreaterThanOrEqual(3);
  });
});

describe("a session with hibernated websockets", () => {
  const quick = { idle_seconds: 10, ttl_seconds: 600 };

  test("closes that of a user who is revoked", async () => {
    const relay = await newRelay(2);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    await evict(relay);
    const { status } = await revokeUser(relay, 1);
    expect(status).toBe(200);
    expect((await client.closed).code).toBe(4403);
    expect(await host.settle()).toEqual([]);
  });

  test("ends for everyone when its organisation deletes it", async () => {
    const relay = await newRelay(2);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    await evict(relay);
    expect((await endRelay(relay)).status).toBe(204);
    for (const socket of [host, client]) {
      expect((await socket.closed).code).toBe(4410);
      expect(socket.controls.at(-1)).toEqual({ type: "ending", reason: "organisation" });
    }
  });

  test("ends when its time is over, with websockets open", async () => {
    stopClock();
    const relay = await newRelay(2, quick);
    const client = await connect(relay, 1);
    advance(600);
    await evict(relay);
    expect(await runDurableObjectAlarm(relay.stub)).toBe(true);
    expect((await client.closed).code).toBe(4410);
    expect((await tryConnect(relay, 1)).status).toBe(410);
  });

  test("does not end as idle while one of them is open", async () => {
    stopClock();
    const relay = await newRelay(2, quick);
    const client = await connect(relay, 1);
    advance(300);
    await evict(relay);
    expect(await runDurableObjectAlarm(relay.stub)).toBe(true);
    await evict(relay);
    expect(await client.settle()).toEqual([]);
    expect((await tryConnect(relay, 0)).status).toBe(101);
  });

  test("ends as idle when the last of them has closed and its time has passed", async () => {
    stopClock();
    const relay = await newRelay(2, quick);
    const client = await connect(relay, 1);
    advance(300);
    await evict(relay);
    client.close(1000);
    await client.closed;
    // A call after the close: when the object answers, it has handled the close. A wrong link does
    // not count as activity.
    await tryConnect(relay, 1, { side: "server" });
    advance(9.999);
    await evict(relay);
    expect((await tryConnect(relay, 1, { side: "server" })).status).toBe(403);
    advance(2.501);
    await evict(relay);
    expect(await runDurableObjectAlarm(relay.stub)).toBe(true);
    expect((await tryConnect(relay, 1)).status).toBe(410);
  });
});
