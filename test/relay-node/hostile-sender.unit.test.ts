/** Somebody who floods a relay node with datagrams that are not theirs to send. */
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/eventually";
import { type FakeDrawbridge, startFakeDrawbridge, TOKEN } from "../support/fake-drawbridge";
import { assignment } from "../support/forwarder";
import { clientData, hostData, ping, pong, toClient, toHost } from "../support/relay-datagrams";
import { RelayNodeProcess } from "../support/relay-node-process";
import { UdpPeer } from "../support/udp-peer";

const SESSION = 500;
const HOST = 100;
const ANNA = 101;
const DATAGRAMS = 100_000;
/**
 * So many fit into the buffer of a socket, whatever the kernel allows. After each the test waits until the
 * node has read them: so what a player loses, the node has lost, and not a machine that is too busy.
 */
const BURST = 100;

let drawbridge: FakeDrawbridge;
/** Of its own, so that the flood and the node do not share a thread. */
let node: RelayNodeProcess;
let ports: { server: number; client: number };
const peers: UdpPeer[] = [];

beforeEach(async () => {
  drawbridge = await startFakeDrawbridge();
  await RelayNodeProcess.build();
});

async function startNode(workers: number): Promise<void> {
  node = RelayNodeProcess.start({ origin: drawbridge.url.href, token: TOKEN }, [
    ...["--server-port", "0", "--client-port", "0"],
    ...["--metrics", "127.0.0.1:0", "--workers", `${workers}`],
  ]);
  const { server_port, client_port } = await node.logged("listening");
  ports = { server: server_port, client: client_port };
  const session = assignment("s1", SESSION, [HOST, ANNA]);
  await drawbridge.ask({ type: "assign", ref: "", session });
}

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.close();
  await node.kill();
  await drawbridge.close();
});

async function peerOf(port: number): Promise<UdpPeer> {
  const peer = await UdpPeer.open(port);
  peers.push(peer);
  return peer;
}

/** The `i`th datagram of the flood to this port: random bytes, or nearly right ones. None is valid there. */
function hostile(i: number, port: "server" | "client"): Buffer {
  const [right, wrong] = port === "client" ? [ANNA, HOST] : [HOST, ANNA];
  switch (i % 8) {
    case 0:
      return Buffer.from(Array.from({ length: i % 40 }, (_, j) => (i * 31 + j * 17) % 256));
    case 1:
      return ping(1_000 + i, SESSION);
    case 2:
      return ping(right, SESSION + 1 + i);
    case 3:
      return ping(wrong, SESSION);
    case 4:
      return clientData(1_000 + i, SESSION, "x");
    case 5:
      return ping(right, SESSION).subarray(0, i % 9);
    case 6:
      return Buffer.concat([ping(right, SESSION), Buffer.of(i % 256)]);
    default:
      return hostData(wrong, SESSION, { to: 1, payload: "x" });
  }
}

/** Waits until the node has read what was sent to this player's port: it answers in order. */
async function hasRead(player: UdpPeer, token: number): Promise<void> {
  const isPong = (bytes: Buffer) => bytes.equals(pong(2));
  const before = player.received.filter(isPong).length;
  await player.send(ping(token, SESSION));
  while (player.received.filter(isPong).length === before) await setImmediate();
}

/** How many datagrams the node has dropped, by reason; those of which there were none are left out. */
async function droppedByNode(): Promise<Record<string, number>> {
  const { url } = await node.logged("metrics");
  const text = await (await fetch(url)).text();
  const lines = text.matchAll(/^relay_node_datagrams_dropped_total\{reason="(.*)"\} (\d+)$/gm);
  const counts = [...lines].map(([, reason, count]) => [reason, Number(count)] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

const texts = (bytes: readonly Buffer[]) => bytes.map((one) => one.toString("latin1")).sort();

test.each([1, 2])(
  "gets the bounded answers only, makes the node remember nothing, and costs no player a datagram: --workers %i",
  async (workers) => {
    await startNode(workers);
    const host = await peerOf(ports.server);
    const anna = await peerOf(ports.client);
    await host.until(ping(HOST, SESSION), pong(2));
    await anna.until(ping(ANNA, SESSION), pong(2));
    // From many ports: the kernel chooses the worker by them.
    const strangersOf = (port: number) =>
      Promise.all(Array.from({ length: workers === 1 ? 1 : 16 }, () => peerOf(port)));
    const strangers = {
      server: await strangersOf(ports.server),
      client: await strangersOf(ports.client),
    };
    const sent = { toHost: [] as Buffer[], toAnna: [] as Buffer[] };
    const got = { toHost: [] as Buffer[], toAnna: [] as Buffer[] };
    const from = performance.now();
    for (let i = 0; i < DATAGRAMS; i += BURST) {
      const port = (i / BURST) % 2 === 0 ? "client" : "server";
      const all = strangers[port];
      for (let j = i; j < i + BURST; j++) await all[j % all.length]?.send(hostile(j, port));
      if (port === "client") {
        await anna.send(clientData(ANNA, SESSION, `frame ${i}`));
        sent.toHost.push(toHost(1, `frame ${i}`));
        await hasRead(anna, ANNA);
      } else {
        await host.send(hostData(HOST, SESSION, { to: 1, payload: `frame ${i}` }));
        sent.toAnna.push(toClient(`frame ${i}`));
        await hasRead(host, HOST);
      }
      got.toHost.push(...host.received.splice(0).filter((bytes) => bytes.length > 2));
      got.toAnna.push(...anna.received.splice(0).filter((bytes) => bytes.length > 2));
    }
    await eventually(() => {
      got.toHost.push(...host.received.splice(0).filter((bytes) => bytes.length > 2));
      got.toAnna.push(...anna.received.splice(0).filter((bytes) => bytes.length > 2));
      expect(got.toHost.length + got.toAnna.length).toBeGreaterThanOrEqual(DATAGRAMS / BURST);
    });
    const seconds = (performance.now() - from) / 1_000;
    // All of the flood has come to the node, and it dropped nothing else. The counts of workers come later.
    await eventually(async () => {
      const dropped = await droppedByNode();
      expect(Object.keys(dropped).sort()).toEqual(["invalid-tokens", "malformed"]);
      const allDropped = (dropped["invalid-tokens"] ?? 0) + (dropped.malformed ?? 0);
      if (workers === 1) expect(allDropped).toBe(DATAGRAMS);
      // The kernel may have dropped a part of what was for the worker that hears no player: nobody waits for it.
      else expect(allDropped).toBeGreaterThan(DATAGRAMS / 2);
    });

    expect(texts(got.toHost)).toEqual(texts(sent.toHost));
    expect(texts(got.toAnna)).toEqual(texts(sent.toAnna));
    const answers = [...strangers.server, ...strangers.client].flatMap(({ received }) => received);
    expect(new Set(answers.map((bytes) => bytes.toString("hex")))).toEqual(
      new Set([pong(3).toString("hex")]),
    );
    // To one address, in any second ten for pings and one for data.
    expect(answers.length).toBeLessThanOrEqual(Math.ceil(seconds + 1) * 11);
    expect(await drawbridge.ask({ type: "load", ref: "" })).toMatchObject({
      sessions: 1,
      users: 2,
    });
  },
);
