/** Relay permissions of sessions on a relay node: what the node is told, and when. */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { call, newOrganisation } from "../support/client";
import { whileD1Refuses } from "../support/d1-refuses";
import { newApplication, newDevice, pair } from "../support/devices";
import { eventually } from "../support/eventually";
import { create as createPermission, register } from "../support/permissions";
import { type FakeNode, newLinkedNode } from "../support/relay-node";
import { authorize, create, read } from "../support/sessions";

/** A host and two clients with connections, one without, on a node; the host may send to client 1. */
async function gated() {
  const { key } = await newOrganisation();
  for (const id of ["host", "a", "b"]) await register(key, id);
  await createPermission(key, "host", "a", "send", "true");
  await createPermission(key, "a", "host", "receive", "true");
  const node = await newLinkedNode(key);
  const users = [
    { ip: "192.0.2.1", connection_id: "host" },
    { ip: "192.0.2.2", connection_id: "a" },
    { ip: "192.0.2.3", connection_id: "b" },
    { ip: "192.0.2.4" },
  ];
  const { session_id: id } = (await create(key, { users })).body;
  return { key, node, id };
}

/** Asks as a node does that has frames. */
async function ask(node: FakeNode, id: string) {
  node.send({ type: "permissions", id });
  const { to_clients, to_host } = await node.next("permissions");
  return { to_clients, to_host };
}

describe("a session on a relay node whose users have connections", () => {
  test("has these users marked, and nothing passes before the node has asked for the permissions", async () => {
    const { node, id } = await gated();
    const { session } = await node.next("assign");
    expect(session.users.map(({ gated }) => gated)).toEqual([true, true, true, false]);
    expect(session.permissions).toBeNull();
    expect(await ask(node, id)).toEqual({ to_clients: [1], to_host: [] });
  });

  test("has a change told to the node before it is answered", async () => {
    const { key, node, id } = await gated();
    await ask(node, id);
    await createPermission(key, "b", "host", "send", "true");
    await createPermission(key, "host", "b", "receive", "true");
    await eventually(async () => {
      const told = node.told.filter(({ type }) => type === "permissions").at(-1);
      expect(told).toMatchObject({ to_clients: [1], to_host: [2] });
    });
    const off = await call("PUT", "/relay/permission/host/a/send", {
      key,
      body: { enabled: "false" },
    });
    expect(off.status).toBe(200);
    await eventually(async () => {
      const told = node.told.filter(({ type }) => type === "permissions").at(-1);
      expect(told).toMatchObject({ to_clients: [], to_host: [2] });
    });
  });

  test("loses the users of a connection that is deleted", async () => {
    const { key, node, id } = await gated();
    await ask(node, id);
    expect((await call("DELETE", "/connections/definition/a", { key })).status).toBe(200);
    await eventually(() => {
      expect(node.sessions.get(id)?.users.map(({ n }) => n)).toEqual([0, 2, 3]);
    });
    expect((await read(key, id)).body.session_users).toHaveLength(3);
  });

  test("has no answer while D1 cannot be read, so that what the node knows grows old", async () => {
    const { node, id } = await gated();
    await whileD1Refuses(/relay_permissions/, async () => {
      node.send({ type: "permissions", id });
      node.send({
        type: "load",
        sessions: 1,
        users: 1,
        datagrams_per_second: 1,
        bytes_per_second: 1,
        dropped_per_second: 0,
      });
      await eventually(async () => {
        // What was said behind the question has been handled.
        const row = await env.DB.prepare("select load from relay_nodes where id = ?")
          .bind(node.id)
          .first<{ load: string | null }>();
        expect(row?.load).not.toBeNull();
      });
    });
    expect(node.told.filter(({ type }) => type === "permissions")).toEqual([]);
    expect(await ask(node, id)).toEqual({ to_clients: [1], to_host: [] });
  });

  test("tells another node nothing", async () => {
    const { key, id } = await gated();
    const other = await newLinkedNode(key);
    other.send({ type: "permissions", id });
    other.send({ type: "silent", id });
    expect(await other.next("end")).toMatchObject({ id });
    expect(other.told.some(({ type }) => type === "permissions")).toBe(false);
    expect((await read(key, id)).status).toBe(200);
  });
});

describe("a user with a device", () => {
  test("is told to the node only while the device is paired", async () => {
    const tenant = await newOrganisation();
    const application = await newApplication(tenant);
    const [device, stranger] = [await newDevice(), await newDevice()];
    await pair(application, device);
    const node = await newLinkedNode(tenant.key);
    const users = [
      { ip: "192.0.2.1" },
      { ip: "192.0.2.2", device_id: device.id },
      { ip: "192.0.2.3", device_id: stranger.id },
    ];
    const { session_id: id } = (await create(tenant.key, { users })).body;
    const ordinals = () => node.sessions.get(id)?.users.map(({ n }) => n);
    expect(ordinals()).toEqual([0, 1]);
    await authorize(tenant.key, id, "192.0.2.4", { device_id: device.id });
    expect(ordinals()).toEqual([0, 1, 3]);
    const removed = await call("DELETE", `${application.path}/devices/${device.id}`, {
      key: tenant.key,
    });
    expect(removed.status).toBeLessThan(300);
    await eventually(() => expect(ordinals()).toEqual([0]));
  });

  test("that is paired after its user was added is told with the event of the approval", async () => {
    const tenant = await newOrganisation();
    const application = await newApplication(tenant);
    const device = await newDevice();
    const node = await newLinkedNode(tenant.key);
    const users = [{ ip: "192.0.2.1" }, { ip: "192.0.2.2", device_id: device.id }];
    const { session_id: id } = (await create(tenant.key, { users })).body;
    const ordinals = () => node.sessions.get(id)?.users.map(({ n }) => n);
    expect(ordinals()).toEqual([0]);
    await pair(application, device);
    await eventually(() => expect(ordinals()).toEqual([0, 1]));
  });

  test("is not told while D1 does not say whether it is paired", async () => {
    const tenant = await newOrganisation();
    const application = await newApplication(tenant);
    const device = await newDevice();
    await pair(application, device);
    const node = await newLinkedNode(tenant.key);
    const users = [{ ip: "192.0.2.1" }, { ip: "192.0.2.2", device_id: device.id }];
    await whileD1Refuses(/from "devices"/, async () => {
      const { session_id: id } = (await create(tenant.key, { users })).body;
      expect(node.sessions.get(id)?.users.map(({ n }) => n)).toEqual([0]);
    });
  });
});
