/** Faults around relay nodes: objects that die at any step, D1 that is down, answers that never come. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { RelayNodeObject } from "../../src/relay-nodes/object";
import { SessionObject } from "../../src/session-object/object";
import { call, newOrganisation } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { whileD1Refuses } from "../support/d1-refuses";
import { eventually } from "../support/eventually";
import { DEATHS, dyingAt, kill, stubOf } from "../support/faults";
import { settledIn } from "../support/journals";
import { link, makeNode, NODES, newLinkedNode, nodeStub } from "../support/relay-node";
import { create, list, read, remove, revoke } from "../support/sessions";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const two = { users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }] };

/** Ends the object of a node at once. Its websockets are gone, as after a deploy. */
async function killNode(id: string): Promise<void> {
  await runInDurableObject(nodeStub(id), (_, state) => state.abort("killed by a test")).catch(
    () => undefined,
  );
}

describe("a session's object that dies", () => {
  test("while a node takes the session leaves something on the node that ends when nobody is heard", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key, {}, { mute: ["assign"] });
    const asked = create(key, two);
    const { ref, session } = await node.next("assign");
    await kill(session.id);
    expect((await asked).status).toBe(503);
    node.send({ type: "done", ref });
    expect((await read(key, session.id)).status).toBe(404);
    node.send({ type: "silent", id: session.id });
    expect(await node.next("end")).toMatchObject({ id: session.id });
  });

  test.each(DEATHS)(
    "%s has the session on its node all the same, and it can be ended",
    async (death) => {
      const { key } = await newOrganisation();
      const node = await newLinkedNode(key);
      const made = await dyingAt(death, () => create(key, two));
      expect([200, 503]).toContain(made.status);
      const [id = ""] = node.sessions.keys();
      await eventually(async () => expect((await list(key)).body.total_count).toBe(1));
      expect((await read(key, id)).body).toMatchObject({ status: "READY", linked: true });
      expect((await remove(key, id)).status).toBe(204);
      await eventually(() => expect(node.sessions.size).toBe(0));
    },
  );

  test("before the node was told of a revocation has it told when the caller has failed", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { session_id: id, session_users } = (await create(key, two)).body;
    const update = vi.spyOn(RelayNodeObject.prototype, "update");
    update.mockImplementationOnce(() => new Promise<never>(() => undefined));
    const asked = revoke(key, id, session_users[1].authorization_token);
    await eventually(() => expect(update).toHaveBeenCalled());
    await kill(id);
    expect((await asked).status).toBe(503);
    await eventually(() => expect(node.sessions.get(id)?.users).toHaveLength(1));
  });
});

describe("a node's object that dies", () => {
  test("loses its link, and gives the node its sessions again when that is back", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { session_id: id } = (await create(key, two)).body;
    await killNode(node.id);
    const again = await link(node, { hello: { sessions: [id] } });
    expect((await again.next("assign")).session.id).toBe(id);
    expect((await read(key, id)).body.session_users[0].connected).toBe(true);
  });

  test("and whose node does not come back is found lost by its alarm, though no link was seen to close", async () => {
    stopClockAhead();
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { session_id: id } = (await create(key, two)).body;
    await killNode(node.id);
    // The alarm that was set for the ping.
    advance(25);
    await runDurableObjectAlarm(nodeStub(node.id));
    advance(31);
    await runDurableObjectAlarm(nodeStub(node.id));
    await eventually(async () => expect((await read(key, id)).status).toBe(404));
  });

  test("while it is told of a revocation has the caller know by when that holds, and the node know it when it is back", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { session_id: id, session_users } = (await create(key, two)).body;
    node.manner.mute = ["assign"];
    const told = node.told.length;
    const asked = revoke(key, id, session_users[1].authorization_token);
    await eventually(() => expect(node.told.length).toBeGreaterThan(told));
    await killNode(node.id);
    const answer = await asked;
    expect(answer.status).toBe(200);
    expect(Date.parse(answer.body.effective_by)).toBeGreaterThan(Date.now());
    const again = await link(node);
    expect((await again.next("assign")).session.users).toHaveLength(1);
  });
});

test("a node that took a session, and whose object did not say so, is told that it does not have it", async () => {
  const { key } = await newOrganisation();
  const node = await newLinkedNode(key);
  const { place } = RelayNodeObject.prototype;
  vi.spyOn(RelayNodeObject.prototype, "place").mockImplementationOnce(async function (
    this: RelayNodeObject,
    ...asked
  ) {
    await place.apply(this, asked);
    throw new Error("this object is broken");
  });
  expect((await create(key, two)).body.status).toBe("Error");
  expect(await node.next("end")).toMatchObject({ reason: "passed over" });
  expect(node.sessions.size).toBe(0);
});

describe("while D1 is down", () => {
  test("a create finds the nodes that were read last", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    await create(key, two);
    const made = await whileD1Refuses(/./, () => create(key, two));
    expect(made.body).toMatchObject({ status: "READY", relay: { host: "play.example.com" } });
    expect(node.sessions.size).toBe(2);
  });

  test("a create that insists on a node is 503 where none was read before", async () => {
    const { key } = await newOrganisation();
    await list(key);
    const answer = await whileD1Refuses(/./, () => create(key, { ...two, transport: "udp" }));
    expect(answer.status).toBe(503);
  });

  test("a node links and takes sessions, and is shown as online when D1 is back", async () => {
    const tenant = await newOrganisation();
    const { key } = tenant;
    const made = await makeNode(key);
    const node = await whileD1Refuses(/update "relay_nodes"/, async () => {
      const linked = await link(made);
      await linked.ping();
      return linked;
    });
    expect((await create(key, two)).body.relay.ports.server.protocol).toBe("WS");
    await eventually(async () => {
      await runDurableObjectAlarm(nodeStub(node.id));
      expect((await call("GET", `${NODES}/${node.id}`, { key })).body.status).toBe("online");
    });
    expect((await create(key, two)).body.relay.ports.server.protocol).toBe("UDP");
    const recorded = (await settledIn(tenant.id)).filter(({ event }) => "relayNode" in event.data);
    expect(recorded.map(({ event }) => event.type)).toEqual(["relay-node.online"]);
  });
});

test("a node whose object cannot be reached is not deleted, and is when the DELETE is sent again", async () => {
  const { key } = await newOrganisation();
  const node = await newLinkedNode(key);
  const removed = vi.spyOn(RelayNodeObject.prototype, "remove");
  removed.mockImplementation(async () => {
    throw new Error("this object is broken");
  });
  expect((await call("DELETE", `${NODES}/${node.id}`, { key })).status).toBe(503);
  removed.mockRestore();
  expect((await call("DELETE", `${NODES}/${node.id}`, { key })).status).toBe(204);
  expect((await node.closed).code).toBe(4410);
});

test("a session that cannot be told that its node is lost is told by the next alarm", async () => {
  const { key } = await newOrganisation();
  const node = await newLinkedNode(key);
  const { session_id: id } = (await create(key, two)).body;
  const lost = vi.spyOn(SessionObject.prototype, "nodeLost");
  lost.mockImplementationOnce(async () => {
    throw new Error("this object is broken");
  });
  node.send({ type: "leaving" });
  await node.closed;
  await eventually(async () => {
    await runDurableObjectAlarm(nodeStub(node.id));
    expect(lost.mock.calls.length).toBeGreaterThan(1);
  });
  await eventually(async () => expect((await read(key, id)).status).toBe(404));
});

test("a session that is over, and that its object never took from the node, is ended when the next one is placed", async () => {
  const { key } = await newOrganisation();
  const node = await newLinkedNode(key);
  const id = "0378bc592661-S";
  const expiresAt = Date.now() - 120_000;
  const left = { id, idleSeconds: 300, expiresAt, users: [], hasSockets: false };
  expect(await nodeStub(node.id).place(left, null)).toMatchObject({ ok: true });
  expect((await create(key, two)).body.status).toBe("READY");
  await eventually(() => expect([...node.sessions.keys()]).not.toContain(id));
  expect(node.sessions.size).toBe(1);
});

test("a session that ends by its own clock is taken from the node", async () => {
  stopClockAhead();
  const { key } = await newOrganisation();
  const node = await newLinkedNode(key);
  const { session_id: id } = (await create(key, { ...two, ttl_seconds: 60 })).body;
  advance(61);
  await runDurableObjectAlarm(stubOf(id));
  expect(await node.next("end")).toMatchObject({ id, reason: "api" });
});
