/** Somebody who floods a relay node with datagrams that are not theirs to send. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/eventually";
import { type FakeDrawbridge, startFakeDrawbridge, TOKEN } from "../support/fake-drawbridge";
import { assignment } from "../support/forwarder";
import { clientData, hostData, ping, pong, toHost } from "../support/relay-datagrams";
import { RelayNodeProcess } from "../support/relay-node-process";
import { UdpPeer } from "../support/udp-peer";

const SESSION = 500;
const HOST = 100;
const ANNA = 101;
const DATAGRAMS = 100_000;
const FRAMES = 2_000;

let drawbridge: FakeDrawbridge;
/** Of its own, so that the flood and the node do not share a thread. */
let node: RelayNodeProcess;
let ports: { server: number; client: number };
const peers: UdpPeer[] = [];

beforeEach(async () => {
  drawbridge = await startFakeDrawbridge();
  await RelayNodeProcess.build();
  node = RelayNodeProcess.start({ origin: drawbridge.url.href, token: TOKEN });
  const { server_port, client_port } = await node.logged("listening");
  ports = { server: server_port, client: client_port };
  const session = assignment("s1", SESSION, [HOST, ANNA]);
  await drawbridge.ask({ type: "assign", ref: "", session });
});

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

/** The `i`th datagram of the flood: random bytes, or nearly right ones. None is valid. */
function hostile(i: number): Buffer {
  switch (i % 8) {
    case 0:
      return Buffer.from(Array.from({ length: i % 40 }, (_, j) => (i * 31 + j * 17) % 256));
    case 1:
      return ping(1_000 + i, SESSION);
    case 2:
      return ping(ANNA, SESSION + 1 + i);
    case 3:
      return ping(HOST, SESSION);
    case 4:
      return clientData(1_000 + i, SESSION, "x");
    case 5:
      return ping(ANNA, SESSION).subarray(0, i % 9);
    case 6:
      return Buffer.concat([ping(ANNA, SESSION), Buffer.of(i % 256)]);
    default:
      return hostData(HOST, SESSION, { to: 1, payload: "x" });
  }
}

test("gets the bounded answers only, makes the node remember nothing, and disturbs no player", async () => {
  const host = await peerOf(ports.server);
  const anna = await peerOf(ports.client);
  const stranger = await peerOf(ports.client);
  await host.until(ping(HOST, SESSION), pong(2));
  await anna.until(ping(ANNA, SESSION), pong(2));
  const from = performance.now();
  let frames = 0;
  for (let i = 0; i < DATAGRAMS; i++) {
    await stranger.send(hostile(i));
    if (i % (DATAGRAMS / FRAMES) === 0) {
      await anna.send(clientData(ANNA, SESSION, `frame ${frames}`));
      frames += 1;
      // Not faster than the node is given time to read on this machine: what overflows the kernel's
      // buffer is lost before the node sees it.
      if (frames % 40 === 0) await anna.until(ping(ANNA, SESSION), pong(2));
    }
  }
  await eventually(async () => {
    await anna.send(clientData(ANNA, SESSION, "last"));
    expect(host.received).toContainEqual(toHost(1, "last"));
  });
  const seconds = (performance.now() - from) / 1_000;

  const arrived = new Set(host.received.map((bytes) => bytes.toString("latin1"))).size - 1;
  expect(arrived).toBeGreaterThan(FRAMES * 0.99);
  expect(new Set(stranger.received.map((bytes) => bytes.toString("hex")))).toEqual(
    new Set([pong(3).toString("hex")]),
  );
  // In any second ten for pings and one for data.
  expect(stranger.received.length).toBeLessThanOrEqual(Math.ceil(seconds + 1) * 11);
  expect(await drawbridge.ask({ type: "load", ref: "" })).toMatchObject({ sessions: 1, users: 2 });
});
