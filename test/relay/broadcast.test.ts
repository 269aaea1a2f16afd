/** The host sends to all clients with one frame. It costs the host once, and the session as much as goes out. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { advance, stopClock } from "../support/clock";
import { allowBoth, newConnectedRelay, refusals } from "../support/permissions";
import { hubWith, sized } from "../support/relay-hub";
import { connect, fromClient, newRelay, readUser, type Socket } from "../support/socket";

const KB_64 = 65_536;

/** A broadcast of the host. */
const toAll = (...payload: number[]) => [3, ...payload];

beforeEach(() => {
  // The clock is stopped, so that no budget fills while a test sends.
  stopClock();
});
afterEach(() => {
  vi.useRealTimers();
});

async function game(clients: number): Promise<{ host: Socket; clients: Socket[] }> {
  const relay = await newRelay(clients + 1);
  const host = await connect(relay, 0);
  const sockets: Socket[] = [];
  for (let n = 1; n <= clients; n++) sockets.push(await connect(relay, n));
  return { host, clients: sockets };
}

describe("a broadcast of the host", () => {
  test("reaches every client as a frame of the host, in its order among other frames, and not the host", async () => {
    const { host, clients } = await game(3);
    host.send(2, 2, 0, 0, 0, 1);
    host.send(...toAll(2));
    host.send(2, 2, 0, 0, 0, 3);
    host.send(...toAll());
    expect(await host.settle()).toEqual([]);
    const [one, two, three] = await Promise.all(clients.map((client) => client.settle()));
    expect(one).toEqual([fromClient(2), fromClient()]);
    expect(two).toEqual([fromClient(1), fromClient(2), fromClient(3), fromClient()]);
    expect(three).toEqual([fromClient(2), fromClient()]);
  });

  test("counts once as sent, and for each client as received, and is never dropped for want of clients", async () => {
    const relay = await newRelay(4);
    const host = await connect(relay, 0);
    host.send(...toAll(1));
    await host.settle();
    const clients = [await connect(relay, 1), await connect(relay, 2)];
    host.send(...toAll(1, 2, 3));
    for (const client of clients) await client.frame();
    expect(await readUser(relay, 0)).toMatchObject({ bytes_in: 4, frames_dropped: 0 });
    expect(await readUser(relay, 2)).toMatchObject({ bytes_out: 3 });
    expect(await readUser(relay, 3)).toMatchObject({ bytes_out: 0 });
  });

  test("passes with 64 KB, and not with one byte more", async () => {
    const { host, clients } = await game(1);
    host.sendBytes(sized([3], KB_64 + 1));
    expect(await clients[0]?.frameBytes()).toEqual(sized([2], KB_64 + 1));
    host.sendBytes(sized([3], KB_64 + 2));
    expect((await host.closed).code).toBe(1009);
  });

  test("costs the host's budget one message: 990 a second later pass, to two clients each", async () => {
    const { host, clients } = await game(2);
    advance(2);
    for (let i = 0; i < 990; i++) host.send(...toAll(1));
    await host.settle();
    for (const client of clients) expect(await client.settle()).toHaveLength(990);
    for (let i = 0; i < 20; i++) host.send(...toAll(1));
    expect((await host.closed).code).toBe(4429);
  });

  test("of a client is malformed", async () => {
    const { host, clients } = await game(2);
    clients[0]?.send(...toAll(1));
    expect(await clients[0]?.closed).toMatchObject({ code: 4400 });
    await host.settle();
    expect(await clients[1]?.settle()).toEqual([]);
  });

  test("reaches the clients that relay permissions let it reach; the host is told of each other one, once, and it counts as dropped", async () => {
    const relay = await newConnectedRelay("host", "friend", "stranger", null);
    await allowBoth(relay.key, "host", "friend");
    const host = await connect(relay, 0);
    const [friend, stranger, guest] = [
      await connect(relay, 1),
      await connect(relay, 2),
      await connect(relay, 3),
    ];
    for (let i = 0; i < 3; i++) host.send(...toAll(i));
    await host.settle();
    expect(await friend.settle()).toHaveLength(3);
    expect(await guest.settle()).toHaveLength(3);
    expect(await stranger.settle()).toEqual([]);
    expect(refusals(host)).toBe(1);
    expect(host.controls.at(-1)).toEqual({ type: "refused", connection_id: 2 });
    expect(await readUser(relay, 0)).toMatchObject({ frames_dropped: 3 });
  });
});

describe("a host with 32 clients", () => {
  test("broadcasts 20 times a second within the default limits, and each client gets each frame", async () => {
    const { host, clients } = await game(32);
    // As large as the host's own limit allows at this rate.
    const frame = sized([3], Math.floor(262_144 / 20));
    let received = 0;
    for (let seconds = 0; seconds < 10; seconds++) {
      for (let tick = 0; tick < 20; tick++) host.sendBytes(frame);
      await host.settle();
      const heard = await Promise.all(clients.map((client) => client.settle()));
      received += heard.flat().length;
      advance(1);
    }
    expect(received).toBe(32 * 200);
  });

  test("is not delayed by one that never reads: that one is closed, and the others get each frame", async () => {
    const { join } = hubWith({ unheardBytes: KB_64 });
    const host = join(0);
    const deaf = join(1);
    const clients = Array.from({ length: 31 }, (_, i) => join(i + 2));
    for (let tick = 0; tick < 40; tick++) {
      host.sendBytes(sized([3], 4_096));
      advance(1 / 20);
      await host.settle();
      const heard = await Promise.all(clients.map((client) => client.settle()));
      expect(heard.map((frames) => frames.length)).toEqual(Array(31).fill(1));
    }
    expect((await deaf.closed).code).toBe(4429);
    expect(host.controls.at(-1)).toEqual({ type: "peer_left", connection_id: 1 });
  });
});

describe("what the broadcasts of a session send to all clients together", () => {
  test("is two seconds of its limit at once, and then its limit; above it the host is closed with 4429", async () => {
    const { join } = hubWith({ broadcastBytesPerSecond: 3_000 });
    const host = join(0);
    const clients = [join(1), join(2), join(3)];
    host.sendBytes(sized([3], 1_000));
    host.sendBytes(sized([3], 1_000));
    await host.settle();
    advance(1);
    host.sendBytes(sized([3], 1_000));
    await host.settle();
    host.sendBytes(sized([3], 1));
    const { code, reason } = await host.closed;
    expect([code, reason]).toEqual([4429, expect.stringContaining("broadcasts")]);
    for (const client of clients) {
      expect(await client.settle()).toHaveLength(3);
      expect(client.controls.at(-1)).toEqual({ type: "host_left" });
    }
  });

  test("has no limit where that is 0", async () => {
    const { join } = hubWith({ broadcastBytesPerSecond: 0, unheardBytes: 0, bytesPerSecond: 0 });
    const host = join(0);
    const client = join(1);
    for (let i = 0; i < 300; i++) host.sendBytes(sized([3], KB_64));
    await host.settle();
    expect(await client.settle()).toHaveLength(300);
  });
});
