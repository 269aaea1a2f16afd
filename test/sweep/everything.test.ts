/** Nothing of a deleted organisation stays in any table, whatever it had. */
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { call, newOrganisation } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { newEndpoint } from "../support/endpoints";
import { eventually, newMailbox } from "../support/pipeline";
import { newLinkedNode } from "../support/relay-node";
import { runSweep } from "../support/sweep";

afterEach(() => {
  vi.useRealTimers();
});

/** What the set-up has filled, so that the sweep has something to empty. */
const FILLED = [
  "applications",
  "connections",
  "connectors",
  "journals",
  "organisation_keys",
  "relay_node_tokens",
  "relay_nodes",
  "relay_permission_counts",
  "relay_permissions",
  "session_connections",
  "session_counts",
  "sessions",
  "sources",
  "users",
  "webhook_endpoints",
  "webhook_recoveries",
];

/** How many rows of an organisation there are, in each table that names organisations. */
async function rowsOf(organisationId: number): Promise<Record<string, number>> {
  const tables = await env.DB.prepare(
    "select name from sqlite_master where type = 'table' and sql like '%`organisation_id`%'",
  ).all<{ name: string }>();
  const names = tables.results.map(({ name }) => name);
  const counts = await env.DB.batch<{ n: number }>(
    names.map((name) =>
      env.DB.prepare(`select count(*) as n from ${name} where organisation_id = ?`).bind(
        organisationId,
      ),
    ),
  );
  const named = names.map((name, i) => [name, counts[i]?.results[0]?.n ?? 0] as const);
  return Object.fromEntries(named.filter(([, n]) => n > 0));
}

test("a day after its deletion an organisation that had something of everything has no row left", async () => {
  const { id, key } = await newOrganisation();
  const post = async (path: string, body: object, method = "POST") => {
    const answer = await call(method, path, { key, body, headers: { "Ricloud-Await": "5" } });
    expect(answer.status, `${path}: ${answer.text}`).toBeLessThan(300);
    return answer.body;
  };
  const endpoint = await newEndpoint({ id, key, webhookSecret: "" }, newMailbox());
  await post(`/v1/webhooks/endpoints/${endpoint.id}:recover`, {
    since: new Date(Date.now() - 60_000).toISOString(),
  });
  await post("/connections/definition", { connectionId: "A" });
  await post("/relay/permission", {
    connectionId: "A",
    remoteConnectionId: "B",
    direction: "send",
  });
  await post("/v1/relays/sessions", { users: [{ ip: "192.0.2.1", connection_id: "A" }] });
  await post("/v1/connectors/a.b", { url: "http://127.0.0.1:9/" }, "PUT");
  const user = await post("/users", { identifier: "jo" });
  const source = { user: user.id, type: "mocks.mock", identifier: "jo" };
  await post("/sessions", { source, payload: { password: "abcd1234" } });
  const node = await newLinkedNode(key);
  const application = await post("/v1/applications", { name: "Gateway" });
  expect(application.id).toBeDefined();
  await eventually(async () => {
    const before = await rowsOf(id);
    expect(Object.keys(before)).toEqual(expect.arrayContaining(FILLED));
    expect(before.owed_events).toBeUndefined();
  });

  await call("DELETE", `/v1/organisations/${id}`, { key: env.DRAWBRIDGE_ROOT_TOKEN });
  stopClockAhead();
  // What arrives late, and what is kept for a day, is removed in one of these runs.
  for (const seconds of [0, 7_200, 86_400]) {
    advance(seconds);
    await runSweep();
  }
  expect(await rowsOf(id)).toEqual({});
  expect(await node.closed).toMatchObject({ code: 4410 });
  const { results } = await env.DB.prepare("select id from organisations where id = ?")
    .bind(id)
    .all();
  expect(results).toEqual([]);
});
