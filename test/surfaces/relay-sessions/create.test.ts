/**
 * A create takes the fields that Edgegap's documentation and schema show, alone or together, and
 * ignores unknown fields.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { newOrganisation } from "../../support/client";
import { createMailbox } from "../../support/receiver";
import { create, list, read } from "../../support/sessions";

const HOOK = createMailbox(env.TEST_RECEIVER_URL).url;

describe("a session is created from a body with", () => {
  test.each<[string, unknown, { users: number; webhookUrl: string | null }]>([
    ["nothing at all", {}, { users: 0, webhookUrl: null }],
    ["a webhook_url alone", { webhook_url: HOOK }, { users: 0, webhookUrl: HOOK }],
    ["users alone", { users: [{ ip: "1.1.1.1" }] }, { users: 1, webhookUrl: null }],
    ["no users", { users: [] }, { users: 0, webhookUrl: null }],
    ["an empty webhook_url", { webhook_url: "" }, { users: 0, webhookUrl: null }],
    ["empty filters", { filters: [] }, { users: 0, webhookUrl: null }],
    [
      "everything the vendor's schema has",
      {
        users: [{ ip: "1.1.1.1" }, { ip: "2.2.2.2" }],
        filters: [{ field: "region", values: ["North America"], filter_type: "any" }],
        webhook_url: HOOK,
      },
      { users: 2, webhookUrl: HOOK },
    ],
    [
      "filters of every type, with values of any kind",
      {
        filters: ["any", "all", "not"].map((filter_type) => ({
          field: "city",
          values: ["Montreal", 1, null],
          filter_type,
        })),
      },
      { users: 0, webhookUrl: null },
    ],
    [
      "null for every field",
      {
        users: null,
        filters: null,
        webhook_url: null,
        ttl_seconds: null,
        idle_seconds: null,
        max_users: null,
        metadata: null,
        region: null,
        join_code: null,
      },
      { users: 0, webhookUrl: null },
    ],
    [
      "null for what a user may have",
      { users: [{ ip: "1.1.1.1", connection_id: null, device_id: null }] },
      { users: 1, webhookUrl: null },
    ],
    [
      "fields that nobody knows, also inside users and filters",
      {
        users: [{ ip: "1.1.1.1", latitude: 45.5 }],
        filters: [{ field: "a", values: [], filter_type: "not", weight: 3 }],
        app_name: "game",
        "": 1,
      },
      { users: 1, webhookUrl: null },
    ],
  ])("%s", async (_, body, expected) => {
    const { key } = await newOrganisation();
    const created = await create(key, body);
    expect(created.status, created.text).toBe(200);
    expect(created.body.session_users).toHaveLength(expected.users);
    expect(created.body.webhook_url).toBe(expected.webhookUrl);
    expect((await read(key, created.body.session_id)).body).toEqual(created.body);
  });
});

describe("a create is refused and told what is missing or wrong, with", () => {
  test.each<[string, unknown, string]>([
    ["users that are no array", { users: { ip: "1.1.1.1" } }, "users"],
    ["a user that is null", { users: [null] }, "users.0"],
    ["a user that is an address only", { users: ["1.1.1.1"] }, "users.0"],
    ["a user without an ip", { users: [{ ip: "1.1.1.1" }, {}] }, "users.1.ip"],
    ["a user whose ip is null", { users: [{ ip: null }] }, "users.0.ip"],
    ["filters that are no array", { filters: {} }, "filters"],
    ["a filter that is text", { filters: ["city"] }, "filters.0"],
    ["a filter without a field", { filters: [{ values: [], filter_type: "any" }] }, "field"],
    ["a filter without values", { filters: [{ field: "a", filter_type: "any" }] }, "values"],
    [
      "a filter of an unknown type",
      { filters: [{ field: "a", values: [], filter_type: "some" }] },
      "filters.0.filter_type",
    ],
    ["a webhook_url that is a number", { webhook_url: 1 }, "webhook_url"],
    ["a webhook_url that is no URL", { webhook_url: "dump" }, "webhook_url"],
    ["a webhook_url on a private network", { webhook_url: "https://10.0.0.1/" }, "webhook_url"],
    ["a webhook_url of this deployment", { webhook_url: "http://localhost:8787/" }, "webhook_url"],
    ["a connection_id with a space", user({ connection_id: "a b" }), "users.0.connection_id"],
    [
      "a connection_id of 17 characters",
      user({ connection_id: "a".repeat(17) }),
      "users.0.connection_id",
    ],
    ["an empty connection_id", user({ connection_id: "" }), "users.0.connection_id"],
    ["a connection_id that is a number", user({ connection_id: 1 }), "users.0.connection_id"],
    ["a device_id that is a number", user({ device_id: 1 }), "users.0.device_id"],
    ["a join_code that is text", { join_code: "true" }, "join_code"],
  ])("%s", async (_, body, field) => {
    const { key } = await newOrganisation();
    const refused = await create(key, body);
    expect(refused.status, refused.text).toBe(400);
    expect(Object.keys(refused.body)).toEqual(["message", "code"]);
    expect(refused.body.message).toContain(field);
    expect((await list(key)).body.total_count).toBe(0);
  });

  test("all problems of its body at once", async () => {
    const { key } = await newOrganisation();
    const { body } = await create(key, {
      users: [{ ip: "nowhere" }],
      ttl_seconds: 1,
      metadata: 7,
      region: "moon",
    });
    for (const field of ["users.0.ip", "ttl_seconds", "metadata", "region"]) {
      expect(body.message).toContain(field);
    }
  });
});

describe("the users of a new session keep", () => {
  test("the order of the request, and each has a token of their own, also at one address", async () => {
    const { key } = await newOrganisation();
    const ips = ["9.9.9.9", "1.1.1.1", "9.9.9.9", "1.1.1.1", "9.9.9.9"];
    const { body } = await create(key, { users: ips.map((ip) => ({ ip })) });
    expect(body.session_users.map((one: { ip_address: string }) => one.ip_address)).toEqual(ips);
    const tokens = tokensOf(body);
    expect(new Set(tokens).size).toBe(ips.length);
    expect(tokensOf((await read(key, body.session_id)).body)).toEqual(tokens);
  });

  test("the connection and device that they were named with", async () => {
    const { key } = await newOrganisation();
    const named = { connection_id: "a.B_c-16.........", device_id: "device.1" };
    named.connection_id = named.connection_id.slice(0, 16);
    const { body } = await create(key, { users: [{ ip: "1.1.1.1", ...named }, { ip: "1.1.1.1" }] });
    expect(body.session_users[0]).toMatchObject(named);
    expect(body.session_users[1]).toMatchObject({ connection_id: null, device_id: null });
  });

  test("tokens that differ from each other and the session's own, within 31 bits, for 64 users", async () => {
    const { key } = await newOrganisation();
    const users = Array.from({ length: 64 }, () => ({ ip: "1.1.1.1" }));
    for (let i = 0; i < 5; i++) {
      const { body } = await create(key, { users });
      const tokens = [body.authorization_token, ...tokensOf(body)];
      expect(new Set(tokens).size).toBe(65);
      for (const token of tokens) {
        expect(Number.isInteger(token)).toBe(true);
        expect(token).toBeGreaterThanOrEqual(1);
        expect(token).toBeLessThanOrEqual(2 ** 31 - 1);
      }
    }
  });
});

test("two sessions of the same body share neither id nor tokens", async () => {
  const { key } = await newOrganisation();
  const body = { users: [{ ip: "1.1.1.1" }] };
  const [a, b] = [await create(key, body), await create(key, body)];
  expect(a.body.session_id).not.toBe(b.body.session_id);
  expect(a.body.authorization_token).not.toBe(b.body.authorization_token);
  expect(tokensOf(a.body)).not.toEqual(tokensOf(b.body));
});

function user(more: Record<string, unknown>) {
  return { users: [{ ip: "1.1.1.1", ...more }] };
}

function tokensOf(session: { session_users: { authorization_token: number }[] }): number[] {
  return session.session_users.map((one) => one.authorization_token);
}
