/** Sessions in which some play over datagrams and some over websockets: what passes between them. */
import { evictDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { parseTrunkFrame, trunkFrame } from "../../src/relay/trunk";
import { newOrganisation } from "../support/client";
import { stubOf } from "../support/faults";
import { askForTrunk, newLinkedNode, openTrunk } from "../support/relay-node";
import { read } from "../support/sessions";
import {
  connect,
  createRelay,
  endRelay,
  type Relay,
  revokeUser,
  type Socket,
} from "../support/socket";

const three = { users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }, { ip: "192.0.2.3" }] };

/** A session of a host and two clients on a node. */
async function onNode() {
  const { key } = await newOrganisation();
  const node = await newLinkedNode(key);
  const relay = await createRelay(key, three);
  return { key, node, relay };
}

/** The trunk, once the session's object has said who is on websockets. */
async function trunkOf(token: string, relay: Relay): Promise<{ trunk: Socket; here: unknown }> {
  const trunk = await openTrunk(token, relay.id);
  return { trunk, here: await trunk.control("here") };
}

const say = (trunk: Socket, ...users: number[]) =>
  trunk.sendText(JSON.stringify({ type: "here", users }));

const bytes = (text: string) => new TextEncoder().encode(text);

/** The next frame on a trunk. */
async function frame(trunk: Socket) {
  const parsed = parseTrunkFrame(await trunk.frameBytes());
  return parsed && { ...parsed, payload: new TextDecoder().decode(parsed.payload) };
}

describe("between a browser and a native game", () => {
  test("the node is told when the first websocket comes and when the last has gone", async () => {
    const { node, relay } = await onNode();
    const client = await connect(relay, 1);
    expect(await node.next("trunk")).toEqual({ type: "trunk", id: relay.id, open: true });
    const other = await connect(relay, 2);
    client.close(1000);
    await client.closed;
    other.close(1000);
    await other.closed;
    expect(await node.next("trunk")).toEqual({ type: "trunk", id: relay.id, open: false });
    expect(node.told.filter(({ type }) => type === "trunk")).toHaveLength(2);
  });

  test("frames pass in both directions, where the host is native", async () => {
    const { node, relay } = await onNode();
    const client = await connect(relay, 1);
    const { trunk, here } = await trunkOf(node.token, relay);
    expect(here).toEqual({ type: "here", users: [1] });
    say(trunk, 0, 2);
    await client.control("host_joined");
    client.sendBytes(Uint8Array.of(2, ...bytes("to the host")));
    expect(await frame(trunk)).toEqual({ from: 1, to: 0, payload: "to the host" });
    trunk.sendBytes(trunkFrame(0, 1, bytes("to one client")));
    expect(await client.frame()).toEqual([2, ...bytes("to one client")]);
    say(trunk, 2);
    await client.control("host_left");
  });

  test("frames pass in both directions, where the host is a browser", async () => {
    const { node, relay } = await onNode();
    const host = await connect(relay, 0);
    const { trunk } = await trunkOf(node.token, relay);
    say(trunk, 1, 2);
    expect(await host.control("peer_joined")).toMatchObject({ connection_id: 1 });
    expect(await host.control("peer_joined")).toMatchObject({ connection_id: 2 });
    trunk.sendBytes(trunkFrame(2, 0, bytes("hello")));
    expect(await host.frame()).toEqual([2, 2, 0, 0, 0, ...bytes("hello")]);
    host.sendBytes(Uint8Array.of(2, 1, 0, 0, 0, ...bytes("welcome")));
    expect(await frame(trunk)).toEqual({ from: 0, to: 1, payload: "welcome" });
    say(trunk, 2);
    expect(await host.control("peer_left")).toMatchObject({ connection_id: 1 });
  });

  test("a broadcast of a host in a browser reaches clients on both sides, where a datagram can hold it", async () => {
    const { node, relay } = await onNode();
    const host = await connect(relay, 0);
    const browser = await connect(relay, 1);
    const { trunk } = await trunkOf(node.token, relay);
    say(trunk, 2);
    expect(await host.control("peer_joined")).toMatchObject({ connection_id: 1 });
    expect(await host.control("peer_joined")).toMatchObject({ connection_id: 2 });
    host.sendBytes(Uint8Array.of(3, ...bytes("to all")));
    expect(await frame(trunk)).toEqual({ from: 0, to: 2, payload: "to all" });
    host.sendBytes(Uint8Array.of(3, ...new Uint8Array(1_472)));
    host.sendBytes(Uint8Array.of(3, ...new Uint8Array(1_471)));
    expect((await frame(trunk))?.payload).toHaveLength(1_471);
    const sizes = (await browser.settle()).map((each) => each.length);
    expect(sizes).toEqual([7, 1_473, 1_472]);
    const { session_users } = (await read(relay.key, relay.id)).body;
    // One by us, and none by the node, which counts user 0 as 0.
    expect(session_users[0].frames_dropped).toBe(1);
  });

  test("somebody who connects later is told who is on the node", async () => {
    const { node, relay } = await onNode();
    const first = await connect(relay, 1);
    const { trunk } = await trunkOf(node.token, relay);
    say(trunk, 0);
    await first.control("host_joined");
    const second = await connect(relay, 2);
    await second.control("host_joined");
    expect(await trunk.control("here")).toEqual({ type: "here", users: [1, 2] });
  });

  test("a payload that is too large for a datagram is dropped and counted, and the largest that is not passes", async () => {
    const { node, relay } = await onNode();
    const client = await connect(relay, 1);
    const { trunk } = await trunkOf(node.token, relay);
    say(trunk, 0);
    await client.control("host_joined");
    client.sendBytes(Uint8Array.of(2, ...new Uint8Array(1_468)));
    client.sendBytes(Uint8Array.of(2, ...new Uint8Array(1_467)));
    expect(parseTrunkFrame(await trunk.frameBytes())?.payload).toHaveLength(1_467);
    const { session_users } = (await read(relay.key, relay.id)).body;
    // The node has counted one itself.
    expect(session_users[1].frames_dropped).toBe(2);
  });

  test("a user is where they were heard last", async () => {
    const { node, relay } = await onNode();
    const browser = await connect(relay, 1);
    const { trunk } = await trunkOf(node.token, relay);
    say(trunk, 0, 1);
    expect(await browser.closed).toMatchObject({ code: 4409 });
    expect(await trunk.control("here")).toEqual({ type: "here", users: [] });
    const again = await connect(relay, 1);
    expect(await trunk.control("here")).toEqual({ type: "here", users: [1] });
    say(trunk, 0);
    again.sendBytes(Uint8Array.of(2, ...bytes("back")));
    expect(await frame(trunk)).toMatchObject({ from: 1, payload: "back" });
  });

  test("a trunk passes nothing that is not from a user of the node, to a user of a websocket, from or to the host", async () => {
    const { node, relay } = await onNode();
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    const { trunk } = await trunkOf(node.token, relay);
    say(trunk, 2, 77);
    await host.control("peer_joined");
    expect(await host.control("peer_joined")).toMatchObject({ connection_id: 2 });
    for (const [from, to] of [
      [77, 0],
      [1, 0],
      [2, 1],
      [0, 1],
      [2, 2],
    ] as const) {
      trunk.sendBytes(trunkFrame(from, to, bytes("forged")));
    }
    trunk.sendText("not JSON");
    trunk.send(1, 2, 3);
    trunk.sendBytes(trunkFrame(2, 0, bytes("true")));
    expect(await host.frame()).toEqual([2, 2, 0, 0, 0, ...bytes("true")]);
    expect(await client.settle()).toEqual([]);
  });

  test("everything goes on after the session's object was evicted", async () => {
    const { node, relay } = await onNode();
    const client = await connect(relay, 1);
    const { trunk } = await trunkOf(node.token, relay);
    say(trunk, 0);
    await client.control("host_joined");
    await evictDurableObject(stubOf(relay.id));
    client.sendBytes(Uint8Array.of(2, ...bytes("awake?")));
    expect(await frame(trunk)).toMatchObject({ from: 1, to: 0, payload: "awake?" });
    await evictDurableObject(stubOf(relay.id));
    trunk.sendBytes(trunkFrame(0, 1, bytes("yes")));
    expect(await client.frame()).toEqual([2, ...bytes("yes")]);
  });

  test("a user who is revoked is gone for the others, and the session's end closes the trunk", async () => {
    const { node, relay } = await onNode();
    const host = await connect(relay, 0);
    const { trunk } = await trunkOf(node.token, relay);
    say(trunk, 1);
    await host.control("peer_joined");
    await revokeUser(relay, 1);
    expect(await host.control("peer_left")).toMatchObject({ connection_id: 1 });
    await endRelay(relay);
    expect(await trunk.closed).toMatchObject({ code: 4410 });
  });

  test("when the trunk breaks, those on the node are gone until it is open again", async () => {
    const { node, relay } = await onNode();
    const host = await connect(relay, 0);
    const { trunk } = await trunkOf(node.token, relay);
    say(trunk, 1);
    await host.control("peer_joined");
    trunk.close(1000);
    await host.control("peer_left");
    const again = await trunkOf(node.token, relay);
    expect(again.here).toEqual({ type: "here", users: [0] });
    say(again.trunk, 1);
    await host.control("peer_joined");
  });
});

test("only the node that carries a session can open its trunk", async () => {
  const { key, relay } = await onNode();
  const other = await newLinkedNode(key);
  const foreign = await newLinkedNode((await newOrganisation()).key);
  const answers = [
    await askForTrunk(other.token, relay.id),
    await askForTrunk(foreign.token, relay.id),
    await askForTrunk(other.token, "ffffffffffff-S"),
    await askForTrunk(other.token, "none"),
    await askForTrunk(key, relay.id),
  ];
  expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 401]);
});
