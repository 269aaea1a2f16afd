/**
 * A websocket closes when its user is replaced or revoked and when the session ends, with a code
 * that says why.
 */
import { runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call } from "../support/client";
import { advance, stopClock } from "../support/clock";
import {
  connect,
  endRelay,
  fromClient,
  newRelay,
  type Relay,
  readUser,
  revokeUser,
  Socket,
  tryConnect,
  upgrade,
  withId,
} from "../support/socket";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const path = (relay: Relay) => `/v1/relays/sessions/${relay.id}`;
const statusOf = async (relay: Relay) =>
  (await call("GET", path(relay), { key: relay.key })).status;
describe("a second websocket of a user", () => {
  test("replaces the first, and frames go only to the new one", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const first = await connect(relay, 1);
    const second = await connect(relay, 1);
    expect((await first.closed).code).toBe(4409);
    expect(second.controls[0]).toEqual({
      type: "ready",
      connection_id: 1,
      role: "client",
      received: 0,
      sent: 0,
    });
    host.send(...withId(1, 7));
    expect(await second.frame()).toEqual(fromClient(7));
    second.send(...fromClient(8));
    expect(await host.frame()).toEqual(withId(1, 8));
    expect(await readUser(relay, 1)).toMatchObject({ connected: true });
  });

  test("replaces that of the host too, and the clients stay", async () => {
    const relay = await newRelay(2);
    const first = await connect(relay, 0);
    const client = await connect(relay, 1);
    const second = await connect(relay, 0);
    expect((await first.closed).code).toBe(4409);
    expect(await second.control("peer_joined")).toMatchObject({ connection_id: 1 });
    client.send(...fromClient(1));
    expect(await second.frame()).toEqual(withId(1, 1));
  });

  test("stays open when the first one closes", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const first = await connect(relay, 1, { halfOpen: true });
    const second = await connect(relay, 1);
    await first.closed;
    first.close(1000);
    await second.settle();
    expect(await readUser(relay, 1)).toMatchObject({ connected: true });
    expect(host.controls.at(-1)).toEqual({ type: "peer_joined", connection_id: 1 });
  });

  test("leaves what the first one still sends without effect", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const first = await connect(relay, 1, { halfOpen: true });
    const second = await connect(relay, 1);
    await first.closed;
    first.send(...fromClient(66));
    second.send(...fromClient(7));
    expect(await host.frame()).toEqual(withId(1, 7));
    expect(await host.settle()).toEqual([]);
  });

  test("leaves exactly one open that works, when both are opened at once", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const answers = await Promise.all([upgrade(relay, 1), upgrade(relay, 1), upgrade(relay, 1)]);
    const sockets = answers.map(({ webSocket }) => {
      if (!webSocket) throw new Error("not let in");
      return new Socket(webSocket, false);
    });
    const codes: number[] = [];
    const closes = sockets.map(({ closed }) => closed.then(({ code }) => codes.push(code)));
    await Promise.any(closes);
    host.send(...withId(1, 5));
    await host.settle();
    const open = sockets.filter((socket) => socket.open);
    expect(open).toHaveLength(1);
    expect(codes).toEqual([4409, 4409]);
    expect(await open[0]?.frame()).toEqual(fromClient(5));
  });
});

describe("revoking a user", () => {
  test("closes their websocket before the answer, and no other", async () => {
    const relay = await newRelay(3);
    const [host, other] = [await connect(relay, 0), await connect(relay, 2)];
    const revoked = await connect(relay, 1);
    const close = vi.spyOn(WebSocket.prototype, "close");
    const { status } = await revokeUser(relay, 1);
    // Read when the answer has arrived: the relay had closed the socket by then.
    const codes = close.mock.calls.map(([code]) => code);
    expect(status).toBe(200);
    expect(codes[0]).toBe(4403);
    expect((await revoked.closed).code).toBe(4403);
    expect(await host.control("peer_left")).toEqual({ type: "peer_left", connection_id: 1 });
    expect(await other.settle()).toEqual([]);
    expect((await tryConnect(relay, 1)).status).toBe(403);
  });

  test("lets none of their frames pass after the answer", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1, { halfOpen: true });
    for (let i = 0; i < 50; i++) client.send(...fromClient(1, i));
    const answer = revokeUser(relay, 1);
    for (let i = 0; i < 50; i++) client.send(...fromClient(2, i));
    expect((await answer).status).toBe(200);
    await host.settle();
    for (let i = 0; i < 50; i++) client.send(...fromClient(3, i));
    expect((await client.closed).code).toBe(4403);
    client.close(1000);
    // One more call on the object, after all that the client had sent.
    await readUser(relay, 0);
    expect(await host.settle()).toEqual([]);
    expect(host.open).toBe(true);
  });

  test("drops the host's frames to them from then on", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    await connect(relay, 1);
    await revokeUser(relay, 1);
    host.send(...withId(1, 1));
    await host.settle();
    expect(await readUser(relay, 0)).toMatchObject({ frames_dropped: 1 });
  });
});

describe("the end of a session", () => {
  test("by its organisation is told to everyone, with the reason, before the websockets close", async () => {
    const relay = await newRelay(3);
    const sockets = [await connect(relay, 0), await connect(relay, 1), await connect(relay, 2)];
    expect((await endRelay(relay)).status).toBe(204);
    for (const socket of sockets) {
      expect((await socket.closed).code).toBe(4410);
      expect(socket.controls.at(-1)).toEqual({ type: "ending", reason: "organisation" });
    }
  });

  test("by its time comes with the alarm, on time and not before", async () => {
    stopClock();
    const relay = await newRelay(2, { ttl_seconds: 60 });
    const sockets = [await connect(relay, 0), await connect(relay, 1)];
    advance(59.999);
    expect(await runDurableObjectAlarm(relay.stub)).toBe(true);
    expect(await statusOf(relay)).toBe(200);
    advance(0.001);
    expect(await runDurableObjectAlarm(relay.stub)).toBe(true);
    for (const socket of sockets) {
      expect((await socket.closed).code).toBe(4410);
      expect(socket.controls.at(-1)).toEqual({ type: "ending", reason: "api" });
    }
    expect(await statusOf(relay)).toBe(404);
  });

  test("by its time comes also with a frame before the alarm, and that frame does not pass", async () => {
    stopClock();
    const relay = await newRelay(2, { ttl_seconds: 60 });
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    advance(60);
    client.send(...fromClient(1));
    expect((await client.closed).code).toBe(4410);
    expect((await host.closed).code).toBe(4410);
    expect(host.controls.at(-1)).toEqual({ type: "ending", reason: "api" });
    await expect(host.frame()).rejects.toThrow();
  });

  test("leaves no websocket that works: later frames reach nobody", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1, { halfOpen: true });
    await endRelay(relay);
    await client.closed;
    client.send(...fromClient(1));
    client.close(1000);
    await host.closed;
    expect((await tryConnect(relay, 1)).status).toBe(410);
  });
});

describe("an idle session", () => {
  const quick = { idle_seconds: 10, ttl_seconds: 86_400 };

  test("does not end while a websocket is open, however silent", async () => {
    stopClock();
    const relay = await newRelay(2, quick);
    const client = await connect(relay, 1);
    advance(3_600);
    expect(await runDurableObjectAlarm(relay.stub)).toBe(true);
    expect(await client.settle()).toEqual([]);
    expect(await statusOf(relay)).toBe(200);
  });

  test("ends when its time has passed since the last websocket closed, and not before", async () => {
    stopClock();
    const relay = await newRelay(2, quick);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    advance(3_600);
    client.close(1000);
    await host.control("peer_left");
    host.close(1000);
    await host.closed;
    advance(9.999);
    expect(await runDurableObjectAlarm(relay.stub)).toBe(true);
    expect((await tryConnect(relay, 1)).status).toBe(101);
    advance(12.5);
    expect(await runDurableObjectAlarm(relay.stub)).toBe(true);
    expect((await tryConnect(relay, 1)).status).toBe(410);
  });

  test.each([
    ["malformed", [9], 4400],
    ["too large", Array<number>(70_000).fill(2), 1009],
  ])(
    "has its whole time from when the relay closed the last websocket as %s",
    async (_, bytes, code) => {
      stopClock();
      const relay = await newRelay(2, quick);
      const client = await connect(relay, 1, { halfOpen: true });
      advance(3_600);
      client.send(...bytes);
      expect((await client.closed).code).toBe(code);
      expect(await runDurableObjectAlarm(relay.stub)).toBe(true);
      expect(await statusOf(relay)).toBe(200);
    },
  );
});

describe("a client that closes its websocket", () => {
  test.each([1000, 3000, 4321, 4999])("with the code %i gets that code back", async (code) => {
    const relay = await newRelay(2);
    const client = await connect(relay, 1);
    client.close(code, "bye");
    expect((await client.closed).code).toBe(code);
  });

  test("without a code is answered too, and not cut off", async () => {
    const relay = await newRelay(2);
    const client = await connect(relay, 1);
    client.close();
    expect([1000, 1005]).toContain((await client.closed).code);
  });

  test("is not shown as connected any more, and the host stays", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    client.close(1000);
    await client.closed;
    await host.control("peer_left");
    expect(await readUser(relay, 1)).toMatchObject({ connected: false });
    expect(await host.settle()).toEqual([]);
  });
});
