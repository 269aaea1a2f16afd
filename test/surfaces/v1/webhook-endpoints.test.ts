/**
 * Webhook endpoints on `/v1`: created, listed, changed, deleted, and seen by their organisation
 * only.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { MAX_ENDPOINTS } from "../../../src/webhooks/endpoint";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { settledIn } from "../../support/journals";
import { insertKey } from "../../support/keys";
import { newMailbox } from "../../support/pipeline";
import { ENDPOINTS, endpointWith, pagesOf, patch } from "../../support/webhooks";

afterEach(() => {
  vi.useRealTimers();
});

const post = (tenant: Tenant, body: unknown, headers: Record<string, string> = {}) =>
  call("POST", ENDPOINTS, { key: tenant.key, body, headers });

const countOf = async (tenant: Tenant) =>
  (await env.DB.prepare("select count(*) n from webhook_endpoints where organisation_id = ?")
    .bind(tenant.id)
    .first("n")) as number;

/** Stores so many endpoints at once. */
async function fill(tenant: Tenant, count: number): Promise<void> {
  await env.DB.prepare(
    `insert into webhook_endpoints (organisation_id, id, url, format, enabled, origin, created_at)
     with recursive n(i) as (select 1 union all select i + 1 from n where i < ?)
     select ?, 'whe_' || printf('%032x', i), 'https://example.com/', 'standard', 0, 'https://a.example', 0 from n`,
  )
    .bind(count, tenant.id)
    .run();
}

/** The errors of a refusal, by their field. */
const problemsOf = ({ body }: { body: { errors: { path: string; message: string }[] } }) =>
  Object.fromEntries(body.errors.map(({ path, message }) => [path, message]));

describe("a new endpoint", () => {
  test("has its secret and defaults in the answer; afterwards the secret has its own route", async () => {
    const tenant = await newOrganisation();
    const { url } = newMailbox();
    const { status, body } = await post(tenant, { url });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.stringMatching(/^whe_[0-9a-f]{32}$/),
      version: 1,
      url,
      description: "",
      event_types: null,
      format: "standard",
      enabled: true,
      disabled_reason: null,
      failing_since: null,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
    });
    const { secret, ...shown } = body;
    const path = `${ENDPOINTS}/${body.id}`;
    expect((await call("GET", path, { key: tenant.key })).body).toEqual(shown);
    const told = await call("GET", `${path}/secret`, { key: tenant.key });
    expect(told.body).toEqual({ secret });
  });

  test("keeps every field that was given", async () => {
    const tenant = await newOrganisation();
    const fields = {
      url: `${newMailbox().url}?team=7`,
      description: "Billing — Zürich",
      event_types: ["device.*", "session.active"],
      format: "ricloud",
      enabled: false,
    };
    const { status, body } = await post(tenant, fields);
    expect(status).toBe(201);
    expect(body).toMatchObject(fields);
    const { body: read } = await call("GET", `${ENDPOINTS}/${body.id}`, { key: tenant.key });
    expect(read).toMatchObject(fields);
  });

  test("names an event once, however often it was named", async () => {
    const tenant = await newOrganisation();
    const { body } = await post(tenant, {
      url: newMailbox().url,
      event_types: ["key.*", "key.*", "key.created"],
    });
    expect(body.event_types).toEqual(["key.*", "key.created"]);
  });

  test("is made once for an Idempotency-Key: a repeat gets the same answer, with the secret", async () => {
    const tenant = await newOrganisation();
    const body = { url: newMailbox().url };
    const headers = { "Idempotency-Key": "once" };
    const first = await post(tenant, body, headers);
    const again = await post(tenant, body, headers);
    expect(again.text).toBe(first.text);
    expect(again.body.secret).toBe(first.body.secret);
    expect(again.headers.get("Idempotent-Replayed")).toBe("true");
    expect(await countOf(tenant)).toBe(1);
    const { results } = await env.DB.prepare("select * from idempotency_keys").all();
    expect(results.length).toBeGreaterThan(0);
    expect(JSON.stringify(results)).not.toContain(first.body.secret);
  });

  test.each<[string, Record<string, unknown>, string, RegExp]>([
    ["no address", { url: undefined }, "url", /must be a string/],
    ["an address that is none", { url: 7 }, "url", /must be a string/],
    ["a field that nobody knows", { secret: "whsec_x" }, "secret", /is not a field of this call/],
    ["a format that nobody knows", { format: "xml" }, "format", /must be standard or ricloud/],
    ["a switch that is a word", { enabled: "yes" }, "enabled", /must be true or false/],
    ["a description that is too long", { description: "ä".repeat(257) }, "description", /256/],
    ["a description that turns text around", { description: "a\u202eb" }, "description", /./],
    ["no events at all", { event_types: [] }, "event_types", /leave it out for all/],
    ["events as one word", { event_types: "session.active" }, "event_types", /must be an array/],
    [
      "too many events",
      { event_types: Array(51).fill("key.*") },
      "event_types",
      /at most 50 names/,
    ],
  ])("is refused with %s, and the error names the field", async (_, fields, path, message) => {
    const tenant = await newOrganisation();
    const answer = await post(tenant, { url: newMailbox().url, ...fields });
    expect(answer.status).toBe(400);
    expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
    expect(problemsOf(answer)[path]).toMatch(message);
    expect(await countOf(tenant)).toBe(0);
  });

  test.each([
    "session.actve",
    "sessions.*",
    "session.",
    "session",
    "*",
    ".*",
    "SESSION.active",
    "",
  ])("is refused with the unknown event type %j, and the error lists the types", async (name) => {
    const tenant = await newOrganisation();
    const answer = await post(tenant, { url: newMailbox().url, event_types: ["key.*", name] });
    expect(answer.status).toBe(400);
    const message = problemsOf(answer)["event_types.1"];
    expect(message).toContain("session.active");
    expect(message).toContain("webhook-endpoint.disabled");
    expect(message).toContain("such as device.*");
  });

  test("needs the permission to write, and reading one the permission to read", async () => {
    const tenant = await newOrganisation();
    const { path } = await endpointWith(tenant);
    const { token } = await insertKey(tenant.id, { permissions: ["webhooks:read"] });
    const made = await post({ ...tenant, key: token }, { url: newMailbox().url });
    expect(made.status).toBe(403);
    expect(made.text).toContain("webhooks:write");
    expect((await call("GET", path, { key: token })).status).toBe(200);
    // A caller who reads the secret can sign as we do.
    expect((await call("GET", `${path}/secret`, { key: token })).status).toBe(403);
  });
});

describe("the most endpoints of an organisation", () => {
  test(`are ${MAX_ENDPOINTS}: one more is refused, and has room after a deletion`, async () => {
    const tenant = await newOrganisation();
    await fill(tenant, MAX_ENDPOINTS - 1);
    const { path } = await endpointWith(tenant);
    const refused = await post(tenant, { url: newMailbox().url });
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({ code: "limit-exceeded" });
    expect(refused.body.detail).toMatch(/100 webhook endpoints\. Delete one/);
    expect((await call("DELETE", path, { key: tenant.key })).status).toBe(204);
    expect((await post(tenant, { url: newMailbox().url })).status).toBe(201);
  });

  test("are kept when many are made at once: exactly the last places are filled", async () => {
    const tenant = await newOrganisation();
    await fill(tenant, MAX_ENDPOINTS - 7);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post(tenant, { url: newMailbox().url })),
    );
    const statuses = answers.map(({ status }) => status).toSorted();
    expect(statuses).toEqual([...Array(7).fill(201), ...Array(13).fill(409)]);
    expect(await countOf(tenant)).toBe(MAX_ENDPOINTS);
    const told = (await settledIn(tenant.id)).map(({ event }) => event.type);
    expect(told.filter((type) => type === "webhook-endpoint.created")).toHaveLength(7);
  });

  test("are counted for each organisation by itself", async () => {
    const [full, other] = [await newOrganisation(), await newOrganisation()];
    await fill(full, MAX_ENDPOINTS);
    expect((await post(other, { url: newMailbox().url })).status).toBe(201);
  });
});

describe("the list of endpoints", () => {
  test("is newest first, by pages of the limit, and without secrets", async () => {
    const tenant = await newOrganisation();
    const made: string[] = [];
    for (let i = 0; i < 5; i++) {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1_000 });
      made.unshift((await endpointWith(tenant)).id);
    }
    const pages = await pagesOf(tenant, `${ENDPOINTS}?limit=2`);
    expect(pages.map((page) => page.map(({ id }) => id))).toEqual([
      made.slice(0, 2),
      made.slice(2, 4),
      made.slice(4),
    ]);
    expect(pages.flat().every((endpoint) => !("secret" in endpoint))).toBe(true);
    expect(await pagesOf(tenant, `${ENDPOINTS}?`)).toHaveLength(1);
    // A page that is just full is the last one.
    expect(await pagesOf(tenant, `${ENDPOINTS}?limit=5`)).toHaveLength(1);
  });

  test.each(["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=whd_1", "colour=red"])(
    "is refused with %s",
    async (query) => {
      const tenant = await newOrganisation();
      const answer = await call("GET", `${ENDPOINTS}?${query}`, { key: tenant.key });
      expect(answer.status).toBe(400);
      expect(Object.keys(problemsOf(answer))).toEqual([query.split("=")[0]]);
    },
  );
});

describe("a change of an endpoint", () => {
  test.each<[string, Record<string, unknown>]>([
    ["url", { url: "https://example.com/other" }],
    ["description", { description: "ours" }],
    ["event_types", { event_types: ["key.created"] }],
    ["enabled", { enabled: false }],
  ])("by its %s alone leaves the rest as it was", async (_, change) => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant, { event_types: ["device.*"], description: "old" });
    const { body: before } = await call("GET", endpoint.path, { key: tenant.key });
    const { status, body } = await patch(tenant, endpoint, change);
    expect(status).toBe(200);
    expect(body).toEqual({ ...before, ...change, version: 2 });
    expect((await call("GET", endpoint.path, { key: tenant.key })).body).toEqual(body);
  });

  test("with event_types of null means all again", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant, { event_types: ["device.*"] });
    expect((await patch(tenant, endpoint, { event_types: null })).body.event_types).toBeNull();
    expect((await call("GET", endpoint.path, { key: tenant.key })).body.event_types).toBeNull();
  });

  test("to the same values changes nothing, and is no event", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    const { status, body } = await patch(tenant, endpoint, {});
    expect([status, body.version]).toEqual([200, 1]);
  });

  test("that enables an endpoint clears the reason why it was disabled", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    await env.DB.prepare(
      `update webhook_endpoints set enabled = 0, disabled_reason = 'failing', failing_since = 1
       where organisation_id = ?`,
    )
      .bind(tenant.id)
      .run();
    const { body: before } = await call("GET", endpoint.path, { key: tenant.key });
    expect(before).toMatchObject({
      enabled: false,
      disabled_reason: "failing",
      failing_since: "1970-01-01T00:00:00.001Z",
    });
    const described = await patch(tenant, endpoint, { description: "x" });
    expect(described.body).toMatchObject({ enabled: false, disabled_reason: "failing" });
    const { body } = await patch(tenant, endpoint, { enabled: true });
    expect(body).toMatchObject({ enabled: true, disabled_reason: null, failing_since: null });
  });

  test.each([
    ["format", { format: "ricloud" }],
    ["secret", { secret: "whsec_x" }],
    ["id", { id: "whe_1" }],
    ["disabled_reason", { disabled_reason: null }],
    ["event_types.0", { event_types: ["nothing.happened"] }],
    ["enabled", { enabled: null }],
    ["url", { url: null }],
  ])("is refused for %s, and changes nothing", async (path, change) => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    const answer = await patch(tenant, endpoint, { description: "new", ...change });
    expect(answer.status).toBe(400);
    expect(Object.keys(problemsOf(answer))).toEqual([path]);
    const { body } = await call("GET", endpoint.path, { key: tenant.key });
    expect(body).toMatchObject({ description: "", version: 1 });
  });

  test("is not lost among others at the same time: each sets its field and is one version", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    const changes = [
      { url: "https://example.com/raced" },
      { description: "raced" },
      { event_types: ["connection.*"] },
      { enabled: false },
    ];
    const answers = await Promise.all(changes.map((change) => patch(tenant, endpoint, change)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const versions = answers.map(({ body }) => body.version).toSorted();
    expect(versions).toEqual([2, 3, 4, 5]);
    const { body } = await call("GET", endpoint.path, { key: tenant.key });
    expect(body).toMatchObject({ ...Object.assign({}, ...changes), version: 5 });
  });
});

test("each of very many simultaneous changes is made, or is refused whole with the advice to try again", async () => {
  const tenant = await newOrganisation();
  const endpoint = await endpointWith(tenant);
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, i) => patch(tenant, endpoint, { description: `${i}` })),
  );
  const done = answers.filter(({ status }) => status === 200);
  const late = answers.filter(({ body }) => body.code === "changed-meanwhile");
  expect(done.length + late.length).toBe(30);
  const versions = done.map(({ body }) => body.version).toSorted((a, b) => a - b);
  expect(versions).toEqual(done.map((_, i) => i + 2));
  const { body } = await call("GET", endpoint.path, { key: tenant.key });
  expect(body).toEqual(done.find(({ body: { version } }) => version === body.version)?.body);
});

describe("deleting an endpoint", () => {
  test("leaves nothing to find, with any method", async () => {
    const tenant = await newOrganisation();
    const { path } = await endpointWith(tenant);
    const deleted = await call("DELETE", path, { key: tenant.key });
    expect([deleted.status, deleted.text]).toEqual([204, ""]);
    for (const method of ["DELETE", "GET", "PATCH"]) {
      const body = method === "PATCH" ? { description: "x" } : undefined;
      const answer = await call(method, path, { key: tenant.key, body });
      expect(answer.body, method).toMatchObject({
        status: 404,
        code: "webhook-endpoint-not-found",
      });
    }
  });

  test("many times at once is done once, with one event", async () => {
    const tenant = await newOrganisation();
    const { path } = await endpointWith(tenant);
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => call("DELETE", path, { key: tenant.key })),
    );
    const statuses = answers.map(({ status }) => status).toSorted();
    expect(statuses).toEqual([204, 404, 404, 404, 404, 404]);
    const told = (await settledIn(tenant.id)).map(({ event }) => event.type);
    expect(told.filter((type) => type === "webhook-endpoint.deleted")).toHaveLength(1);
  });
});

test("another organisation's endpoint answers exactly as one that never existed", async () => {
  const [owner, other] = [await newOrganisation(), await newOrganisation()];
  const { id } = await endpointWith(owner);
  const never = `whe_${"0".repeat(32)}`;
  const since = new Date(Date.now() - 60_000).toISOString();
  const calls: [string, string, unknown][] = [
    ["GET", "", undefined],
    ["PATCH", "", { description: "mine" }],
    ["PATCH", "", {}],
    ["DELETE", "", undefined],
    ["GET", "/secret", undefined],
    ["POST", "/secret:rotate", { grace_seconds: 0 }],
    ["POST", ":test", undefined],
    ["POST", ":recover", { since }],
  ];
  for (const [method, suffix, body] of calls) {
    const ask = (at: string) =>
      call(method, `${ENDPOINTS}/${at}${suffix}`, {
        key: other.key,
        body,
        headers: { "X-Request-Id": "same" },
      });
    const [theirs, none] = [await ask(id), await ask(never)];
    expect(theirs.status, `${method} ${suffix}`).toBe(404);
    expect(theirs.text).toBe(none.text.replaceAll(never, id));
  }
  expect((await call("GET", ENDPOINTS, { key: other.key })).body.data).toEqual([]);
  const { body } = await call("GET", `${ENDPOINTS}/${id}`, { key: owner.key });
  expect(body).toMatchObject({ version: 1, description: "" });
});
