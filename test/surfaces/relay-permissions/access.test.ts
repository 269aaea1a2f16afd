/**
 * Nothing of another organisation can be seen. That the guard is before every call is tested in
 * test/http.
 */
import { expect, test } from "vitest";
import { call, newOrganisation } from "../../support/client";
import { allowBoth, at, create, register } from "../../support/permissions";

const permission = { connectionId: "A", remoteConnectionId: "B", direction: "send" };
const ONE = "/relay/permission/A/B/send";

async function tenantWithRow() {
  const tenant = await newOrganisation();
  await register(tenant.key, "A");
  await create(tenant.key, "A", "B", "send");
  return tenant;
}

test.each([
  ["GET", "/relay/permission/A", undefined],
  ["GET", ONE, undefined],
  ["PUT", ONE, { enabled: "true" }],
  ["DELETE", ONE, undefined],
  ["GET", "/connections/definition/A", undefined],
  ["DELETE", "/connections/definition/A", undefined],
] as const)(
  "%s %s of another organisation answers as if it did not exist",
  async (method, path, body) => {
    const theirs = await tenantWithRow();
    const ours = await newOrganisation();
    const options = {
      key: ours.key,
      headers: { "X-Request-Id": "same" },
      ...(body ? { body } : {}),
    };
    const foreign = await call(method, path, options);
    const never = await call(method, path.replace("/A", "/never"), options);
    expect(foreign.status).toBe(404);
    expect(foreign.text).toBe(never.text);
    const { body: kept } = await call("GET", ONE, { key: theirs.key });
    expect(kept.permission[0].enabled).toBe("false");
  },
);

test("lists, new permissions and questions are about the caller's organisation only", async () => {
  const theirs = await newOrganisation();
  await register(theirs.key, "A", "B");
  await allowBoth(theirs.key, "A", "B");
  const ours = await newOrganisation();
  const { key } = ours;
  expect((await call("GET", "/relay/permission", { key })).body.totalSize).toBe(0);
  expect((await call("GET", "/connections/definition", { key })).body.totalSize).toBe(0);
  expect((await create(key, "A", "B", "send")).status).toBe(400);
  const check = await call("POST", "/v1/relay-permissions:check", {
    key,
    body: { from: "A", to: "B" },
  });
  expect(check.body.allowed).toBe(false);
  await register(key, "A");
  expect((await create(key, "A", "B", "send")).status).toBe(201);
});

test("a POST of a permission with an Idempotency-Key is done once and answered alike, with its Location", async () => {
  const { key } = await newOrganisation();
  await register(key, "A");
  const headers = { "Idempotency-Key": "once" };
  const first = await call("POST", "/relay/permission", { key, headers, body: permission });
  const again = await call("POST", "/relay/permission", { key, headers, body: permission });
  expect([first.status, again.status]).toEqual([201, 201]);
  expect(again.text).toBe(first.text);
  expect(again.headers.get("Location")).toBe(ONE);
  expect(again.headers.get("Idempotent-Replayed")).toBe("true");
  expect((await call("GET", at("A", "B", "send"), { key })).body.totalSize).toBe(1);
});
