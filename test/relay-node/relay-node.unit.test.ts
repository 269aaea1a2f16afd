/** A relay node over real UDP and websockets on loopback. Drawbridge is a small server of the test's. */
import { Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createLog } from "../../relay-node/log";
import type { NodeEnd, RelayNode, RelayNodeOptions } from "../../relay-node/relay-node";
import { parseTrunkFrame, trunkFrame } from "../../src/relay/trunk";
import { LINK_CLOSE } from "../../src/relay-nodes/link-protocol";
import { eventually } from "../support/eventually";
import { type FakeDrawbridge, startFakeDrawbridge, TOKEN } from "../support/fake-drawbridge";
import { assignment } from "../support/forwarder";
import { clientData, hostData, ping, pong, toClient, toHost } from "../support/relay-datagrams";
import { startRelayNode } from "../support/relay-node-program";
import { UdpPeer } from "../support/udp-peer";

const SESSION = 500;
const HOST = 100;
const ANNA = 101;
const session = assignment("s1", SESSION, [HOST, ANNA]);

let drawbridge: FakeDrawbridge;
const nodes: RelayNode[] = [];
const peers: UdpPeer[] = [];
let logged: string[];

beforeEach(async () => {
  logged = [];
  drawbridge = await startFakeDrawbridge();
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const peer of peers.splice(0)) peer.close();
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
  await drawbridge.close();
});

async function startNode(more: Partial<RelayNodeOptions> = {}): Promise<RelayNode> {
  const log = createLog((line) => logged.push(line));
  const node = await startRelayNode(drawbridge.url, TOKEN, { log, ...more });
  nodes.push(node);
  return node;
}

async function peerOf(port: number): Promise<UdpPeer> {
  const peer = await UdpPeer.open(port);
  peers.push(peer);
  return peer;
}

/** A node with one session whose host and client have been heard. */
async function play() {
  const node = await startNode();
  await drawbridge.ask({ type: "assign", ref: "", session });
  const host = await peerOf(node.ports.server);
  const anna = await peerOf(node.ports.client);
  await host.until(ping(HOST, SESSION), pong(2));
  await anna.until(ping(ANNA, SESSION), pong(2));
  return { node, host, anna };
}

const received = <T extends string>(type: T) =>
  eventually(() => {
    const message = drawbridge.received.find((one) => one.type === type);
    if (!message) throw new Error(`the node has not sent ${type}`);
    return message;
  });

/** How the node has ended. A test that waits for it in vain fails by its time limit. */
const endOf = (node: RelayNode): Promise<NodeEnd> => node.ended;

describe("a node that is linked", () => {
  test("has said who it is", async () => {
    const { ports } = await startNode({ capacity: 7 });
    expect(await received("hello")).toEqual({
      type: "hello",
      protocol: 1,
      version: "1.2.3",
      host: "localhost",
      ip: "127.0.0.1",
      ports,
      capacity: 7,
      draining: false,
      sessions: [],
    });
    expect(ports.server).not.toBe(ports.client);
  });

  test("carries datagrams in both directions, to the byte", async () => {
    const { host, anna } = await play();
    const payload = Buffer.from(Array.from({ length: 1_500 }, (_, i) => i % 251));
    await anna.send(clientData(ANNA, SESSION, payload));
    await host.send(hostData(HOST, SESSION, { to: 1, payload }));
    expect(await anna.next()).toEqual(toClient(payload));
    expect(await host.next()).toEqual(toHost(1, payload));
  });

  test("drops and counts what its socket does not take at once, and goes on after that", async () => {
    const { node, host, anna } = await play();
    const queued = vi.spyOn(UdpSocket.prototype, "getSendQueueCount").mockReturnValue(1);
    await anna.send(clientData(ANNA, SESSION, "dropped"));
    await eventually(() => expect(node.forwarder.counts.dropped["socket-full"]).toBe(1));
    queued.mockRestore();
    await anna.send(clientData(ANNA, SESSION, "sent"));
    expect(await host.next()).toEqual(toHost(1, "sent"));
  });

  test.each([
    ["::1", "::1"],
    ["::", "127.0.0.1"],
  ])("can be bound to %s, and is reached at %s", async (bind, address) => {
    const node = await startNode({ bind });
    await drawbridge.ask({ type: "assign", ref: "", session });
    const host = await UdpPeer.open(node.ports.server, address);
    peers.push(host);
    await host.until(ping(HOST, SESSION), pong(2));
  });

  test("lets go of a user before it says that this is done", async () => {
    const { anna, host } = await play();
    const answer = await drawbridge.ask({
      type: "assign",
      ref: "",
      session: assignment("s1", SESSION, [HOST]),
    });
    expect(answer.type).toBe("done");
    await anna.until(ping(ANNA, SESSION), pong(3));
    await host.until(ping(HOST, SESSION), pong(2));
  });

  test("forgets a session that has ended", async () => {
    const { anna } = await play();
    expect((await drawbridge.ask({ type: "end", ref: "", id: "s1", reason: "api" })).type).toBe(
      "done",
    );
    await anna.until(ping(ANNA, SESSION), pong(3));
    expect(
      (await drawbridge.ask({ type: "end", ref: "", id: "unknown", reason: "api" })).type,
    ).toBe("done");
  });

  test("says what its users have sent and received", async () => {
    const { host, anna } = await play();
    await anna.send(clientData(ANNA, SESSION, "12345"));
    await host.next();
    expect(await drawbridge.ask({ type: "figures", ref: "", id: "s1" })).toMatchObject({
      users: [
        { n: 0, connected: true, bytes_in: 0, bytes_out: 5, dropped: 0 },
        { n: 1, connected: true, bytes_in: 5, bytes_out: 0, dropped: 0 },
      ],
    });
    expect(await drawbridge.ask({ type: "figures", ref: "", id: "unknown" })).toMatchObject({
      type: "failed",
      code: "unknown-session",
    });
  });

  test("says how loaded it is", async () => {
    await play();
    expect(await drawbridge.ask({ type: "load", ref: "" })).toMatchObject({
      type: "load",
      sessions: 1,
      users: 2,
    });
  });

  test("sends nothing but pings while people play", async () => {
    const { host, anna } = await play();
    const before = drawbridge.received.length;
    const pings = drawbridge.pings;
    await eventually(async () => {
      await anna.send(clientData(ANNA, SESSION, "x"));
      await host.send(hostData(HOST, SESSION, { to: 1, payload: "y" }));
      expect(drawbridge.pings).toBeGreaterThan(pings + 10);
    });
    expect(host.received.length).toBeGreaterThan(5);
    expect(drawbridge.received.slice(before)).toEqual([]);
    expect(drawbridge.links).toBe(1);
  });

  test("takes all that was on it before, also when it starts again with a smaller capacity", async () => {
    drawbridge.sessions = [session, assignment("s2", 501, [200, 201])];
    await startNode({ capacity: 1 });
    await eventually(() => {
      const answers = drawbridge.received.filter(
        (one) => "ref" in one && one.ref?.startsWith("first-"),
      );
      expect(answers.map(({ type }) => type)).toEqual(["done", "done"]);
    });
  });

  test("takes no more sessions than its capacity, but what it has it keeps", async () => {
    const { forwarder } = await startNode({ capacity: 1 });
    await eventually(() => expect(forwarder.knowsAllSessions).toBe(true));
    await drawbridge.ask({ type: "assign", ref: "", session });
    const second = assignment("s2", SESSION + 1, [HOST]);
    expect(await drawbridge.ask({ type: "assign", ref: "", session: second })).toMatchObject({
      type: "failed",
      code: "full",
    });
    expect((await drawbridge.ask({ type: "assign", ref: "", session })).type).toBe("done");
  });

  test("takes no session whose tokens are another's", async () => {
    await startNode();
    await drawbridge.ask({ type: "assign", ref: "", session });
    const same = assignment("s2", SESSION, [ANNA]);
    expect(await drawbridge.ask({ type: "assign", ref: "", session: same })).toMatchObject({
      type: "failed",
      code: "tokens-taken",
    });
  });

  test("ignores messages of types that it does not know, and survives those that it cannot read", async () => {
    await startNode();
    const link = await drawbridge.link();
    for (const text of ['{"type":"new-in-2030","x":1}', "{", "null", '{"type":"assign"}']) {
      link.send(text);
    }
    expect((await drawbridge.ask({ type: "assign", ref: "", session })).type).toBe("done");
    expect(drawbridge.links).toBe(1);
  });

  test("logs a JSON object in each line, and no token", async () => {
    const { node } = await play();
    await node.stop();
    expect(logged.map((line) => JSON.parse(line).message)).toEqual([
      "listening",
      "linked",
      "session assigned",
    ]);
    for (const line of logged) {
      expect(JSON.parse(line)).toMatchObject({
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        level: "info",
      });
      expect(line).not.toContain("\n");
      expect(line).not.toContain(TOKEN);
      expect(line).not.toMatch(/\b(100|101|500)\b/);
    }
  });
});

describe("a link that breaks", () => {
  test("is dialled again, and the node says what it still carries", async () => {
    const { host, anna } = await play();
    (await drawbridge.link()).terminate();
    await eventually(() => expect(drawbridge.links).toBe(2));
    // So it is known also while D1, which says whose a token is, is down.
    expect(drawbridge.dialledAs).toEqual([undefined, "rn_test"]);
    await eventually(() => {
      const hellos = drawbridge.received.filter((one) => one.type === "hello");
      expect(hellos.at(-1)).toMatchObject({ sessions: ["s1"] });
    });
    await anna.send(clientData(ANNA, SESSION, "still here"));
    expect(await host.next()).toEqual(toHost(1, "still here"));
  });

  test("stops no datagram until the node has been blind for too long", async () => {
    const { node, host, anna } = await play();
    drawbridge.refuseWith = 503;
    (await drawbridge.link()).terminate();
    await eventually(() => expect(node.isLinked).toBe(false));
    await anna.send(clientData(ANNA, SESSION, "on"));
    expect(await host.next()).toEqual(toHost(1, "on"));
    // As if the thirty seconds were over.
    node.forwarder.passUntil = performance.now();
    await anna.until(ping(ANNA, SESSION), pong(1));
    await anna.send(clientData(ANNA, SESSION, "off"));
    await eventually(() => expect(node.forwarder.counts.dropped["link-down"]).toBe(1));
    // Welcomed and assigned again, it passes again.
    drawbridge.sessions = [session];
    drawbridge.refuseWith = null;
    await anna.until(ping(ANNA, SESSION), pong(2));
    await anna.send(clientData(ANNA, SESSION, "on again"));
    expect(await host.next()).toEqual(toHost(1, "on again"));
  });

  test("is found to be dead when a ping stays without an answer", async () => {
    await startNode();
    await drawbridge.link();
    drawbridge.answersPings = false;
    await eventually(() => expect(drawbridge.links).toBe(2));
  });

  test("lets a node that starts again have its sessions, and its players' next datagrams pass", async () => {
    const { node, host, anna } = await play();
    await node.stop();
    drawbridge.sessions = [session];
    const again = await startNode();
    host.sendTo(again.ports.server);
    anna.sendTo(again.ports.client);
    await host.until(ping(HOST, SESSION), pong(2));
    await anna.send(clientData(ANNA, SESSION, "no ping first"));
    expect(await host.next()).toEqual(toHost(1, "no ping first"));
  });
});

describe("a node that Drawbridge does not take", () => {
  test.each([
    ["another process has its token", LINK_CLOSE.replaced],
    ["its token does not work any more", LINK_CLOSE.tokenRevoked],
    ["it was deleted", LINK_CLOSE.removed],
    ["it is too old", LINK_CLOSE.wrongProtocol],
  ])("ends, and does not come back: %s", async (reason, code) => {
    const node = await startNode();
    (await drawbridge.link()).close(code, reason);
    expect(await endOf(node)).toEqual({ type: "failed", reason, lasts: true });
    expect(drawbridge.links).toBe(1);
  });

  test("says why, if Drawbridge has said so", async () => {
    const node = await startNode();
    await drawbridge.send({ type: "refused", code: "too-old", message: "Update the relay node." });
    (await drawbridge.link()).close(LINK_CLOSE.wrongProtocol);
    expect(await endOf(node)).toMatchObject({ reason: "Update the relay node. (too-old)" });
  });

  test.each([
    [401, "the token"],
    [403, "the token"],
    [404, "--url"],
  ])("ends when its first dial is answered with %i", async (status, reason) => {
    drawbridge.refuseWith = status;
    const node = await startNode();
    expect(await endOf(node)).toMatchObject({
      type: "failed",
      lasts: true,
      reason: expect.stringContaining(reason),
    });
  });

  test("dials again when a dial is accepted and never answered", async () => {
    const dials: Socket[] = [];
    const silent = createServer((socket) => dials.push(socket.on("error", () => {})));
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const url = new URL(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`);
    const node = await startRelayNode(url, TOKEN);
    nodes.push(node);
    await eventually(() => expect(dials.length).toBe(2));
    await node.stop();
    silent.close();
  });

  test("dials again when its first dial is answered with 503", async () => {
    drawbridge.refuseWith = 503;
    await startNode();
    await eventually(() => expect(logged.filter((line) => line.includes("503")).length).toBe(2));
    drawbridge.refuseWith = null;
    await drawbridge.link();
  });
});

describe("a node that drains", () => {
  test("says so, takes no new session, and ends after its last", async () => {
    const { node, host, anna } = await play();
    node.drain();
    await received("draining");
    const second = assignment("s2", SESSION + 1, [HOST]);
    expect(await drawbridge.ask({ type: "assign", ref: "", session: second })).toMatchObject({
      type: "failed",
      code: "draining",
    });
    await anna.send(clientData(ANNA, SESSION, "still"));
    expect(await host.next()).toEqual(toHost(1, "still"));
    await drawbridge.send({ type: "end", ref: "x", id: "s1", reason: "api" });
    expect(await endOf(node)).toEqual({ type: "stopped" });
    await received("leaving");
  });

  test("ends when its time to drain is over", async () => {
    const node = await startNode({ drainMs: 1 });
    await drawbridge.ask({ type: "assign", ref: "", session });
    node.drain();
    expect(await endOf(node)).toEqual({ type: "stopped" });
    await received("leaving");
  });

  test("ends after its last session when Drawbridge has told it to drain", async () => {
    const { node } = await play();
    await drawbridge.send({ type: "drain", draining: true });
    await eventually(() => expect(node.isDraining).toBe(true));
    await drawbridge.send({ type: "end", ref: "x", id: "s1", reason: "api" });
    expect(await endOf(node)).toEqual({ type: "stopped" });
  });

  test("goes on when Drawbridge has changed its mind", async () => {
    const { node } = await play();
    await drawbridge.send({ type: "drain", draining: true });
    await drawbridge.send({ type: "drain", draining: false });
    await drawbridge.ask({ type: "end", ref: "", id: "s1", reason: "api" });
    expect(node.isDraining).toBe(false);
    expect((await drawbridge.ask({ type: "assign", ref: "", session })).type).toBe("done");
  });

  test("waits for the sessions that it is given first, if it starts while it drains", async () => {
    drawbridge.welcome.draining = true;
    drawbridge.sessions = [session];
    const node = await startNode();
    await eventually(() => expect(node.forwarder.knowsAllSessions).toBe(true));
    expect(node.forwarder.table.sessionCount).toBe(1);
    await drawbridge.send({ type: "end", ref: "x", id: "s1", reason: "api" });
    expect(await endOf(node)).toEqual({ type: "stopped" });
  });
});

describe("a session with users on both sides", () => {
  const mixed = { ...session, trunk: true };

  /** Anna is heard on a node that carries the session, of which somebody is on a websocket. */
  async function annaIsHeard(): Promise<{ node: RelayNode; anna: UdpPeer }> {
    const node = await startNode();
    await drawbridge.ask({ type: "assign", ref: "", session: mixed });
    const anna = await peerOf(node.ports.client);
    await anna.until(ping(ANNA, SESSION), pong(2));
    return { node, anna };
  }

  test("has a trunk while somebody is heard here and somebody is on a websocket", async () => {
    const node = await startNode();
    await drawbridge.ask({ type: "assign", ref: "", session });
    const anna = await peerOf(node.ports.client);
    await anna.until(ping(ANNA, SESSION), pong(2));
    await drawbridge.send({ type: "trunk", id: "s1", open: true });
    const trunk = await drawbridge.trunk("s1");
    await drawbridge.send({ type: "trunk", id: "s1", open: false });
    await eventually(() => expect(trunk.readyState).toBe(trunk.CLOSED));
  });

  test("has no trunk before somebody is heard here, and none when the last one is gone", async () => {
    const node = await startNode();
    await drawbridge.ask({ type: "assign", ref: "", session: mixed });
    const anna = await peerOf(node.ports.client);
    await anna.until(ping(999, SESSION), pong(3));
    expect(drawbridge.trunksDialled).toBe(0);
    await anna.until(ping(ANNA, SESSION), pong(2));
    const trunk = await drawbridge.trunk("s1");
    const user = node.forwarder.table.get("s1")?.user(1);
    if (!user) throw new Error("Anna is not there");
    // As if ten seconds were over.
    user.heardAt -= 10_000;
    await eventually(() => expect(trunk.readyState).toBe(trunk.CLOSED));
    expect(drawbridge.trunksDialled).toBe(1);
  });

  test("carries frames over it in both directions, and both sides say who is there", async () => {
    const { anna } = await annaIsHeard();
    const trunk = await drawbridge.trunk("s1");
    const texts: string[] = [];
    const frames: Buffer[] = [];
    trunk.on("message", (data, isBinary) => {
      if (isBinary) frames.push(data as Buffer);
      else texts.push(String(data));
    });
    trunk.send(JSON.stringify({ type: "here", users: [0] }));
    await eventually(() => expect(texts).toEqual(['{"type":"here","users":[1]}']));
    await anna.send(clientData(ANNA, SESSION, "to the browser"));
    const frame = await eventually(() => {
      const [first] = frames;
      if (!first) throw new Error("no frame has come");
      return parseTrunkFrame(first);
    });
    expect(frame).toMatchObject({ from: 1, to: 0 });
    expect(String(frame?.payload)).toBe("to the browser");
    trunk.send(trunkFrame(0, 1, Buffer.from("from the browser")));
    expect(await anna.next()).toEqual(toClient("from the browser"));
  });

  test("lets go of a user who is heard on a websocket, until its next datagram", async () => {
    const { host, anna } = await play();
    await drawbridge.send({ type: "trunk", id: "s1", open: true });
    const trunk = await drawbridge.trunk("s1");
    const texts: string[] = [];
    trunk.on("message", (data, isBinary) => {
      if (!isBinary) texts.push(String(data));
    });
    trunk.send(JSON.stringify({ type: "here", users: [] }));
    await eventually(() => expect(texts).toEqual(['{"type":"here","users":[0,1]}']));
    trunk.send(JSON.stringify({ type: "here", users: [1] }));
    await eventually(() => expect(texts.at(-1)).toBe('{"type":"here","users":[0]}'));
    await anna.send(clientData(ANNA, SESSION, "back"));
    expect(await host.next()).toEqual(toHost(1, "back"));
    await eventually(() => expect(texts.at(-1)).toBe('{"type":"here","users":[0,1]}'));
  });

  test("tells Drawbridge who was not heard for ten seconds", async () => {
    const { node } = await play();
    await drawbridge.send({ type: "trunk", id: "s1", open: true });
    const trunk = await drawbridge.trunk("s1");
    const texts: string[] = [];
    trunk.on("message", (data) => texts.push(String(data)));
    trunk.send(JSON.stringify({ type: "here", users: [2] }));
    await eventually(() => expect(texts).toEqual(['{"type":"here","users":[0,1]}']));
    const host = node.forwarder.table.get("s1")?.user(0);
    if (!host) throw new Error("the host is not there");
    // As if so much time were over for the host alone.
    host.heardAt -= 10_000;
    await eventually(() => expect(texts.at(-1)).toBe('{"type":"here","users":[1]}'));
  });

  test("gets a new trunk when one breaks", async () => {
    await annaIsHeard();
    const first = await drawbridge.trunk("s1");
    first.terminate();
    await eventually(async () => expect(await drawbridge.trunk("s1")).not.toBe(first));
  });

  test("dials a trunk again that was closed since its token had ended, and stops when it is refused with 401", async () => {
    const { node } = await annaIsHeard();
    const first = await drawbridge.trunk("s1");
    first.close(LINK_CLOSE.tokenRevoked);
    await eventually(async () => expect(await drawbridge.trunk("s1")).not.toBe(first));
    drawbridge.refuseTrunksWith = 401;
    (await drawbridge.trunk("s1")).close(LINK_CLOSE.tokenRevoked);
    await eventually(() => expect(logged.join()).toContain('"status":401'));
    expect(node.forwarder.table.get("s1")?.wantsTrunk).toBe(false);
  });

  test.each([404, 410])(
    "dials no trunk again that was refused with %i, until Drawbridge asks for one again",
    async (status) => {
      drawbridge.refuseTrunksWith = status;
      // The first session is refused for good; the second, after it, for now.
      const { node } = await annaIsHeard();
      await eventually(() => expect(logged.join()).toContain(`"status":${status}`));
      expect(drawbridge.trunksDialled).toBe(1);
      drawbridge.refuseTrunksWith = 503;
      const later = assignment("s2", SESSION + 1, [HOST], { trunk: true });
      await drawbridge.ask({ type: "assign", ref: "", session: later });
      const host = await peerOf(node.ports.server);
      await host.until(ping(HOST, SESSION + 1), pong(2));
      // Another user of the first session comes meanwhile.
      const first = await peerOf(node.ports.server);
      await first.until(ping(HOST, SESSION), pong(2));
      const refusals = () => logged.filter((line) => line.includes('"status":503'));
      await eventually(() => expect(refusals().length).toBeGreaterThan(2));
      expect(refusals().filter((line) => line.includes('"s1"'))).toEqual([]);
      drawbridge.refuseTrunksWith = null;
      await drawbridge.send({ type: "trunk", id: "s1", open: true });
      await drawbridge.trunk("s1");
    },
  );
});
