/** The tokens of relay nodes, where D1 is down or changes meanwhile, and what a stolen one cannot do. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { LIMITS } from "../../src/http/rate-limits";
import { tokenDigest } from "../../src/keys/key-token";
import { SHARED } from "../../src/relay-nodes/node";
import type { LinkRequest } from "../../src/relay-nodes/node-calls";
import { RelayNodeObject } from "../../src/relay-nodes/object";
import { SessionClient } from "../../src/session/session-client";
import { SessionObject } from "../../src/session-object/object";
import { call, newOrganisation } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { whileD1Refuses } from "../support/d1-refuses";
import { eventually } from "../support/eventually";
import { stubOf } from "../support/faults";
import { settledIn } from "../support/journals";
import {
  askForLink,
  askForTrunk,
  link,
  type MadeNode,
  makeNode,
  NODES,
  newLinkedNode,
  nodeStub,
  openTrunk,
} from "../support/relay-node";
import { create, read } from "../support/sessions";
import { connect, createRelay } from "../support/socket";

const two = { users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }] };

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** What the Worker hands to a node's object, when D1 has said that the token is the node's. */
async function handOver({ id, token }: MadeNode): Promise<Response> {
  const asked = {
    settings: {
      organisationId: SHARED,
      id,
      name: "Node",
      region: null,
      capacity: null,
      drained: false,
      createdAt: 0,
    },
    tokenDigest: tokenDigest(token),
    latitude: null,
    longitude: null,
  } satisfies LinkRequest;
  const headers = { Upgrade: "websocket", "Drawbridge-Node": JSON.stringify(asked) };
  return nodeStub(id).fetch(new Request("https://relay-node/", { headers }));
}

describe("a node whose link is cut while D1 is down", () => {
  test("links again, since it says who it is, and goes on with its sessions", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { session_id: id } = (await create(key, two)).body;
    node.close();
    await node.closed;
    const again = await whileD1Refuses(/./, () => link(node, { nodeId: node.id }));
    expect((await again.next("assign")).session.id).toBe(id);
    expect((await read(key, id)).body.session_users[0].connected).toBe(true);
  });

  test("is 503 with another node's token, with another node's id, and if it does not say who it is", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const other = await newLinkedNode(key);
    const neverLinked = await makeNode(key);
    const statuses = await whileD1Refuses(/./, async () => [
      (await askForLink(node.token, {}, other.id)).status,
      (await askForLink(other.token, {}, node.id)).status,
      (await askForLink(node.token)).status,
      (await askForLink(node.token, {}, "rn_unknown")).status,
      (await askForLink(neverLinked.token, {}, neverLinked.id)).status,
    ]);
    expect(statuses).toEqual([503, 503, 503, 503, 503]);
  });

  test("is refused with a token that was replaced before, or after it was deleted", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    await call("POST", `${NODES}/${node.id}:rotate-token`, { key });
    const refused = await whileD1Refuses(/./, () => askForLink(node.token, {}, node.id));
    expect(refused.status).toBe(503);
    await call("DELETE", `${NODES}/${node.id}`, { key });
    const deleted = await whileD1Refuses(/./, () => askForLink(node.token, {}, node.id));
    expect(deleted.status).toBe(503);
  });
});

describe("a link that D1 had let in", () => {
  test("before the token was replaced is refused by the node's object", async () => {
    const { key } = await newOrganisation();
    const made = await makeNode(key);
    const grace = await call("POST", `${NODES}/${made.id}:rotate-token`, {
      key,
      body: { grace_seconds: 60 },
    });
    expect((await handOver(made)).status).toBe(101);
    await call("POST", `${NODES}/${made.id}:rotate-token`, { key });
    for (const token of [made.token, grace.body.token]) {
      const answer = await handOver({ id: made.id, token });
      expect(await answer.json()).toEqual({ code: "unknown-token" });
    }
  });

  test("before the node was deleted is refused by the node's object", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    await call("DELETE", `${NODES}/${node.id}`, { key });
    expect(await (await handOver(node)).json()).toEqual({ code: "unknown-token" });
  });
});

describe("a trunk whose token was replaced", () => {
  const oneIsHere = JSON.stringify({ type: "here", users: [1] });

  /** A session whose host is in a browser, and of whose two clients the first is heard on the node. */
  async function withTrunk() {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const relay = await createRelay(key, { users: [...two.users, { ip: "192.0.2.3" }] });
    const host = await connect(relay, 0);
    const trunk = await openTrunk(node.token, relay.id);
    trunk.sendText(oneIsHere);
    await host.control("peer_joined");
    const rotate = (grace_seconds = 0) =>
      call("POST", `${NODES}/${node.id}:rotate-token`, { key, body: { grace_seconds } });
    return { key, node, relay, host, trunk, rotate };
  }

  const ENDED = { code: 4401 };

  test("without a grace is closed, and its users are gone for the others", async () => {
    const { node, relay, host, trunk, rotate } = await withTrunk();
    const { token } = (await rotate()).body;
    expect(await trunk.closed).toMatchObject(ENDED);
    expect(await host.control("peer_left")).toMatchObject({ connection_id: 1 });
    expect((await askForTrunk(node.token, relay.id)).status).toBe(401);
    const again = await openTrunk(token, relay.id);
    again.sendText(oneIsHere);
    await host.control("peer_joined");
  });

  test("is closed too in a session in which nobody is on a websocket, after objects were evicted", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const relay = await createRelay(key, two);
    const trunk = await openTrunk(node.token, relay.id);
    await trunk.control("here");
    for (const stub of [stubOf(relay.id), nodeStub(node.id)]) await evictDurableObject(stub);
    await call("POST", `${NODES}/${node.id}:rotate-token`, { key });
    expect(await trunk.closed).toMatchObject(ENDED);
  });

  test.each([
    ["itself sends", "trunk"],
    ["is to get", "host"],
  ] as const)(
    "with a grace stays until its end, and is closed by the next message that it %s",
    async (_which, from) => {
      stopClockAhead();
      const { relay, host, trunk, rotate } = await withTrunk();
      expect((await rotate(60)).status).toBe(200);
      const send = () =>
        from === "trunk" ? trunk.sendText(oneIsHere) : host.send(2, 1, 0, 0, 0, 104, 105);
      advance(59);
      host.send(2, 1, 0, 0, 0, 104, 105);
      expect((await trunk.frameBytes()).at(-1)).toBe(105);
      await evictDurableObject(stubOf(relay.id));
      advance(1);
      send();
      expect(await trunk.closed).toMatchObject(ENDED);
      expect(await host.control("peer_left")).toMatchObject({ connection_id: 1 });
      await expect(trunk.frameBytes()).rejects.toThrow("closed with 4401");
    },
  );

  test("whose session could not be told is closed as soon as it can be, also after an eviction", async () => {
    stopClockAhead();
    const { node, trunk, rotate } = await withTrunk();
    const broken = vi
      .spyOn(SessionObject.prototype, "nodeTokensChanged")
      .mockImplementation(async () => {
        throw new Error("this object is broken");
      });
    expect((await rotate()).status).toBe(200);
    const alarmIn = () =>
      runInDurableObject(
        nodeStub(node.id),
        async (_, { storage }) => ((await storage.getAlarm()) ?? 0) - Date.now(),
      );
    expect(await alarmIn()).toBe(10_000);
    await evictDurableObject(nodeStub(node.id));
    advance(10);
    await runDurableObjectAlarm(nodeStub(node.id));
    expect(broken).toHaveBeenCalledTimes(2);
    expect(trunk.open).toBe(true);
    broken.mockRestore();
    advance(10);
    await runDurableObjectAlarm(nodeStub(node.id));
    expect(await trunk.closed).toMatchObject(ENDED);
  });

  test("whose session cannot be told keeps no other session awake, and is told no more once it has left the node", async () => {
    stopClockAhead();
    const { key, node, relay, rotate } = await withTrunk();
    const others = [await createRelay(key, two), await createRelay(key, two)];
    const told: string[] = [];
    vi.spyOn(SessionObject.prototype, "nodeTokensChanged").mockImplementation(async function (
      this: SessionObject,
    ) {
      const id = (this as unknown as { ctx: DurableObjectState }).ctx.id.name ?? "";
      told.push(id);
      if (id === relay.id) throw new Error("this object is broken");
    });
    await rotate();
    expect(told.toSorted()).toEqual([relay.id, ...others.map(({ id }) => id)].toSorted());
    const ring = async () => {
      told.length = 0;
      await evictDurableObject(nodeStub(node.id));
      advance(10);
      await runDurableObjectAlarm(nodeStub(node.id));
      return [...told];
    };
    expect(await ring()).toEqual([relay.id]);
    await nodeStub(node.id).release(relay.id, "moved");
    expect(await ring()).toEqual([]);
    expect(await ring()).toEqual([]);
  });

  test("while it was being opened is refused, and closed", async () => {
    const { node, relay, host, trunk, rotate } = await withTrunk();
    const { openTrunk: openThere } = SessionClient.prototype;
    vi.spyOn(SessionClient.prototype, "openTrunk").mockImplementationOnce(async function (
      this: SessionClient,
      ...asked
    ) {
      await rotate();
      return openThere.apply(this, asked);
    });
    expect((await askForTrunk(node.token, relay.id)).status).toBe(401);
    expect(await trunk.closed).toMatchObject(ENDED);
    await host.control("peer_left");
    const open = () =>
      runInDurableObject(
        stubOf(relay.id),
        (_, ctx) => ctx.getWebSockets().filter((ws) => ws.readyState === WebSocket.OPEN).length,
      );
    await eventually(async () => expect(await open()).toBe(1));
  });
});

describe("a rotation of which the node's object does not hear at once", () => {
  /** A linked node, and a clock that only the test moves. */
  async function linked() {
    stopClockAhead();
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const rotate = () => call("POST", `${NODES}/${node.id}:rotate-token`, { key, headers });
    const ring = () => runDurableObjectAlarm(nodeStub(node.id));
    /** Lets time pass; the node is heard meanwhile. */
    const wait = async (seconds: number) => {
      for (let left = seconds; left > 0; left -= 10) {
        advance(Math.min(left, 10));
        await nodeStub(node.id).load();
      }
    };
    const tokens = () =>
      runInDurableObject(nodeStub(node.id), (_, { storage }) =>
        [...(storage.kv.get<{ digest: string }[]>("tokens") ?? [])].map(({ digest }) => digest),
      );
    return { key, node, rotate, ring, wait, tokens };
  }

  /** Makes these calls of nodes' objects fail, until the mocks are restored. */
  const cutOff = (...calls: ("tokensWillChange" | "tokensChanged")[]) => {
    for (const name of calls) {
      vi.spyOn(RelayNodeObject.prototype, name).mockImplementation(async () => {
        throw new Error("this object is broken");
      });
    }
  };

  test("shows the new token all the same, and the object ends the older one a minute later", async () => {
    const { node, rotate, ring, wait } = await linked();
    cutOff("tokensChanged");
    const { status, body } = await rotate();
    expect(status).toBe(200);
    expect((await rotate()).body).toEqual(body);
    vi.restoreAllMocks();
    await evictDurableObject(nodeStub(node.id));
    await wait(60);
    await ring();
    expect(await node.closed).toMatchObject({ code: 4401 });
    await link({ id: node.id, token: body.token });
  });

  test("since it cannot read D1, shows the new token too, and the object reads again until it can", async () => {
    const { node, rotate, ring, wait, tokens } = await linked();
    const readsTokens = /^select "digest", "valid_until" from "relay_node_tokens"/m;
    const { status, body } = await whileD1Refuses(readsTokens, rotate);
    expect(status).toBe(200);
    await wait(60);
    await whileD1Refuses(readsTokens, ring);
    expect(await tokens()).toEqual([tokenDigest(node.token)]);
    await wait(10);
    await ring();
    expect(await tokens()).toEqual([tokenDigest(body.token)]);
    expect(await node.closed).toMatchObject({ code: 4401 });
  });

  test("since it cannot be reached at all, changes nothing", async () => {
    const { node, rotate, tokens } = await linked();
    cutOff("tokensWillChange");
    expect((await rotate()).status).toBe(503);
    expect((await askForLink(node.token)).status).toBe(101);
    vi.restoreAllMocks();
    const { status, body } = await rotate();
    expect([status, await tokens()]).toEqual([200, [tokenDigest(body.token)]]);
  });

  test("is not missed where another one was announced before it", async () => {
    const { node, rotate, ring, wait, tokens } = await linked();
    await nodeStub(node.id).tokensWillChange();
    await wait(50);
    await nodeStub(node.id).tokensWillChange();
    await wait(10);
    await ring();
    expect(await tokens()).toEqual([tokenDigest(node.token)]);
    // What was announced ten seconds ago is made now.
    vi.spyOn(RelayNodeObject.prototype, "tokensWillChange").mockResolvedValue(undefined);
    cutOff("tokensChanged");
    const { body } = await rotate();
    await wait(50);
    await ring();
    expect(await tokens()).toEqual([tokenDigest(body.token)]);
  });
});

describe("with the token of a node", () => {
  test("links and trunks are refused when there are too many in a minute, and later they are not", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    stopClockAhead();
    const asked = async () => {
      const { status, webSocket } = await askForLink(node.token);
      webSocket?.accept();
      webSocket?.close();
      return status;
    };
    const statuses = new Set<number>();
    for (let i = 0; i < LIMITS.relayNodeLinks.most; i++) statuses.add(await asked());
    expect([...statuses]).toEqual([101]);
    expect(await asked()).toBe(429);
    expect((await askForTrunk(node.token, "0378bc592661-S")).status).toBe(404);
    expect((await askForLink((await makeNode(key)).token)).status).toBe(101);
    advance(60);
    expect(await asked()).toBe(101);
  });

  test("no more than 60 events an hour can be made, and the node is shown as it is all the same", async () => {
    const { key, id: organisationId } = await newOrganisation();
    const made = await makeNode(key);
    stopClockAhead();
    const comeAndGo = async () => {
      const node = await link(made);
      node.send({ type: "leaving" });
      await node.closed;
      advance(2);
    };
    const events = async () => {
      const recorded = await settledIn(organisationId);
      return recorded.filter(({ event }) => event.type.startsWith("relay-node.")).length;
    };
    for (let i = 0; i < 33; i++) await comeAndGo();
    const shown = async () => (await call("GET", `${NODES}/${made.id}`, { key })).body.status;
    await eventually(async () => expect([await events(), await shown()]).toEqual([60, "lost"]));
    advance(3_600);
    await comeAndGo();
    await eventually(async () => expect(await events()).toBe(62));
  });
});

test("a lost node's sessions are told in runs of 500, one right after the other", async () => {
  stopClockAhead();
  const { key } = await newOrganisation();
  const node = await newLinkedNode(key);
  for (let i = 0; i < 620; i++) {
    const id = `${i.toString(16).padStart(12, "0")}-S`;
    const expiresAt = Date.now() + 600_000;
    const session = { id, idleSeconds: 300, expiresAt, users: [], hasSockets: false };
    expect(await nodeStub(node.id).place(session, null)).toMatchObject({ ok: true });
  }
  const left = () =>
    runInDurableObject(nodeStub(node.id), async (_, { storage }) => ({
      sessions: [...storage.kv.list({ prefix: "s:" })].length,
      alarmIn: ((await storage.getAlarm()) ?? 0) - Date.now(),
    }));
  node.send({ type: "leaving" });
  await eventually(async () => expect(await left()).toEqual({ sessions: 120, alarmIn: 1 }));
  await runDurableObjectAlarm(nodeStub(node.id));
  expect((await left()).sessions).toBe(0);
});
