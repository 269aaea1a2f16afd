/** Which relay node a session is placed on: what Cloudflare and callers say of places, and how many are asked. */
import { env, exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { call, newOrganisation, ORIGIN } from "../support/client";
import { eventually } from "../support/eventually";
import { type FakeNode, type Manner, NODES, newLinkedNode } from "../support/relay-node";
import { create, SESSIONS } from "../support/sessions";

const two = { users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }] };

/** What Cloudflare says of where a connection comes from. */
const PARIS = { latitude: "48.9", longitude: "2.4" };
const FRANKFURT = { latitude: "50.1", longitude: "8.7" };
const SYDNEY = { latitude: "-33.9", longitude: "151.2" };

/** A node that D1 shows as online, so that creates see it. */
async function onlineNode(key: string, body: object = {}, manner: Manner = {}): Promise<FakeNode> {
  const node = await newLinkedNode(key, { ...body }, manner);
  await eventually(async () => {
    expect((await call("GET", `${NODES}/${node.id}`, { key })).body.status).toBe("online");
  });
  return node;
}

/** Makes a session as a caller at this place; gives the name or address of its node. */
async function hostFor(key: string, cf: Record<string, string>, more: object = {}) {
  const request = new Request<unknown, CfProperties>(ORIGIN + SESSIONS, {
    method: "POST",
    headers: { Authorization: `token ${key}` },
    body: JSON.stringify({ ...two, ...more }),
    cf,
  });
  const made = await (await exports.default.fetch(request)).json<{ relay: { host: string } }>();
  return made.relay.host;
}

describe("a session is on the node that is nearest", () => {
  test("to its caller, or to its region if it names one, whichever was made first", async () => {
    const { key } = await newOrganisation();
    for (const [host, cf] of [
      ["frankfurt.example", FRANKFURT],
      ["sydney.example", SYDNEY],
    ] as const) {
      await onlineNode(key, {}, { cf, hello: { host } });
    }
    expect(await hostFor(key, PARIS)).toBe("frankfurt.example");
    expect(await hostFor(key, SYDNEY)).toBe("sydney.example");
    expect(await hostFor(key, PARIS, { region: "oc" })).toBe("sydney.example");
    expect(await hostFor(key, SYDNEY, { region: "weur" })).toBe("frankfurt.example");
  });

  test("and a node is where its owner says, not where Cloudflare sees it", async () => {
    const { key } = await newOrganisation();
    const said = { cf: PARIS, hello: { host: "said-to-be-in-oceania.example" } };
    await onlineNode(key, { region: "oc" }, said);
    await onlineNode(key, {}, { cf: FRANKFURT, hello: { host: "frankfurt.example" } });
    expect(await hostFor(key, PARIS)).toBe("frankfurt.example");
    expect(await hostFor(key, SYDNEY)).toBe("said-to-be-in-oceania.example");
  });
});

test("of two nodes in one place, the less loaded one gets the next session", async () => {
  const { key } = await newOrganisation();
  const nodes = [await onlineNode(key, { capacity: 4 }), await onlineNode(key, { capacity: 4 })];
  for (let each = 1; each <= 3; each++) {
    for (let i = 0; i < 2; i++) {
      expect((await create(key, two)).body.status).toBe("READY");
      // Creates see it in D1.
      await eventually(async () => {
        for (const { id, sessions } of nodes) {
          const row = await env.DB.prepare("select fill from relay_nodes where id = ?")
            .bind(id)
            .first();
          expect(row).toEqual({ fill: sessions.size / 4 });
        }
      });
    }
    expect(nodes.map(({ sessions }) => sessions.size)).toEqual([each, each]);
  }
});

test("three nodes are asked to take a session, and no fourth", async () => {
  const { key } = await newOrganisation();
  const nodes: FakeNode[] = [];
  for (let i = 0; i < 4; i++) nodes.push(await onlineNode(key, {}, { refuses: "full" }));
  const { body } = await create(key, two);
  expect(body).toMatchObject({ status: "Error", error: "no-relay-node" });
  const asked = nodes.map(({ told }) => told.filter(({ type }) => type === "assign").length);
  expect(asked.sort()).toEqual([0, 1, 1, 1]);
});

test("a shared node that was online in the last hour keeps everybody's sessions from being websocket ones, and later it does not", async () => {
  const { key } = await newOrganisation();
  const root = env.DRAWBRIDGE_ROOT_TOKEN;
  const node = await onlineNode(root);
  node.send({ type: "leaving" });
  await eventually(async () => {
    const { body } = await call("GET", `${NODES}/${node.id}`, { key: root });
    expect(body.status).toBe("lost");
  });
  expect((await create(key, two)).body).toMatchObject({ error: "no-relay-node" });
  expect((await create(key, { ...two, transport: "udp" })).status).toBe(503);
  const wanted = await create(key, { ...two, transport: "websocket" });
  expect(wanted.body.relay.ports.server.protocol).toBe("WS");
  await env.DB.prepare("update relay_nodes set seen_at = seen_at - 3600000 where id = ?")
    .bind(node.id)
    .run();
  expect((await create(key, two)).body.relay.ports.server.protocol).toBe("WS");
});
