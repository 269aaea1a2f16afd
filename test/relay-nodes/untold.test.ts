/** A relay node whose object cannot be reached while its link is fine: nothing that it has to be told is lost. */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { RelayNodeObject } from "../../src/relay-nodes/object";
import { newOrganisation } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { eventually } from "../support/eventually";
import { alarmIn, kill, stubOf } from "../support/faults";
import { eventRows } from "../support/pipeline";
import { type FakeNode, link, newLinkedNode, nodeStub } from "../support/relay-node";
import { rowsOf } from "../support/rows";
import { connect, createRelay, endRelay, revokeUser } from "../support/socket";

const two = { users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }], ttl_seconds: 600 };

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A session on a node of its own, and a clock that only the test moves. */
async function withSession() {
  stopClockAhead();
  const tenant = await newOrganisation();
  const node = await newLinkedNode(tenant.key);
  const relay = await createRelay(tenant.key, two);
  return { tenant, node, relay, id: relay.id, expiresAt: Date.now() + 600_000 };
}

/** Makes these calls of nodes' objects fail, until the mocks are restored. */
function cutOff(...calls: ("update" | "release" | "sockets")[]) {
  return calls.map((name) =>
    vi.spyOn(RelayNodeObject.prototype, name).mockImplementation(async () => {
      throw new Error("this object is broken");
    }),
  );
}

/** Lets the session's alarm ring, as the platform would at this moment. */
const ring = (id: string) => runDurableObjectAlarm(stubOf(id));

const usersOn = (node: FakeNode, id: string) => node.sessions.get(id)?.users.map(({ n }) => n);

describe("while a node's object cannot be reached, and its link is fine", () => {
  test("a revocation is told as soon as it can be, minutes later, and after both objects were evicted", async () => {
    const { node, relay, id } = await withSession();
    cutOff("update");
    expect((await revokeUser(relay, 1)).status).toBe(200);
    for (let tries = 0; tries < 8; tries++) {
      advance(30);
      expect(await ring(id)).toBe(true);
    }
    await evictDurableObject(stubOf(id));
    await evictDurableObject(nodeStub(node.id));
    advance(30);
    await ring(id);
    expect(usersOn(node, id)).toEqual([0, 1]);
    vi.restoreAllMocks();
    advance(30);
    await ring(id);
    await eventually(() => expect(usersOn(node, id)).toEqual([0]));
  });

  test("a revocation says as its moment when the node carries nothing of the session any more, and that is so", async () => {
    const { node, relay, id, expiresAt } = await withSession();
    cutOff("update", "release");
    const { body } = await revokeUser(relay, 1);
    const effectiveBy = Date.parse(body.effective_by);
    expect(effectiveBy).toBe(expiresAt + 120_000);
    // The session ends, and its node does not hear of it. The node's own object has its alarm.
    advance((expiresAt - Date.now()) / 1_000 + 1);
    await ring(id);
    expect(node.sessions.has(id)).toBe(true);
    advance(85);
    // The node is heard.
    await nodeStub(node.id).load();
    expect(Date.now() + 30_000).toBeLessThanOrEqual(effectiveBy);
    await runDurableObjectAlarm(nodeStub(node.id));
    await eventually(() => expect(node.sessions.has(id)).toBe(false));
    // From then on there is nothing to try.
    advance((effectiveBy - Date.now()) / 1_000);
    await ring(id);
    expect(await alarmIn(id)).toBeNull();
  });

  test("the end of a session is told later, also after the session's object was killed", async () => {
    const { node, relay, id } = await withSession();
    cutOff("release");
    expect((await endRelay(relay)).status).toBe(204);
    await kill(id);
    vi.restoreAllMocks();
    advance(30);
    await ring(id);
    await eventually(() => expect(node.sessions.has(id)).toBe(false));
  });

  test("each try writes two rows, and so does the last, with the node's own one", async () => {
    const { tenant, relay, id } = await withSession();
    cutOff("update");
    await revokeUser(relay, 1);
    await eventually(async () => expect(await eventRows(tenant)).toHaveLength(3));
    const tried = await rowsOf(async () => {
      advance(30);
      await ring(id);
    });
    vi.restoreAllMocks();
    const told = await rowsOf(async () => {
      advance(30);
      await ring(id);
    });
    expect([tried.objectWritten, told.objectWritten]).toEqual([2, 2 + 1]);
  });

  test("a first websocket is told later, so that the trunk opens", async () => {
    const { node, relay, id } = await withSession();
    cutOff("sockets", "update");
    const socket = await connect(relay, 1);
    await eventually(async () => expect(await alarmIn(id)).toBeLessThan(10));
    vi.restoreAllMocks();
    advance(30);
    await ring(id);
    await eventually(() => expect(node.sessions.get(id)?.trunk).toBe(true));
    socket.close(1000);
    await socket.closed;
  });
});

describe("done means done:", () => {
  test("a node that did not do what it was told has its link closed, and its sessions given again", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const relay = await createRelay(key, two);
    node.manner.refuses = "full";
    const before = Date.now();
    const { body } = await revokeUser(relay, 1);
    expect(Date.parse(body.effective_by)).toBeGreaterThanOrEqual(before + 30_000);
    expect(await node.closed).toMatchObject({ code: 4408 });
    const again = await link(node, { hello: { sessions: [relay.id] } });
    expect((await again.next("assign")).session.users.map(({ n }) => n)).toEqual([0]);
  });

  test("an end whose first call was lost is told again, though the session is not on the node any more", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const relay = await createRelay(key, two);
    node.manner.mute = ["end"];
    const [first, second] = await Promise.all([
      nodeStub(node.id).release(relay.id, "api"),
      nodeStub(node.id).release(relay.id, "api"),
    ]);
    const soonest = Date.now() + 25_000;
    expect(first).toBeGreaterThan(soonest);
    expect(second).toBeGreaterThan(soonest);
  });

  test("a draining node that does not answer the end of its last session may still carry it", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const relay = await createRelay(key, two);
    node.send({ type: "draining" });
    node.manner.mute = ["end"];
    const effectiveBy = await nodeStub(node.id).release(relay.id, "api");
    expect(effectiveBy).toBeGreaterThan(Date.now() + 25_000);
  });
});
