/** Relay nodes on `/v1`: whose they are, what is shown of them, and the tokens with which they link. */
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { RelayNodeObject } from "../../../src/relay-nodes/object";
import { call, newOrganisation } from "../../support/client";
import { eventually } from "../../support/eventually";
import { recordedIn } from "../../support/journals";
import { insertKey } from "../../support/keys";
import { askForLink, link, makeNode, NODES, newLinkedNode } from "../../support/relay-node";
import { create } from "../../support/sessions";

const root = env.DRAWBRIDGE_ROOT_TOKEN;

describe("a relay node", () => {
  test("that is made is shown with its token once, and without it after that", async () => {
    const { key } = await newOrganisation();
    const body = { name: "Frankfurt 1", region: "weur", capacity: 50 };
    const made = await call("POST", NODES, { key, body });
    expect(made.status).toBe(201);
    const { token, ...node } = made.body;
    expect(token).toMatch(/^drbn_[A-Za-z0-9_-]{43}$/);
    expect(node).toEqual({
      id: expect.stringMatching(/^rn_[0-9a-f]{28}$/),
      name: "Frankfurt 1",
      shared: false,
      status: "never-connected",
      region: "weur",
      capacity: 50,
      version: null,
      host: null,
      ip: null,
      ports: { server: null, client: null },
      created_at: expect.any(String),
      last_seen_at: null,
      load: {
        sessions: null,
        users: null,
        datagrams_per_second: null,
        bytes_per_second: null,
        dropped_per_second: null,
        measured_at: null,
      },
    });
    const shown = await call("GET", `${NODES}/${node.id}`, { key });
    expect(shown.body).toEqual(node);
    const listed = await call("GET", NODES, { key });
    expect(listed.body).toEqual({ data: [node], next_cursor: null });
    const stored = await env.DB.prepare(
      "select (select json_group_array(digest) from relay_node_tokens) || (select json_group_array(name) from relay_nodes) as text",
    ).first<{ text: string }>();
    expect(stored?.text).not.toContain(token);
  });

  test("is shown as D1 has it, without its load, while its object does not answer", async () => {
    const { key } = await newOrganisation();
    const { id } = await newLinkedNode(key);
    const hanging = vi
      .spyOn(RelayNodeObject.prototype, "load")
      .mockImplementation(() => new Promise(() => {}));
    try {
      const shown = await call("GET", `${NODES}/${id}`, { key });
      expect(shown).toMatchObject({ status: 200, body: { id, status: "online" } });
      expect(hanging).toHaveBeenCalled();
    } finally {
      hanging.mockRestore();
    }
  });

  test.each([
    ["no name", {}],
    ["an unknown region", { name: "N", region: "moon" }],
    ["no room", { name: "N", capacity: 0 }],
    ["an unknown field", { name: "N", colour: "red" }],
  ])("is not made with %s", async (_, body) => {
    const { key } = await newOrganisation();
    expect((await call("POST", NODES, { key, body })).status).toBe(400);
  });

  test("that is linked is shown with what it says of itself, and with its load now", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    await create(key);
    await eventually(async () => {
      const { body } = await call("GET", `${NODES}/${node.id}`, { key });
      expect(body).toMatchObject({
        status: "online",
        version: "1.2.3",
        host: "play.example.com",
        ip: "203.0.113.7",
        ports: { server: 7001, client: 7002 },
        load: { sessions: 1, users: 4, datagrams_per_second: 120, bytes_per_second: 9_000 },
      });
      expect(body.last_seen_at).not.toBeNull();
    });
  });

  test("is shown in a list with the load that it said last", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const figures = { users: 3, datagrams_per_second: 50, bytes_per_second: 800 };
    node.send({ type: "load", sessions: 2, dropped_per_second: 1, ...figures });
    await eventually(async () => {
      const [listed] = (await call("GET", NODES, { key })).body.data;
      expect(listed.load).toMatchObject({ sessions: 2, dropped_per_second: 1, ...figures });
    });
  });

  test("is drained and taken back by a PATCH, and its node is told", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const patch = (draining: unknown) =>
      call("PATCH", `${NODES}/${node.id}`, { key, body: { draining } });
    expect((await patch(true)).body.status).toBe("draining");
    expect(await node.next("drain")).toEqual({ type: "drain", draining: true });
    expect((await create(key)).body.error).toBe("no-relay-node");
    expect((await create(key, { transport: "udp" })).status).toBe(503);
    expect((await patch(false)).body.status).toBe("online");
    expect((await create(key)).body.status).toBe("READY");
    expect((await patch("yes")).status).toBe(400);
  });

  test("stays drained when it links again", async () => {
    const { key } = await newOrganisation();
    const made = await makeNode(key);
    await call("PATCH", `${NODES}/${made.id}`, { key, body: { draining: true } });
    const node = await link(made);
    expect(node.told[0]).toMatchObject({ type: "welcome", draining: true });
    expect((await create(key, { transport: "udp" })).status).toBe(503);
  });
});

describe("a relay node's token", () => {
  test("that was rotated with a grace works on beside the new one, and without one no more", async () => {
    const { key } = await newOrganisation();
    const made = await makeNode(key);
    const rotate = (body: object) =>
      call("POST", `${NODES}/${made.id}:rotate-token`, { key, body });
    const second = (await rotate({ grace_seconds: 60 })).body.token;
    for (const token of [made.token, second]) expect((await askForLink(token)).status).toBe(101);
    const third = (await rotate({})).body.token;
    const statuses = [];
    for (const token of [made.token, second, third]) {
      statuses.push((await askForLink(token)).status);
    }
    expect(statuses).toEqual([401, 401, 101]);
  });

  test("that was rotated without a grace closes the link that came with it, and what runs on the node goes on with the new one", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { session_id: id } = (await create(key)).body;
    const { body } = await call("POST", `${NODES}/${node.id}:rotate-token`, { key });
    expect(await node.next("refused")).toMatchObject({ code: "token-replaced" });
    expect(await node.closed).toMatchObject({ code: 4401 });
    const again = await link({ id: node.id, token: body.token }, { hello: { sessions: [id] } });
    expect((await again.next("assign")).session.id).toBe(id);
  });

  test("has ten older ones in their grace at most", async () => {
    const { key } = await newOrganisation();
    const { id } = await makeNode(key);
    const rotate = (grace_seconds: number) =>
      call("POST", `${NODES}/${id}:rotate-token`, { key, body: { grace_seconds } });
    const statuses = [];
    for (let i = 0; i < 11; i++) statuses.push((await rotate(60)).status);
    expect(statuses).toEqual([...Array(10).fill(200), 409]);
    expect((await rotate(0)).status).toBe(200);
    expect((await rotate(60)).status).toBe(200);
  });

  test("opens nothing but links", async () => {
    const { key } = await newOrganisation();
    const { id, token } = await makeNode(key);
    const answers = await Promise.all(
      [
        ["GET", NODES],
        ["GET", `${NODES}/${id}`],
        ["PATCH", `${NODES}/${id}`],
        ["POST", "/v1/relays/sessions"],
        ["GET", "/v1/relays/sessions"],
        ["GET", "/v1/organisations"],
        ["GET", "/v1/events"],
        ["GET", "/api-keys"],
      ].map(([method = "", path = ""]) =>
        call(method, path, { key: token, ...(method === "GET" ? {} : { body: {} }) }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 401));
  });
});

describe("the owner of a relay node", () => {
  test("is an organisation or, with the root token, all of them, and none sees the other's", async () => {
    const [one, other] = [await newOrganisation(), await newOrganisation()];
    const own = await makeNode(one.key);
    const shared = await makeNode(root);
    const ids = async (key: string) =>
      (await call("GET", `${NODES}?limit=100`, { key })).body.data.map(
        ({ id }: { id: string }) => id,
      );
    expect(await ids(one.key)).toEqual([own.id]);
    expect(await ids(other.key)).toEqual([]);
    expect(await ids(root)).toContain(shared.id);
    expect(await ids(root)).not.toContain(own.id);
    for (const [key, id] of [
      [other.key, own.id],
      [one.key, shared.id],
      [root, own.id],
    ] as const) {
      const answers = [
        await call("GET", `${NODES}/${id}`, { key }),
        await call("PATCH", `${NODES}/${id}`, { key, body: { draining: true } }),
        await call("POST", `${NODES}/${id}:rotate-token`, { key }),
        await call("DELETE", `${NODES}/${id}`, { key }),
      ];
      expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
    }
    expect((await call("DELETE", `${NODES}/${shared.id}`, { key: root })).status).toBe(204);
  });

  test("needs relay-nodes:read to look and relay-nodes:write to change", async () => {
    const { id: organisation, key } = await newOrganisation();
    const { id } = await makeNode(key);
    const reader = await insertKey(organisation, { permissions: ["relay-nodes:read"] });
    const writer = await insertKey(organisation, { permissions: ["relay-nodes:write"] });
    const look = (token: string) => call("GET", `${NODES}/${id}`, { key: token });
    const change = (token: string) =>
      call("PATCH", `${NODES}/${id}`, { key: token, body: { draining: true } });
    expect([(await look(reader.token)).status, (await change(reader.token)).status]).toEqual([
      200, 403,
    ]);
    expect([(await look(writer.token)).status, (await change(writer.token)).status]).toEqual([
      403, 200,
    ]);
  });

  test("has a hundred nodes at most, and pages of them", async () => {
    const { id, key } = await newOrganisation();
    await env.DB.prepare(
      `insert into relay_nodes (organisation_id, id, created_at, name)
       with recursive n(i) as (select 0 union all select i + 1 from n where i < 98)
       select ?, 'rn_' || printf('%028x', i), 1, 'Node' from n`,
    )
      .bind(id)
      .run();
    await makeNode(key);
    const refused = await call("POST", NODES, { key, body: { name: "One more" } });
    expect([refused.status, refused.body.code]).toEqual([409, "too-many-relay-nodes"]);
    const seen = new Set<string>();
    let cursor = "";
    for (let pages = 0; pages < 4; pages++) {
      const page = (await call("GET", `${NODES}?limit=40${cursor}`, { key })).body;
      for (const node of page.data) seen.add(node.id);
      if (page.next_cursor === null) break;
      cursor = `&cursor=${page.next_cursor}`;
    }
    expect(seen.size).toBe(100);
  });

  test("makes one node with one Idempotency-Key", async () => {
    const { key } = await newOrganisation();
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const body = { name: "Once" };
    const first = await call("POST", NODES, { key, body, headers });
    const again = await call("POST", NODES, { key, body, headers });
    expect(again.body).toEqual(first.body);
    expect((await call("GET", NODES, { key })).body.data).toHaveLength(1);
  });
});

test("an organisation hears of its nodes, and nobody hears of shared ones", async () => {
  const { key } = await newOrganisation();
  const node = await newLinkedNode(key);
  const shared = await newLinkedNode(root);
  node.send({ type: "draining" });
  shared.send({ type: "leaving" });
  node.send({ type: "leaving" });
  await eventually(async () => {
    const { data } = (await call("GET", "/v1/events", { key })).body;
    const told = data.filter(({ type }: { type: string }) => type.startsWith("relay-node."));
    expect(told.map(({ type }: { type: string }) => type)).toEqual([
      "relay-node.draining",
      "relay-node.online",
    ]);
    expect(told[0].data).toEqual({
      id: node.id,
      version: expect.any(Number),
      name: "Node",
      region: null,
      status: "draining",
      host: "play.example.com",
      ip: "203.0.113.7",
      created_at: expect.any(String),
    });
  });
  const keys = await env.DB.prepare("select distinct organisation_id as id from journals").all<{
    id: number;
  }>();
  const everything = await Promise.all(keys.results.map(({ id }) => recordedIn(id)));
  expect(JSON.stringify(everything)).not.toContain(shared.id);
});
