/** Every number of a create has a smallest and a largest value, both allowed, and a default. */
import { describe, expect, test } from "vitest";
import { newOrganisation } from "../../support/client";
import { create, list } from "../../support/sessions";

const REGIONS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"];

describe.each([
  { field: "ttl_seconds", least: 60, most: 86_400 },
  { field: "idle_seconds", least: 10, most: 3_600 },
  { field: "max_users", least: 1, most: 64 },
])("$field of a create", ({ field, least, most }) => {
  test.each([least, most])("may be %i", async (value) => {
    const { key } = await newOrganisation();
    expect((await create(key, { [field]: value })).status).toBe(200);
  });

  test.each<[unknown]>([
    [least - 1],
    [most + 1],
    [least + 0.5],
    [0],
    [-1],
    [1e300],
    [String(least)],
    [""],
    [true],
    [[]],
    [{}],
  ])("may not be %j", async (value) => {
    const { key } = await newOrganisation();
    const { status, body } = await create(key, { [field]: value });
    expect(status).toBe(400);
    expect(body.message).toContain(`${field} must be a whole number from ${least} to ${most}`);
  });
});

describe("ttl_seconds", () => {
  test.each([
    [undefined, 3_600],
    [null, 3_600],
    [60, 60],
    [86_400, 86_400],
  ])("of %s lets the session live for %i seconds", async (ttl_seconds, lives) => {
    const { key } = await newOrganisation();
    const { body } = await create(key, { ttl_seconds });
    const span = Date.parse(body.expires_at) - Date.parse(body.created_at);
    expect(span).toBe(lives * 1_000);
  });
});

describe("max_users", () => {
  test("is 16 by default", async () => {
    const { key } = await newOrganisation();
    expect((await create(key)).body.max_users).toBe(16);
  });

  test("is raised to the number of users when a create does not name it", async () => {
    const { key } = await newOrganisation();
    const { status, body } = await create(key, { users: users(40) });
    expect(status).toBe(200);
    expect(body.max_users).toBe(40);
  });

  test("is not exceeded by a create", async () => {
    const { key } = await newOrganisation();
    expect((await create(key, { users: users(3), max_users: 3 })).status).toBe(200);
    const refused = await create(key, { users: users(4), max_users: 3 });
    expect(refused.status).toBe(400);
    expect(refused.body.message).toContain("max_users");
    expect((await list(key)).body.total_count).toBe(1);
  });

  test("is 64 at most for a session, however its users are named", async () => {
    const { key } = await newOrganisation();
    expect((await create(key, { users: users(64) })).status).toBe(200);
    expect((await create(key, { users: users(65) })).status).toBe(400);
  });
});

describe("region", () => {
  test.each(REGIONS)("may be %s, and is shown", async (region) => {
    const { key } = await newOrganisation();
    expect((await create(key, { region })).body.region).toBe(region);
  });

  test.each<[unknown]>([["moon"], [""], ["WNAM"], [1], [["weur"]]])(
    "may not be %j",
    async (region) => {
      const { key } = await newOrganisation();
      const { status, body } = await create(key, { region });
      expect(status).toBe(400);
      expect(body.message).toContain("region must be one of wnam");
    },
  );
});

function users(count: number) {
  return Array.from({ length: count }, () => ({ ip: "1.1.1.1" }));
}
