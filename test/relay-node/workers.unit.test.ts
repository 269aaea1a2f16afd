/**
 * A relay node with `--workers 2`, over real UDP and websockets on loopback. Drawbridge is a small server of
 * the test's. The kernel chooses the worker by the sender's address and port: so users move from port to
 * port here, until a worker hears them that the test needs.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLog } from "../../relay-node/log";
import { type MetricsServer, serveMetrics } from "../../relay-node/metrics";
import type { RelayNode } from "../../relay-node/relay-node";
import type { NodeUser } from "../../relay-node/session-table";
import { buildRelayNode } from "../../scripts/build-relay-node.mjs";
import { parseTrunkFrame, trunkFrame } from "../../src/relay/trunk";
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

// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
type Json = any;

let drawbridge: FakeDrawbridge;
let node: RelayNode;
let logged: Json[];
const peers: UdpPeer[] = [];
let sent = 0;
let metrics: MetricsServer | undefined;

beforeAll(() => buildRelayNode());

beforeEach(async () => {
  logged = [];
  drawbridge = await startFakeDrawbridge();
  const log = createLog((line) => logged.push(JSON.parse(line)));
  node = await startRelayNode(drawbridge.url, TOKEN, { workers: 2, log });
});

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.close();
  metrics?.close();
  metrics = undefined;
  await node.stop();
  await drawbridge.close();
});

/** The workers that were ever ready, oldest first. */
const readyWorkers = (): { worker: number; pid: number }[] =>
  logged.filter(({ message }) => message === "a worker is ready");

function userOf(n: number): NodeUser {
  const user = node.forwarder.table.get("s1")?.user(n);
  if (!user) throw new Error(`there is no user ${n}`);
  return user;
}

/** A user at its UDP end. */
class Player {
  peer: UdpPeer | null = null;
  readonly #n: number;
  readonly #token: number;

  constructor(n: number, token: number) {
    this.#n = n;
    this.#token = token;
  }

  get received(): Buffer[] {
    return this.peer?.received ?? [];
  }

  /** From now on it sends from another port. */
  async moves(): Promise<void> {
    this.peer = await UdpPeer.open(this.#n === 0 ? node.ports.server : node.ports.client);
    peers.push(this.peer);
  }

  async pings(state: number): Promise<void> {
    await this.peer?.until(ping(this.#token, SESSION), pong(state));
  }

  /** Moves until this worker hears it, and all know where it is. */
  async movesTo(worker: number): Promise<void> {
    do {
      await this.moves();
      // As soon as it has its answer, the others are told. If both workers hear it within a millisecond, its
      // next datagram decides: a game always sends one.
      await eventually(async () => {
        await this.pings(2);
        expect(this.#isKnown()).toBe(true);
      });
    } while (userOf(this.#n).heardBy !== worker);
  }

  /** Whether the node's own process knows its present port. */
  #isKnown(): boolean {
    const { connected, port } = userOf(this.#n);
    return connected && this.peer?.localPort === port;
  }

  async send(payload: string | Buffer, to = 1): Promise<void> {
    const bytes =
      this.#n === 0
        ? hostData(this.#token, SESSION, { to, payload })
        : clientData(this.#token, SESSION, payload);
    await this.peer?.send(bytes);
  }
}

/** A session whose host one worker hears, and whose client another one. */
async function play(more: object = {}) {
  await drawbridge.ask({ type: "assign", ref: "", session: { ...session, ...more } });
  const host = new Player(0, HOST);
  const anna = new Player(1, ANNA);
  const [first, second] = readyWorkers().map(({ worker }) => worker);
  await host.movesTo(first as number);
  await anna.movesTo(second as number);
  return { host, anna };
}

/** Sends until it has arrived: one message between processes later, everybody is found. */
async function passes({ host, anna }: { host: Player; anna: Player }): Promise<void> {
  const text = `sent ${++sent}`;
  await eventually(async () => {
    await anna.send(text);
    expect(host.received).toContainEqual(toHost(1, text));
  });
  await eventually(async () => {
    await host.send(text);
    expect(anna.received).toContainEqual(toClient(text));
  });
}

/** Waits for these bytes, and forgets all that came before them. */
async function gets(player: Player, bytes: Buffer): Promise<void> {
  await eventually(() => {
    const index = player.received.findIndex((one) => one.equals(bytes));
    expect(index).not.toBe(-1);
    player.received.splice(0, index + 1);
  });
}

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function metric(name: string): Promise<number> {
  metrics ??= await serveMetrics(node, { host: "127.0.0.1", port: 0 });
  const text = await (await fetch(metrics.url)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

describe("a session whose users are heard by different workers", () => {
  test("has every byte carried in both directions", async () => {
    const { host, anna } = await play();
    await passes({ host, anna });
    for (const size of [0, 1, 1_200, 1_500]) {
      const payload = Buffer.from(Array.from({ length: size }, (_, i) => (i * 31) % 251));
      await anna.send(payload);
      await gets(host, toHost(1, payload));
      await host.send(payload);
      await gets(anna, toClient(payload));
    }
  });

  test("finds a user who moves to the other worker and back", async () => {
    const { host, anna } = await play();
    const workers = readyWorkers().map(({ worker }) => worker);
    for (const worker of [...workers, ...workers]) {
      await anna.movesTo(worker);
      await passes({ host, anna });
      expect(userOf(1).heardBy).toBe(worker);
    }
    for (const worker of [...workers, ...workers]) {
      await host.movesTo(worker);
      await passes({ host, anna });
    }
  });

  test("has nothing sent any more to where a user was before, once all know the new place", async () => {
    const { host, anna } = await play();
    const { peer: old } = anna;
    await anna.movesTo(userOf(0).heardBy);
    await passes({ host, anna });
    (old as UdpPeer).received.length = 0;
    for (let i = 0; i < 50; i++) {
      await host.send(`to ${i}`);
      await gets(anna, toClient(`to ${i}`));
    }
    expect(old?.received).toEqual([]);
  });

  test("lets go of a user in all workers before that is answered", async () => {
    const { host, anna } = await play();
    await passes({ host, anna });
    const without = assignment("s1", SESSION, [HOST]);
    const strangers: Player[] = [];
    for (let i = 0; i < 20; i++) {
      const stranger = new Player(1, ANNA);
      await stranger.moves();
      strangers.push(stranger);
    }
    const { type } = await drawbridge.ask({ type: "assign", ref: "", session: without });
    expect(type).toBe("done");
    // From here on nothing of Anna's passes, whichever worker gets it.
    for (const one of [anna, ...strangers]) await one.send("too late");
    await anna.pings(3);
    await host.pings(2);
    expect(host.received).not.toContainEqual(toHost(1, "too late"));
    await eventually(async () => {
      expect(
        await metric('relay_node_datagrams_dropped_total{reason="invalid-tokens"}'),
      ).toBeGreaterThan(20);
    });
  });

  test("is gone in all workers before its end is answered", async () => {
    const { host, anna } = await play();
    await drawbridge.ask({ type: "end", ref: "", id: "s1", reason: "api" });
    await anna.pings(3);
    await host.pings(3);
    expect(await drawbridge.ask({ type: "load", ref: "" })).toMatchObject({
      sessions: 0,
      users: 0,
    });
  });

  test("lets pass between gated users what permissions allow, and asks for them again for all", async () => {
    const gated = session.users.map((user) => ({ ...user, gated: true }));
    const { host, anna } = await play({ users: gated });
    await eventually(async () => {
      await anna.send("not yet");
      await host.send("not yet");
      expect(drawbridge.received).toContainEqual({ type: "permissions", id: "s1" });
    });
    expect(host.received).not.toContainEqual(toHost(1, "not yet"));
    const allowed = { to_clients: [], to_host: [1], age_ms: 0 };
    await drawbridge.ask({ type: "permissions", ref: "", id: "s1", ...allowed });
    await anna.send("allowed");
    await gets(host, toHost(1, "allowed"));
    await host.send("the other way is not");
    await eventually(async () => {
      const figures = await drawbridge.ask({ type: "figures", ref: "", id: "s1" });
      expect((figures as Json).users[0].dropped).toBeGreaterThan(0);
    });
    expect(anna.received).not.toContainEqual(toClient("the other way is not"));
  });

  test("plays with users on websockets: frames go through the trunk from and to each worker", async () => {
    await drawbridge.ask({
      type: "assign",
      ref: "",
      session: assignment("s1", SESSION, [HOST, ANNA, 102], { trunk: true }),
    });
    const host = new Player(0, HOST);
    const anna = new Player(1, ANNA);
    const workers = readyWorkers().map(({ worker }) => worker);
    await host.movesTo(workers[0] as number);
    const trunk = await drawbridge.trunk("s1");
    const frames: Json[] = [];
    const texts: string[] = [];
    trunk.on("message", (data, isBinary) => {
      if (!isBinary) texts.push(String(data));
      else frames.push(parseTrunkFrame(data as Buffer));
    });
    trunk.send(JSON.stringify({ type: "here", users: [2] }));
    for (const worker of workers) {
      await host.movesTo(worker);
      await eventually(async () => {
        await host.send(`to the browser ${worker}`, 2);
        const payloads = frames.map(({ payload }) => String(payload));
        expect(payloads).toContain(`to the browser ${worker}`);
      });
      trunk.send(trunkFrame(2, 0, Buffer.from(`to the host ${worker}`)));
      await gets(host, toHost(2, `to the host ${worker}`));
    }
    await anna.movesTo(workers[1] as number);
    await eventually(() => expect(texts.at(-1)).toBe('{"type":"here","users":[0,1]}'));
    // Anna is heard on a websocket, and then here again.
    trunk.send(JSON.stringify({ type: "here", users: [1, 2] }));
    await eventually(() => expect(texts.at(-1)).toBe('{"type":"here","users":[0]}'));
    frames.length = 0;
    await eventually(async () => {
      await host.send("are you there?", 1);
      expect(frames.some(({ to }) => to === 1)).toBe(true);
    });
    await anna.pings(2);
    await eventually(() => expect(texts.at(-1)).toBe('{"type":"here","users":[0,1]}'));
    await passes({ host, anna });
    trunk.terminate();
    await eventually(async () => expect(await drawbridge.trunk("s1")).not.toBe(trunk));
  });

  test("has its figures, the load and the metrics added up", async () => {
    const { host, anna } = await play();
    await passes({ host, anna });
    // All that was sent before is counted.
    await anna.pings(2);
    await host.pings(2);
    const before = await drawbridge.ask({ type: "figures", ref: "", id: "s1" });
    await anna.send("12345");
    await gets(host, toHost(1, "12345"));
    await host.send("123");
    await gets(anna, toClient("123"));
    const after = await drawbridge.ask({ type: "figures", ref: "", id: "s1" });
    const [h0, a0] = (before as Json).users;
    expect((after as Json).users).toMatchObject([
      { n: 0, connected: true, bytes_in: h0.bytes_in + 3, bytes_out: h0.bytes_out + 5 },
      { n: 1, connected: true, bytes_in: a0.bytes_in + 5, bytes_out: a0.bytes_out + 3 },
    ]);
    expect(await drawbridge.ask({ type: "load", ref: "" })).toMatchObject({
      sessions: 1,
      users: 2,
    });
    expect(await drawbridge.ask({ type: "figures", ref: "", id: "unknown" })).toMatchObject({
      type: "failed",
      code: "unknown-session",
    });
    const inBefore = await metric("relay_node_datagrams_in_total");
    for (let i = 0; i < 10; i++) {
      await anna.send("x");
      await host.send("y");
    }
    await eventually(async () => {
      expect(await metric("relay_node_datagrams_in_total")).toBeGreaterThanOrEqual(inBefore + 20);
    });
    expect(await metric("relay_node_users")).toBe(2);
    expect(await metric("relay_node_workers")).toBe(2);
    expect(await metric("relay_node_event_loop_utilization")).toBeGreaterThan(0);
  });
});

describe("a worker", () => {
  test("that is killed is started again and told everything; the sessions go on meanwhile", async () => {
    const { host, anna } = await play();
    await passes({ host, anna });
    const counted = await eventually(async () => {
      const { datagramsIn } = node.forwarder.counts;
      expect(datagramsIn).toBeGreaterThan(4);
      return datagramsIn;
    });
    for (const { pid, worker } of readyWorkers().slice(0, 2)) {
      process.kill(pid, "SIGKILL");
      await eventually(() =>
        expect(logged).toContainEqual(
          expect.objectContaining({ message: "a worker has ended", worker, reason: "SIGKILL" }),
        ),
      );
      // The other worker gets what is sent now, and answers.
      await host.pings(2);
      await passes({ host, anna });
    }
    await eventually(() => expect(readyWorkers()).toHaveLength(4));
    const [third, fourth] = readyWorkers().slice(2);
    await host.movesTo((third as Json).worker);
    await anna.movesTo((fourth as Json).worker);
    await passes({ host, anna });
    expect((await drawbridge.ask({ type: "figures", ref: "", id: "s1" })).type).toBe("figures");
    await eventually(() => expect(node.forwarder.counts.datagramsIn).toBeGreaterThan(counted));
    expect(drawbridge.links).toBe(1);
  });

  test("that hangs is killed, and what was asked meanwhile is answered then", async () => {
    const { host, anna } = await play();
    await passes({ host, anna });
    const [{ pid } = { pid: 0 }] = readyWorkers();
    process.kill(pid, "SIGSTOP");
    const without = assignment("s1", SESSION, [HOST]);
    expect((await drawbridge.ask({ type: "assign", ref: "", session: without })).type).toBe("done");
    expect(isRunning(pid)).toBe(false);
    await anna.pings(3);
    await eventually(() => expect(readyWorkers()).toHaveLength(3));
  });

  test("that ends again and again ends the node", async () => {
    for (let kills = 1; kills <= 6; kills++) {
      const { pid } = await eventually(() => {
        const ready = readyWorkers();
        expect(ready.length).toBe(kills + 1);
        return ready.at(-1) as Json;
      });
      process.kill(pid, "SIGKILL");
    }
    expect(await node.ended).toMatchObject({
      type: "failed",
      lasts: false,
      reason: expect.stringContaining("again and again"),
    });
    for (const { pid } of readyWorkers())
      await eventually(() => expect(isRunning(pid)).toBe(false));
  });
});

describe("a node with workers", () => {
  test("has one port for all of its workers, and shares it with no other node", async () => {
    const { server, client } = node.ports;
    const same = { serverPort: server, clientPort: client };
    for (const workers of [1, 2]) {
      await expect(startRelayNode(drawbridge.url, TOKEN, { ...same, workers })).rejects.toThrow(
        "EADDRINUSE",
      );
    }
  });

  test("drains: it ends after its last session, and its workers with it", async () => {
    const { host, anna } = await play();
    node.drain();
    await passes({ host, anna });
    await drawbridge.send({ type: "end", ref: "x", id: "s1", reason: "api" });
    expect(await node.ended).toEqual({ type: "stopped" });
    for (const { pid } of readyWorkers())
      await eventually(() => expect(isRunning(pid)).toBe(false));
    expect(logged.filter(({ message }) => message === "a worker has ended")).toEqual([]);
  });

  test("passes nothing in any worker when Drawbridge was not heard for too long, until it is back", async () => {
    const { host, anna } = await play();
    await passes({ host, anna });
    drawbridge.refuseWith = 503;
    (await drawbridge.link()).terminate();
    await eventually(() => expect(node.isLinked).toBe(false));
    await passes({ host, anna });
    // As if the thirty seconds were over.
    node.forwarder.heardDrawbridge(performance.now());
    await host.pings(1);
    await anna.pings(1);
    await eventually(() => expect(node.forwarder.counts.dropped["link-down"]).toBe(0));
    await anna.send("off");
    await host.send("off");
    await eventually(() => expect(node.forwarder.counts.dropped["link-down"]).toBe(2));
    expect(host.received).not.toContainEqual(toHost(1, "off"));
    expect(anna.received).not.toContainEqual(toClient("off"));
    drawbridge.sessions = [session];
    drawbridge.refuseWith = null;
    await host.pings(2);
    await passes({ host, anna });
  });
});
