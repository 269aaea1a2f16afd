/** What happens to sessions when their relay node's link is gone, and when the node is. */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { LINK_PROTOCOL } from "../../src/relay-nodes/link-protocol";
import { call, newOrganisation, type Tenant } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { eventually } from "../support/eventually";
import { kill, stubOf } from "../support/faults";
import {
  askForLink,
  type FakeNode,
  link,
  makeNode,
  NODES,
  newLinkedNode,
  nodeStub,
  open,
} from "../support/relay-node";
import { create, read, remove, revoke } from "../support/sessions";

const two = { users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }] };

afterEach(() => {
  vi.useRealTimers();
});

/** A session on a node of its own, a clock that only the test moves, and no link. */
async function withoutLink() {
  stopClockAhead();
  const tenant = await newOrganisation();
  const node = await newLinkedNode(tenant.key);
  const { body } = await create(tenant.key, two);
  node.close();
  await node.closed;
  // The object has seen it.
  await eventually(async () => {
    const status = await env.DB.prepare("select status from relay_nodes where id = ?")
      .bind(node.id)
      .first();
    expect(status).toEqual({ status: "online" });
    expect((await nodeStub(node.id).load()) ?? null).toBeNull();
  });
  return { tenant, node, id: body.session_id as string, body };
}

/** Lets the node's alarm ring, as the platform would at this moment. */
const ring = (node: Pick<FakeNode, "id">) => runDurableObjectAlarm(nodeStub(node.id));

async function errorOf(id: string): Promise<unknown> {
  const row = await env.DB.prepare("select state ->> '$.error' as error from sessions where id = ?")
    .bind(id)
    .first<{ error: string | null }>();
  return row?.error;
}

async function statusOf({ key }: Tenant, node: Pick<FakeNode, "id">): Promise<string> {
  return (await call("GET", `${NODES}/${node.id}`, { key })).body.status;
}

describe("after its node's link is gone, a session", () => {
  test("lives on for 30 seconds, and then fails with relay-node-lost", async () => {
    const { tenant, node, id } = await withoutLink();
    advance(29);
    await ring(node);
    expect((await read(tenant.key, id)).status).toBe(200);
    expect(await statusOf(tenant, node)).toBe("online");
    advance(2);
    await ring(node);
    await eventually(async () => expect(await errorOf(id)).toBe("relay-node-lost"));
    expect((await read(tenant.key, id)).status).toBe(404);
    await eventually(async () => expect(await statusOf(tenant, node)).toBe("lost"));
  });

  test("is lost by no alarm when the node is back in time", async () => {
    const { tenant, node, id } = await withoutLink();
    advance(29);
    const again = await link(node);
    await again.next("assign");
    advance(20);
    await again.ping();
    await ring(node);
    expect((await read(tenant.key, id)).status).toBe(200);
    expect(await statusOf(tenant, node)).toBe("online");
  });

  test("fails also where the objects were killed meanwhile", async () => {
    const { node, id } = await withoutLink();
    await kill(id);
    await evictDurableObject(nodeStub(node.id));
    advance(31);
    await ring(node);
    await eventually(async () => expect(await errorOf(id)).toBe("relay-node-lost"));
  });

  test("has a revocation answered with the moment at which it holds, and the node told when it is back", async () => {
    const { tenant, node, id, body } = await withoutLink();
    const token = body.session_users[1].authorization_token;
    const before = Date.now();
    advance(10);
    const revoked = await revoke(tenant.key, id, token);
    expect(revoked.status).toBe(200);
    const effectiveBy = Date.parse(revoked.body.effective_by);
    expect(effectiveBy).toBeGreaterThan(before);
    expect(effectiveBy).toBeLessThanOrEqual(before + 30_000);
    const again = await link(node, { hello: { sessions: [id] } });
    expect((await again.next("assign")).session.users).toHaveLength(1);
  });

  test("that was ended is taken from the node when it is back", async () => {
    const { tenant, node, id } = await withoutLink();
    expect((await remove(tenant.key, id)).status).toBe(204);
    const again = await link(node, { hello: { sessions: [id] } });
    expect(await again.next("end")).toMatchObject({ id });
    expect(again.sessions.size).toBe(0);
  });
});

describe("a node", () => {
  test("is told how often to ping, how long it may be blind, and what a user may send", async () => {
    const { key } = await newOrganisation();
    const { told } = await newLinkedNode(key);
    expect(told[0]).toMatchObject({
      type: "welcome",
      protocol: LINK_PROTOCOL,
      ping_seconds: 10,
      blind_seconds: 30,
      limits: {
        bytes_per_second: Number(env.RELAY_BYTES_PER_SECOND),
        burst_bytes: Number(env.RELAY_BURST_BYTES),
        messages_per_second: Number(env.RELAY_MESSAGES_PER_SECOND),
        burst_messages: Number(env.RELAY_BURST_MESSAGES),
      },
    });
  });

  test("that does not ping for 25 seconds has its link closed, and is lost 30 seconds after it was last heard", async () => {
    stopClockAhead();
    const tenant = await newOrganisation();
    const node = await newLinkedNode(tenant.key);
    const { session_id: id } = (await create(tenant.key, two)).body;
    advance(24);
    await ring(node);
    expect((await read(tenant.key, id)).body.session_users[0].connected).toBe(true);
    // The figures were the last that was heard.
    advance(26);
    await ring(node);
    expect(await node.closed).toMatchObject({ code: 4408 });
    expect((await node.next("refused")).code).toBe("unheard");
    advance(5);
    await ring(node);
    await eventually(async () => expect(await errorOf(id)).toBe("relay-node-lost"));
  });

  test("that does not answer a revocation in time has its link closed, so that the bound holds", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { session_id: id, session_users } = (await create(key, two)).body;
    node.manner.mute = ["assign"];
    const before = Date.now();
    const revoked = await revoke(key, id, session_users[1].authorization_token);
    expect(Date.parse(revoked.body.effective_by)).toBeGreaterThan(before + 30_000);
    expect(await node.closed).toMatchObject({ code: 4408 });
  });

  test("that links twice keeps the newer link, and the older one is told", async () => {
    const { key } = await newOrganisation();
    const made = await makeNode(key);
    const older = await link(made);
    const newer = await link(made);
    expect(await older.next("refused")).toMatchObject({ code: "replaced" });
    expect(await older.closed).toMatchObject({ code: 4409 });
    const { session_id: id } = (await create(key, two)).body;
    expect([newer.sessions.has(id), older.sessions.has(id)]).toEqual([true, false]);
  });

  test.each([
    ["node-too-old", LINK_PROTOCOL - 1],
    ["node-too-new", LINK_PROTOCOL + 1],
  ])("of another protocol is told that it is %s, and gets no session", async (code, protocol) => {
    const { key } = await newOrganisation();
    const node = await open(await makeNode(key), { hello: { protocol } });
    expect(await node.next("refused")).toMatchObject({ code });
    expect(await node.closed).toMatchObject({ code: 4426 });
    expect((await create(key, two)).body.relay.ports.server.protocol).toBe("WS");
  });

  test("may send types and fields that we do not know, and nothing that is malformed", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key, {}, { hello: { mood: "good" } });
    node.send({ type: "weather", rain: true });
    node.send({ type: "draining", reason: "rain" });
    await eventually(async () => {
      const { body } = await call("GET", `${NODES}/${node.id}`, { key });
      expect(body.status).toBe("draining");
    });
    node.send({ type: "silent" });
    expect(await node.next("refused")).toMatchObject({ code: "malformed" });
    expect(await node.closed).toMatchObject({ code: 4400 });
  });

  test("that leaves is offline when it carried nothing, and lost at once when it did", async () => {
    const tenant = await newOrganisation();
    const idle = await newLinkedNode(tenant.key);
    idle.send({ type: "draining" });
    idle.send({ type: "leaving" });
    await eventually(async () => expect(await statusOf(tenant, idle)).toBe("offline"));
    const busy = await newLinkedNode(tenant.key);
    const { session_id: id } = (await create(tenant.key, two)).body;
    busy.send({ type: "leaving" });
    await eventually(async () => expect(await statusOf(tenant, busy)).toBe("lost"));
    await eventually(async () => expect(await errorOf(id)).toBe("relay-node-lost"));
  });

  test("cannot link with a token that is malformed, unknown, rotated or deleted", async () => {
    const { key } = await newOrganisation();
    const made = await makeNode(key);
    const rotated = await call("POST", `${NODES}/${made.id}:rotate-token`, { key });
    const statuses = [];
    for (const token of ["drbn_short", `drbn_${"A".repeat(43)}`, made.token, key]) {
      statuses.push((await askForLink(token)).status);
    }
    expect(statuses).toEqual([401, 401, 401, 401]);
    const node = await link({ id: made.id, token: rotated.body.token });
    expect((await call("DELETE", `${NODES}/${made.id}`, { key })).status).toBe(204);
    expect(await node.closed).toMatchObject({ code: 4410 });
    expect((await askForLink(node.token)).status).toBe(401);
  });
});

test("an organisation's node that was online in the last hour keeps its sessions from being websocket ones, and later it does not", async () => {
  const { tenant, node } = await withoutLink();
  advance(31);
  await ring(node);
  await eventually(async () => expect(await statusOf(tenant, node)).toBe("lost"));
  expect((await create(tenant.key, two)).body).toMatchObject({ error: "no-relay-node" });
  await env.DB.prepare("update relay_nodes set seen_at = seen_at - 3600000 where id = ?")
    .bind(node.id)
    .run();
  expect((await create(tenant.key, two)).body.relay.ports.server.protocol).toBe("WS");
});

test("what runs on a node that is deleted fails, and the node's object keeps nothing", async () => {
  const { key } = await newOrganisation();
  const node = await newLinkedNode(key);
  const { session_id: id } = (await create(key, two)).body;
  expect((await call("DELETE", `${NODES}/${node.id}`, { key })).status).toBe(204);
  await eventually(async () => expect(await errorOf(id)).toBe("relay-node-lost"));
  expect((await call("GET", `${NODES}/${node.id}`, { key })).status).toBe(404);
  const left = await stubOf(id).nodeLost("rn_another");
  expect(left).toBeUndefined();
});
