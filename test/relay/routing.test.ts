/**
 * Frames pass between the host and the clients with their exact bytes, and participants are told
 * who is connected.
 */
import { afterEach, describe, expect, test, vi } from "vitest";
import { SessionObject } from "../../src/session-object/object";
import { rowsOf } from "../support/rows";
import { connect, fromClient, newRelay, readUser, type Socket, withId } from "../support/socket";

afterEach(() => {
  vi.restoreAllMocks();
});

const KB_64 = 65_536;

/** A frame of a client (header of 1 byte) or of the host (5 bytes) with a payload of this size. */
function large(header: number[], payloadBytes: number): Uint8Array {
  const frame = new Uint8Array(header.length + payloadBytes).fill(0xa5);
  frame.set(header);
  return frame;
}

async function pair(): Promise<{ host: Socket; client: Socket }> {
  const relay = await newRelay(2);
  return { host: await connect(relay, 0), client: await connect(relay, 1) };
}

describe("the control messages about participants", () => {
  test("tell each one that it is ready, with an id of its own that is not 0 for a client", async () => {
    const relay = await newRelay(3);
    const sockets = [await connect(relay, 0), await connect(relay, 1), await connect(relay, 2)];
    const ids = sockets.map(({ controls }) => controls[0]?.connection_id);
    expect(sockets.map(({ controls }) => controls[0]?.type)).toEqual(Array(3).fill("ready"));
    expect(new Set(ids).size).toBe(3);
    expect(ids.slice(1)).not.toContain(0);
  });

  test("tell the host which clients come, go, and were there before it", async () => {
    const relay = await newRelay(3);
    const early = await connect(relay, 1);
    const host = await connect(relay, 0);
    const late = await connect(relay, 2);
    late.close(1000);
    await late.closed;
    await host.control("peer_left");
    early.close(1000);
    await host.control("peer_left");
    expect(host.controls).toEqual([
      { type: "ready", connection_id: 0, role: "host" },
      { type: "peer_joined", connection_id: 1 },
      { type: "peer_joined", connection_id: 2 },
      { type: "peer_left", connection_id: 2 },
      { type: "peer_left", connection_id: 1 },
    ]);
  });

  test("tell clients about the host and not about each other", async () => {
    const relay = await newRelay(3);
    const early = await connect(relay, 1);
    const host = await connect(relay, 0);
    const late = await connect(relay, 2);
    await late.control("host_joined");
    host.close(1000);
    await Promise.all([early.control("host_left"), late.control("host_left")]);
    expect(early.controls.map(({ type }) => type)).toEqual(["ready", "host_joined", "host_left"]);
    expect(late.controls.map(({ type }) => type)).toEqual(["ready", "host_joined", "host_left"]);
  });

  test("give a client the same id when it connects again, and no other client that id", async () => {
    const relay = await newRelay(3);
    const first = await connect(relay, 1);
    first.close(1000);
    await first.closed;
    await connect(relay, 2);
    const again = await connect(relay, 1);
    expect(again.controls[0]).toMatchObject(first.controls[0] ?? {});
  });
});

describe("a frame", () => {
  test("of a client reaches the host with the client's id before the same bytes", async () => {
    const relay = await newRelay(3);
    const host = await connect(relay, 0);
    const [one, two] = [await connect(relay, 1), await connect(relay, 2)];
    one.send(...fromClient(1, 2, 255));
    expect(await host.frame()).toEqual(withId(1, 1, 2, 255));
    two.send(...fromClient(0));
    expect(await host.frame()).toEqual(withId(2, 0));
  });

  test("of the host reaches only the client that it names, without that id", async () => {
    const relay = await newRelay(3);
    const host = await connect(relay, 0);
    const [one, two] = [await connect(relay, 1), await connect(relay, 2)];
    host.send(...withId(2, 9, 8, 7));
    expect(await two.frame()).toEqual(fromClient(9, 8, 7));
    await host.settle();
    expect(await one.settle()).toEqual([]);
  });

  test("of a client never reaches another client", async () => {
    const relay = await newRelay(3);
    const [one, two] = [await connect(relay, 1), await connect(relay, 2)];
    one.send(...withId(2, 1));
    await one.settle();
    expect(await two.settle()).toEqual([]);
  });

  test("never overtakes an earlier one", async () => {
    const { host, client } = await pair();
    for (let i = 0; i < 200; i++) client.send(...fromClient(i));
    for (let i = 0; i < 200; i++) expect(await host.frame()).toEqual(withId(1, i));
  });

  test("without a payload passes both ways", async () => {
    const { host, client } = await pair();
    client.send(...fromClient());
    expect(await host.frame()).toEqual(withId(1));
    host.send(...withId(1));
    expect(await client.frame()).toEqual(fromClient());
  });

  test("with every byte value passes unchanged both ways", async () => {
    const { host, client } = await pair();
    const all = Array.from({ length: 256 }, (_, value) => value);
    client.send(...fromClient(...all));
    expect(await host.frame()).toEqual(withId(1, ...all));
    host.send(...withId(1, ...all));
    expect(await client.frame()).toEqual(fromClient(...all));
  });

  test("with 64 KB passes both ways", async () => {
    const { host, client } = await pair();
    client.sendBytes(large([2], KB_64));
    expect(await host.frameBytes()).toEqual(large(withId(1), KB_64));
    host.sendBytes(large(withId(1), KB_64));
    expect(await client.frameBytes()).toEqual(large([2], KB_64));
  });

  test("for an id that is not connected is dropped and counted, and the host stays", async () => {
    const relay = await newRelay(3);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    for (const id of [2, 77]) host.send(...withId(id, 1));
    host.send(...withId(0, 1));
    host.send(2, 255, 255, 255, 255, 1);
    expect(await host.settle()).toEqual([]);
    expect(await client.settle()).toEqual([]);
    expect(await readUser(relay, 0)).toMatchObject({ connected: true, frames_dropped: 4 });
  });

  test("of a client without a host is dropped and counted, and the client stays", async () => {
    const relay = await newRelay(2);
    const client = await connect(relay, 1);
    client.send(...fromClient(1, 2));
    expect(await client.settle()).toEqual([]);
    expect(await readUser(relay, 1)).toMatchObject({ connected: true, frames_dropped: 1 });
  });
});

describe("a ping", () => {
  test("of either side is answered with the state valid, and reaches nobody else", async () => {
    const { host, client } = await pair();
    client.send(1);
    expect(await client.frame()).toEqual([1, 2]);
    host.send(1);
    expect(await host.frame()).toEqual([1, 2]);
    expect(await client.settle()).toEqual([]);
  });
});

describe("a message that is not a frame", () => {
  test.each([
    ["client", []],
    ["client", [0]],
    ["client", [3, 1]],
    ["client", [1, 1]],
    ["host", []],
    ["host", [2, 1, 0, 0]],
    ["host", [9, 1, 0, 0, 0, 1]],
  ] as const)(
    "of the %s, %j, closes its websocket as malformed and no other",
    async (side, bytes) => {
      const { host, client } = await pair();
      const [bad, good] = side === "host" ? [host, client] : [client, host];
      bad.send(...bytes);
      expect((await bad.closed).code).toBe(4400);
      expect(await good.settle()).toEqual([]);
    },
  );

  test("closes the websocket as malformed when it is text, also text that looks like a control message", async () => {
    const { host, client } = await pair();
    client.sendText('{"type":"peer_joined","connection_id":9}');
    expect((await client.closed).code).toBe(4400);
    host.sendText("\u0001");
    expect((await host.closed).code).toBe(4400);
  });

  test.each([
    ["one byte above 64 KB", KB_64 + 1],
    ["far above what may be sent at once", 2 * 1_048_576],
  ])(
    "closes the websocket as too large with a payload %s, and does not arrive",
    async (_, size) => {
      const { host, client } = await pair();
      client.sendBytes(large([2], size));
      expect((await client.closed).code).toBe(1009);
      expect(await host.settle()).toEqual([]);
    },
  );
});

describe("the counters of a user", () => {
  test("count the payload in and out, and stay when the websocket has closed", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    client.send(...fromClient(1, 2, 3));
    await host.frame();
    host.send(...withId(1, 1, 2, 3, 4, 5));
    await client.frame();
    expect(await readUser(relay, 0)).toMatchObject({ bytes_in: 5, bytes_out: 3 });
    expect(await readUser(relay, 1)).toMatchObject({ bytes_in: 3, bytes_out: 5 });
    client.close(1000);
    await host.control("peer_left");
    expect(await readUser(relay, 1)).toMatchObject({
      connected: false,
      bytes_in: 3,
      bytes_out: 5,
      frames_dropped: 0,
    });
    const again = await connect(relay, 1);
    again.send(...fromClient(1));
    await host.frame();
    expect(await readUser(relay, 1)).toMatchObject({ connected: true, bytes_in: 4, bytes_out: 5 });
  });

  test("cost no row, read or written, nor do frames", async () => {
    const { host, client } = await pair();
    const rows = await rowsOf(async () => {
      for (let i = 0; i < 300; i++) {
        client.send(...fromClient(i));
        host.send(...withId(1, i));
      }
      expect(await client.settle()).toHaveLength(300);
      expect(await host.settle()).toHaveLength(300);
    });
    expect(rows).toMatchObject({ objectRead: 0, objectWritten: 0 });
  });
});

describe("a full session", () => {
  test("brings the frames of 64 users to the right participants", async () => {
    const relay = await newRelay(64);
    const host = await connect(relay, 0);
    const clients: Socket[] = [];
    for (let n = 1; n < 64; n++) clients.push(await connect(relay, n));
    for (const [index, client] of clients.entries()) client.send(...fromClient(index, 1));
    const heard: number[][] = [];
    for (const _ of clients) heard.push(await host.frame());
    expect(heard.toSorted((a, b) => (a[1] ?? 0) - (b[1] ?? 0))).toEqual(
      clients.map((_, index) => withId(index + 1, index, 1)),
    );
    for (const n of clients.keys()) host.send(...withId(n + 1, n, 2));
    await host.settle();
    for (const [n, client] of clients.entries()) {
      expect(await client.settle()).toEqual([fromClient(n, 2)]);
    }
  });
});

test("a frame is handled when it comes: no promise is made, and what is kept with a websocket is not read", async () => {
  const relay = await newRelay(2);
  const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
  const handled = vi.spyOn(SessionObject.prototype, "webSocketMessage");
  const attachments = vi.spyOn(WebSocket.prototype, "deserializeAttachment");
  for (let i = 0; i < 10; i++) {
    client.send(...fromClient(i));
    await host.frame();
    host.send(...withId(1, i));
    await client.frame();
  }
  expect(handled.mock.results).toEqual(Array(20).fill({ type: "return", value: undefined }));
  expect(attachments).not.toHaveBeenCalled();
});
