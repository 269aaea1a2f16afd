/** What runs while people play over UDP: nothing but the node. Real UDP, and the Worker as it is deployed. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { RelayNode } from "../../relay-node/relay-node";
import { LINK_PING, LINK_PONG } from "../../src/relay-nodes/link-protocol";
import { Api } from "../support/api";
import { eventually } from "../support/eventually";
import { NativePlayer, startLinkedNode, toClient, toHost } from "../support/native-game";
import { startServer, type TestServer } from "../support/server";
import { startProxy, type TcpProxy } from "../support/tcp-proxy";

/** A node pings every ten seconds: a minute. */
const PINGS = 6;
/** What stands before the text of a short websocket message, from a client and from a server. */
const MASKED_HEADER_BYTES = 6;
const HEADER_BYTES = 2;

let server: TestServer;
let proxy: TcpProxy;
let node: RelayNode | undefined;
const players: NativePlayer[] = [];

beforeAll(async () => {
  server = await startServer({ counts: true });
  proxy = await startProxy(server.origin);
});

afterEach(async () => {
  for (const player of players.splice(0)) player.close();
  await node?.stop();
});

afterAll(async () => {
  proxy?.close();
  await server?.close();
});

/** An organisation whose node is linked through the proxy. */
async function newApi(): Promise<Api> {
  const { api_key } = await server.newOrganisation("Native");
  const api = new Api(server, api_key.token);
  const { token } = await api.newNode();
  node = await startLinkedNode(proxy.origin, token);
  return api;
}

/** Waits until nothing more is called that the test has caused: events pass queues behind the answers. */
async function quiet(): Promise<void> {
  let before = -1;
  let pings = 0;
  // Compared when the node has pinged, so about every ten seconds.
  await eventually(() => {
    const now = Math.floor(proxy.bytesUp / LINK_PING.length);
    if (now === pings) throw new Error("the node has not pinged");
    pings = now;
    const calls = server.calls().length;
    const isQuiet = calls === before;
    before = calls;
    expect(isQuiet).toBe(true);
  });
}

test("while people play over UDP for a minute nothing is called but the node's own alarm, and the session sleeps", async () => {
  const api = await newApi();
  const { body: session } = await api.create(2);
  expect(session.status).toBe("READY");
  const host = await NativePlayer.of(session, 0);
  const anna = await NativePlayer.of(session, 1);
  players.push(host, anna);
  await quiet();
  await host.state(2);
  await anna.state(2);

  const { connections, bytesUp, bytesDown } = proxy;
  const calls = server.calls().length;
  const pings = () => (proxy.bytesUp - bytesUp) / (LINK_PING.length + MASKED_HEADER_BYTES);
  const pongs = () => (proxy.bytesDown - bytesDown) / (LINK_PONG.length + HEADER_BYTES);
  let frames = 0;
  while (pongs() < PINGS) {
    await anna.toHost("x");
    expect(await host.peer.next()).toEqual(toHost(1, "x"));
    await host.toClient(1, "y");
    expect(await anna.peer.next()).toEqual(toClient("y"));
    frames += 2;
  }
  expect(frames).toBeGreaterThan(PINGS);

  // The link: no other connection, and no byte that is not of a ping or of its answer.
  expect(proxy.connections).toBe(connections);
  expect([pings() % 1, pongs() % 1]).toEqual([0, 0]);
  // One answer may have been on its way when the counting began.
  expect(Math.abs(pings() - pongs())).toBeLessThanOrEqual(1);
  // The Worker: no request, no message of a queue, and no object but the node's own. Its alarm looks about
  // every 20 s whether the node is heard, and finds it asleep.
  const meanwhile = server.calls().slice(calls);
  expect(new Set(meanwhile)).toEqual(new Set(["RelayNodeObject starts", "RelayNodeObject.alarm"]));
  expect(meanwhile.filter((call) => call === "RelayNodeObject.alarm").length).toBeLessThan(PINGS);
  // The session: it has to start to answer.
  expect((await api.read(session.session_id)).body.session_users[1].connected).toBe(true);
  expect(server.calls().slice(calls + meanwhile.length)).toContain("SessionObject starts");
});
