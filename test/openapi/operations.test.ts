/**
 * The operations are the whole API: every route of the app is an operation that `openapi.json` describes,
 * and the example of each is sent and answered as described. That all other traffic of the tests is, too,
 * is checked by `test/support/check-description.ts`.
 */
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import document from "../../openapi.json";
import { createApp, surfaceAt } from "../../src/app";
import type { Operation } from "../../src/http/operation";
import { PERMISSIONS } from "../../src/keys/permissions";
import { securityOf } from "../../src/openapi/refusals";
import { OPERATIONS } from "../../src/surfaces/all";
import { type Answer, newOrganisation, type Tenant } from "../support/client";
import { signIn } from "../support/keys";
import { deliveryRows, eventually } from "../support/pipeline";
import { anyAddress } from "../support/sessions";
import { callOperation, fillPath } from "../support/tested-operations";

test("every route of the app is an operation, and every operation is a route", () => {
  const routes = createApp().routes.map(({ method, path }) => `${method} ${path}`);
  const declared = OPERATIONS.map(({ method, path }) => `${method} ${path}`);
  expect(routes.sort()).toEqual(declared.sort());
  expect(new Set(routes).size).toBe(routes.length);
});

test("every operation has the surface of its path, whatever its parameters are", () => {
  for (const { path } of OPERATIONS) {
    for (const value of ["x", "1", "link", "a:b"]) {
      expect(surfaceAt(path.replace(/\{\w+\}/g, value))).toBe(surfaceAt(path));
    }
  }
});

test("every operation is one handler for Hono, which composes no chain for it", () => {
  const { router } = createApp();
  for (const { method, path } of OPERATIONS) {
    expect(router.match(method, path.replace(/\{\w+\}/g, "x"))[0]).toHaveLength(1);
  }
});

test("openapi.json describes every operation once, and nothing else", () => {
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, { operationId }]) => `${operationId}: ${method.toUpperCase()} ${path}`,
    ),
  );
  const declared = OPERATIONS.map(({ id, method, path }) => `${id}: ${method} ${path}`);
  expect(described.sort()).toEqual(declared.sort());
  expect(new Set(OPERATIONS.map(({ id }) => id)).size).toBe(OPERATIONS.length);
});

test("every permission is needed by an operation, or named in the description of one", () => {
  const needed = OPERATIONS.flatMap(({ caller, description = "" }) => [
    ...("permission" in caller && caller.permission !== null ? [caller.permission] : []),
    ...PERMISSIONS.filter((permission) => description.includes(`\`${permission}\``)),
  ]);
  expect([...new Set(needed)].sort()).toEqual([...PERMISSIONS].sort());
});

describe("the example of every operation has the form that is described, and its answer too", () => {
  let tenant: Tenant;

  beforeAll(async () => {
    tenant = await newOrganisation();
    // The addresses in examples lead nowhere: nothing is sent there.
    vi.spyOn(globalThis, "fetch").mockImplementation(async () => new Response(null));
  });

  // What the examples cause is sent while `fetch` is still replaced.
  afterAll(async () => {
    await eventually(async () => {
      const owed = await env.DB.prepare("select id from owed_events where organisation_id = ?")
        .bind(tenant.id)
        .all();
      expect(owed.results).toEqual([]);
      const rows = await deliveryRows(tenant);
      expect(rows.length).toBeGreaterThan(0);
      expect(rows.filter(({ status }) => status === "pending")).toEqual([]);
    });
  });

  // In the order of the document, in one organisation: an example may name what an earlier one has made.
  test.each(OPERATIONS)("$id", async (operation) => {
    const answer = await send(operation, tenant);
    // What the example names need not exist. A credential that only a handler can check is not sent.
    const refusals = operation.caller.by === "handler" ? [401, 403, 404, 409, 426] : [404, 409];
    const isFine = answer.status < 300 || refusals.includes(answer.status);
    expect(isFine, `${answer.status} ${answer.text}`).toBe(true);
  });
});

/** Sends the example, with a credential that may do everything. */
async function send(operation: Operation, tenant: Tenant): Promise<Answer> {
  const { params = {}, query = {}, body } = operation.example;
  const key = await credentialOf(operation, tenant);
  return callOperation(operation, fillPath(operation, params, query), {
    ip: anyAddress(),
    ...(key === undefined ? {} : { key }),
    body,
  });
}

async function credentialOf(operation: Operation, { key }: Tenant) {
  // Only who has signed in can sign out.
  if (operation.id === "deleteSessionToken") return signIn(key);
  const security = securityOf(operation);
  if (security.includes("rootToken")) return env.DRAWBRIDGE_ROOT_TOKEN;
  return security.includes("apiKey") ? key : undefined;
}
