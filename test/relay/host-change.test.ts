/**
 * Another user becomes the host while sockets are open: the new host goes on in place, no frame is read in the
 * wrong format, and everyone is told.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { advance, stopClock } from "../support/clock";
import { hubWith } from "../support/relay-hub";
import { fromClient, type Socket, withId } from "../support/socket";

beforeEach(() => {
  stopClock();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A host and two clients, each told of the others. */
async function game() {
  const relay = hubWith({});
  const sockets = [relay.join(0), relay.join(1), relay.join(2)] as const;
  for (const socket of sockets) await socket.settle();
  return { ...relay, sockets };
}

/** What a socket was told since it had been told so much. */
const since = ({ controls }: Socket, count: number) => controls.slice(count);

describe("a client that is made the host", () => {
  test("is told so, and then who is there; its connection id stays", async () => {
    const { sockets, changeHost } = await game();
    const [, one] = sockets;
    const before = one.controls.length;
    changeHost(1);
    await one.settle();
    expect(since(one, before)).toEqual([
      { type: "promoted" },
      { type: "peer_joined", connection_id: 2 },
    ]);
    expect(one.open).toBe(true);
  });

  test("gets frames in the host's format from then on, before it has answered too", async () => {
    const { sockets, changeHost } = await game();
    const [, one, two] = sockets;
    changeHost(1);
    two.send(...fromClient(5));
    await two.settle();
    expect(await one.settle()).toEqual([withId(2, 5)]);
  });

  test("is read as a client until it has answered: what it sends in between is dropped and counted, and reaches nobody", async () => {
    const { sockets, changeHost, relay } = await game();
    const [, one, two] = sockets;
    changeHost(1);
    // A frame that was under way. As a host's, it would be for client 2.
    one.send(...withId(2, 9));
    one.send(...fromClient(9));
    await one.settle();
    expect(await two.settle()).toEqual([]);
    expect(relay.hub.traffic.get(1)).toMatchObject({ dropped: 2, bytesIn: 6 });
    one.sendText("promoted");
    one.send(...withId(2, 7));
    one.send(3, 8);
    await one.settle();
    expect(await two.settle()).toEqual([fromClient(7), fromClient(8)]);
    expect(relay.hub.traffic.get(1)).toMatchObject({ dropped: 2 });
  });

  test("may not broadcast before it has answered: as a client's, such a frame is malformed", async () => {
    const { sockets, changeHost } = await game();
    const [, one, two] = sockets;
    changeHost(1);
    one.send(3, 1);
    expect((await one.closed).code).toBe(4400);
    expect(await two.control("host_left")).toEqual({ type: "host_left" });
  });

  test("goes on after evictions, before its answer and after it", async () => {
    const { sockets, changeHost, evict } = await game();
    const [, one, two] = sockets;
    changeHost(1);
    evict();
    one.send(...withId(2, 9));
    await one.settle();
    expect(await two.settle()).toEqual([]);
    one.sendText("promoted");
    await one.settle();
    evict();
    one.send(...withId(2, 7));
    await one.settle();
    expect(await two.settle()).toEqual([fromClient(7)]);
  });

  test("answers once: a second answer is a text message as any other", async () => {
    const { sockets, changeHost } = await game();
    const [, one] = sockets;
    changeHost(1);
    one.sendText("promoted");
    await one.settle();
    one.sendText("promoted");
    expect((await one.closed).code).toBe(4400);
  });

  test("and closes before it has answered is gone, and is the host when it comes back", async () => {
    const { sockets, changeHost, join } = await game();
    const [, , two] = sockets;
    changeHost(1);
    const again = join(1);
    again.send(...withId(2, 7));
    await again.settle();
    expect(again.controls[0]).toMatchObject({ type: "ready", connection_id: 1, role: "host" });
    expect(await two.settle()).toEqual([fromClient(7)]);
  });
});

describe("the text promoted", () => {
  test.each([
    ["host", 0],
    ["client", 1],
  ] as const)("of a %s that was not made the host is malformed", async (_, n) => {
    const { sockets } = await game();
    sockets[n].sendText("promoted");
    expect((await sockets[n].closed).code).toBe(4400);
  });
});

describe("the host before", () => {
  test("is closed with 4503, and comes back as a client", async () => {
    const { sockets, changeHost, join } = await game();
    const [old, one] = sockets;
    changeHost(1);
    expect(await old.closed).toEqual({
      code: 4503,
      reason: "another user is the host now: connect again",
    });
    one.sendText("promoted");
    const back = join(0);
    await back.settle();
    expect(back.controls).toEqual([
      { type: "ready", connection_id: 0, role: "client", received: 0, sent: 0 },
      { type: "host_joined" },
    ]);
    expect(await one.control("peer_joined")).toMatchObject({ connection_id: 2 });
    expect(await one.control("peer_joined")).toMatchObject({ connection_id: 0 });
    back.send(...fromClient(4));
    await back.settle();
    expect(await one.settle()).toEqual([withId(0, 4)]);
    one.send(...withId(0, 6));
    await one.settle();
    expect(await back.settle()).toEqual([fromClient(6)]);
  });

  test("reaches nobody with what it still sends", async () => {
    const { sockets, changeHost } = await game();
    const [old, one, two] = sockets;
    old.send(...withId(2, 1));
    await old.settle();
    changeHost(1);
    old.send(...withId(2, 2));
    await old.closed;
    await one.settle();
    expect(await two.settle()).toEqual([fromClient(1)]);
  });

  test("pays for a connection as a client from then on, and the new host as a host", async () => {
    const { changeHost, join, relay } = await game();
    for (let n = 3; n <= 40; n++) join(n);
    changeHost(1);
    // What they have sent so far is filled up again.
    advance(2);
    const now = Date.now();
    const times = (n: number) => {
      let connections = 0;
      while (connections < 100 && relay.hub.spendConnection(n, now) === 0) connections += 1;
      return connections;
    };
    expect(times(0)).toBe(20);
    expect(times(1)).toBeLessThan(10);
  });
});

describe("the clients", () => {
  test("are told who is the host now, and nothing of one who came and went: it was there all the time", async () => {
    const { sockets, changeHost } = await game();
    const [, , two] = sockets;
    const before = two.controls.length;
    changeHost(1);
    await two.settle();
    expect(since(two, before)).toEqual([{ type: "host_changed", connection_id: 1 }]);
  });

  test("are told that there is none when the new one is not connected", async () => {
    const { sockets, changeHost, join } = await game();
    const [, , two] = sockets;
    const before = two.controls.length;
    changeHost(7);
    await two.settle();
    const late = join(7);
    await late.settle();
    await two.settle();
    expect(late.controls[0]).toMatchObject({ connection_id: 7, role: "host" });
    expect(since(two, before)).toEqual([
      { type: "host_changed", connection_id: 7 },
      { type: "host_left" },
      { type: "host_joined" },
    ]);
  });

  test("are told that there is one again when the one before was gone", async () => {
    const { sockets, changeHost, relay } = await game();
    const [old, , two] = sockets;
    relay.hub.close(0, 4403, "revoked");
    await old.closed;
    await two.settle();
    const before = two.controls.length;
    changeHost(1);
    await two.settle();
    expect(since(two, before)).toEqual([
      { type: "host_changed", connection_id: 1 },
      { type: "host_joined" },
    ]);
  });

  test("are told only that it changed when neither is connected", async () => {
    const { sockets, changeHost, relay } = await game();
    const [, , two] = sockets;
    relay.hub.close(0, 4403, "revoked");
    await two.settle();
    const before = two.controls.length;
    changeHost(7);
    await two.settle();
    expect(since(two, before)).toEqual([{ type: "host_changed", connection_id: 7 }]);
  });
});

test("however often the host changes, each frame is read in the format of its sender's side", async () => {
  const { sockets, changeHost, join } = await game();
  const open: (Socket | undefined)[] = [...sockets];
  let host = 0;
  for (const next of [1, 2, 0, 2, 1, 0]) {
    const before = host;
    changeHost(next);
    host = next;
    await open[before]?.closed;
    open[before] = join(before);
    open[host]?.sendText("promoted");
    const clients = [0, 1, 2].filter((n) => n !== host);
    for (const n of clients) open[n]?.send(...fromClient(n, 1));
    for (const n of clients) open[host]?.send(...withId(n, n, 2));
    const got: number[][][] = [];
    for (const socket of open) got.push((await socket?.settle()) ?? []);
    for (const [n, socket] of open.entries()) got[n]?.push(...((await socket?.settle()) ?? []));
    for (const n of clients) expect(got[n]).toEqual([fromClient(n, 2)]);
    expect(got[host]?.toSorted()).toEqual(clients.map((n) => withId(n, n, 1)));
    advance(60);
  }
});
