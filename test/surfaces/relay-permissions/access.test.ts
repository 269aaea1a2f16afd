/** Who may call the surface: the guard of every call, and that nothing of another organisation exists. */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { newToken, tokenDigest, tokenShort } from "../../../src/keys/token";
import { call, newOrganisation } from "../../support/client";
import { allowBoth, at, create, register } from "../../support/permissions";

const permission = { connectionId: "A", remoteConnectionId: "B", direction: "send" };
const ONE = "/relay/permission/A/B/send";

/** Every call of the surface, with the permission that it needs. */
const CALLS = [
  ["GET", "/relay/permission", "relay-permissions:get", undefined],
  ["GET", "/relay/permission/A", "relay-permissions:get", undefined],
  ["GET", ONE, "relay-permissions:get", undefined],
  ["POST", "/relay/permission", "relay-permissions:create", permission],
  ["PUT", ONE, "relay-permissions:update", { enabled: "true" }],
  ["DELETE", ONE, "relay-permissions:delete", undefined],
  ["GET", "/connections/definition", "connections:get", undefined],
  ["POST", "/connections/definition", "connections:create", { connectionId: "new" }],
  ["DELETE", "/connections/definition/A", "connections:delete", undefined],
  ["POST", "/v1/relay-permissions:check", "relay-permissions:get", { from: "A", to: "B" }],
] as const;
const BOTH_FORMS = CALLS.flatMap(([method, path, needed, body]) =>
  (path.startsWith("/v1") ? [path] : [path, `/api/v2${path}`]).map(
    (form) => [method, form, needed, body] as const,
  ),
);

/** A key of an organisation with these permissions. */
async function keyWith(organisationId: number, ...permissions: string[]): Promise<string> {
  const token = newToken();
  const keyId = await env.DB.prepare(
    `insert into api_keys (name, organisation_ids, permissions, emails, labels, ip_allowlist,
       created_at, token_short, token_created_at) values ('k', ?, ?, '[]', '[]', '[]', 0, ?, 0)
     returning id`,
  )
    .bind(JSON.stringify([organisationId]), JSON.stringify(permissions), tokenShort(token))
    .first<number>("id");
  await env.DB.prepare("insert into key_tokens (digest, key_id) values (?, ?)")
    .bind(tokenDigest(token), keyId)
    .run();
  return token;
}

async function tenantWithRow() {
  const tenant = await newOrganisation();
  await register(tenant.key, "A");
  await create(tenant.key, "A", "B", "send");
  return tenant;
}

describe.each(BOTH_FORMS)("%s %s", (method, path, needed, body) => {
  const options = body === undefined ? {} : { body };

  test("needs a key", async () => {
    const none = await call(method, path, options);
    expect(none.status).toBe(401);
    expect(none.headers.get("Content-Type")).toBe("application/problem+json");
    const unknown = await call(method, path, { ...options, key: newToken() });
    expect(unknown.status).toBe(401);
  });

  test(`needs the permission ${needed}, and no other`, async () => {
    const tenant = await tenantWithRow();
    const others = [...new Set(CALLS.map(([, , name]) => name))].filter((name) => name !== needed);
    const without = await call(method, path, {
      ...options,
      key: await keyWith(tenant.id, ...others),
    });
    expect(without.status).toBe(403);
    expect(without.body.detail).toContain(needed);
    const withIt = await call(method, path, { ...options, key: await keyWith(tenant.id, needed) });
    expect([200, 201, 409]).toContain(withIt.status);
  });
});

test.each([
  ["GET", "/relay/permission/A", undefined],
  ["GET", ONE, undefined],
  ["PUT", ONE, { enabled: "true" }],
  ["DELETE", ONE, undefined],
  ["DELETE", "/connections/definition/A", undefined],
] as const)("%s %s of another organisation's is as if it never was", async (method, path, body) => {
  const theirs = await tenantWithRow();
  const ours = await newOrganisation();
  const options = { key: ours.key, headers: { "X-Request-Id": "same" }, ...(body ? { body } : {}) };
  const foreign = await call(method, path, options);
  const never = await call(method, path.replace("/A", "/never"), options);
  expect(foreign.status).toBe(404);
  expect(foreign.text).toBe(never.text);
  const { body: kept } = await call("GET", ONE, { key: theirs.key });
  expect(kept.permission[0].enabled).toBe("false");
});

test("lists, new rows and questions see one organisation only", async () => {
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

test("a POST with an Idempotency-Key is done once and answered alike, Location included", async () => {
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
