/**
 * Every route of the app is behind the guard. It refuses a call without a credential, a credential
 * that cannot be a key, keys that are unknown, blocked, expired or replaced, keys without the
 * permission, and keys of another organisation. The right key gets through. The routes are read
 * from the app: the test fails for a route that has no row in the table.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { createApp } from "../../src/app";
import { newToken } from "../../src/keys/key-token";
import { PERMISSIONS } from "../../src/keys/permissions";
import { call, newOrganisation, type Tenant } from "../support/client";
import { newKey, patchKey, signIn } from "../support/keys";
import { type GoodRequest, type RouteRow, routeTable } from "../support/route-table";
import { d1CallsOf } from "../support/rows";
import { anyAddress } from "../support/sessions";

const routes = createApp()
  .routes.filter(({ method }) => method !== "ALL")
  .map(({ method, path }) => `${method} ${path}`);

test("the table of routes has a row for every route of the app, and for no other", () => {
  expect([...new Set(routes)].sort()).toEqual(Object.keys(routeTable).sort());
});

const rows = [...new Set(routes)].flatMap((route) => {
  const row = routeTable[route];
  return row ? [{ route, method: route.split(" ")[0] ?? "", row }] : [];
});
const keyed = rows.filter(({ row }) => row.guard !== "root" && row.guard !== "open");

/** Failures are limited by address: every route has an address of its own. */
function sender(method: string, row: RouteRow, { path, body }: GoodRequest) {
  const ip = anyAddress();
  return async (credential: string | null, headers: Record<string, string> = {}) => {
    const inBody = row.credential === "body";
    const sent = inBody && credential !== null ? { ...body, token: credential } : body;
    return call(method, path, {
      ip,
      headers,
      ...(credential === null || inBody ? {} : { key: credential }),
      ...(sent === undefined ? {} : { body: sent }),
    });
  };
}

/** What a key must hold to get through. */
function permissionsOf({ guard }: RouteRow): string[] {
  return guard === "any key" ? [] : [guard];
}

/**
 * A key that holds this and nothing else; for routes that only operators use, their session token.
 */
async function credentialFor(tenant: Tenant, row: RouteRow): Promise<string> {
  const { token } = await newKey(tenant, { permissions: permissionsOf(row) });
  return row.credential === "session token" ? signIn(token) : token;
}

describe.each(keyed)("$route", ({ route, method, row }) => {
  const unknownStatus = route.includes("/v1/relays/") ? 403 : 401;

  test("refuses a call without a credential, or with one that cannot be a key, and says so without a query of D1", async () => {
    const tenant = await newOrganisation();
    const send = sender(method, row, await row.request(tenant));
    const calls = await d1CallsOf(async () => {
      const nothing = await send(null);
      expect(nothing.status).toBe(row.credential === "body" ? 400 : 401);
      for (const garbage of [
        "garbage",
        "drb_qkJaB6MffYVzZXWqmcoF49yrUxP3wf0LsakQ",
        `${newToken()}0`,
        "eyJhbGciOiJub25lIn0.e30.AAAA",
      ]) {
        expect((await send(garbage)).status).toBe(401);
      }
      const basic = await send(null, { Authorization: "Basic YTpi" });
      expect(basic.status).toBe(row.credential === "body" ? 400 : 401);
    });
    expect(calls.filter((sql) => /key_tokens|api_keys/.test(sql))).toEqual([]);
  });

  test("refuses a key that is unknown, blocked, expired or replaced", async () => {
    const tenant = await newOrganisation();
    const send = sender(method, row, await row.request(tenant));
    expect((await send(newToken())).status).toBe(unknownStatus);
    const keys = [];
    for (let i = 0; i < 3; i++) keys.push(await newKey(tenant, { permissions: ["*"] }));
    const [blocked, expired, refreshed] = keys;
    if (!blocked || !expired || !refreshed) throw new Error("no keys");
    await patchKey(tenant, blocked.id, { blocked: true });
    await env.DB.prepare("update api_keys set expires_at = 1 where id = ?").bind(expired.id).run();
    await patchKey(tenant, refreshed.id, { refreshApiToken: true });
    for (const { token } of keys) expect((await send(token)).status).toBe(unknownStatus);
  });

  test("refuses a key of another organisation", async () => {
    const [tenant, other] = [await newOrganisation(), await newOrganisation()];
    const request = await row.request(tenant);
    const send = sender(method, row, request);
    const foreign = await credentialFor(other, row);
    const named = await send(foreign, { "X-Organisation-Id": String(tenant.id) });
    const unheard = await send(foreign, { "X-Organisation-Id": "999999999" });
    expect([named.status, unheard.status]).toEqual([404, 404]);
    const aboutOne = route.includes(":id") || JSON.stringify(request.body)?.includes("session_id");
    if (aboutOne) expect((await send(foreign)).status).toBe(404);
    // It still exists for its own organisation.
    expect((await send(await credentialFor(tenant, row))).status).toBe(request.status);
  });

  test("takes the right key with each spelling of the scheme, and the session token of its operator", async () => {
    const tenant = await newOrganisation();
    const { token } = await newKey(tenant, {
      permissions: [...permissionsOf(row), "operator:sign-in"],
    });
    const credentials = row.credential === undefined ? [token, await signIn(token)] : [];
    const own = [...credentials, await credentialFor(tenant, row)];
    for (const credential of own) {
      const request = await row.request(tenant);
      expect((await sender(method, row, request)(credential)).status).toBe(request.status);
    }
    if (row.credential !== undefined) return;
    for (const scheme of ["token", "Token", "Bearer", "bEARER"]) {
      const request = await row.request(tenant);
      const headers = { Authorization: `${scheme} ${token}` };
      expect((await sender(method, row, request)(null, headers)).status).toBe(request.status);
    }
  });
});

const permitted = keyed.filter(({ row }) => row.guard !== "any key");

describe.each(permitted)("$route", ({ method, row }) => {
  test("refuses a key that holds every permission but the one it needs, and names that one", async () => {
    const tenant = await newOrganisation();
    const send = sender(method, row, await row.request(tenant));
    const others = PERMISSIONS.filter((permission) => permission !== row.guard);
    const { token } = await newKey(tenant, { permissions: others });
    const answer = await send(token);
    expect(answer.status).toBe(403);
    expect(answer.text).toContain(row.guard);
  });
});

describe.each(rows.filter(({ row }) => row.guard === "root"))("$route", ({ method, row }) => {
  test("takes the root token, and no key, whatever that key holds", async () => {
    const tenant = await newOrganisation();
    const request = await row.request(tenant);
    const send = sender(method, row, request);
    expect((await send(null)).status).toBe(401);
    expect((await send(tenant.key)).status).toBe(401);
    expect((await send(await signIn(tenant.key))).status).toBe(401);
    expect((await send(env.DRAWBRIDGE_ROOT_TOKEN)).status).toBe(request.status);
  });
});

describe.each(rows.filter(({ row }) => row.guard === "open"))("$route", ({ method, row }) => {
  test("is open to everyone, and the table says why", async () => {
    const request = await row.request(await newOrganisation());
    expect((await sender(method, row, request)(null)).status).toBe(request.status);
    expect(row.why).toBeTruthy();
  });
});

test("a route for keys does not take the root token", async () => {
  for (const { method, row } of keyed) {
    const send = sender(method, row, await row.request(await newOrganisation()));
    expect((await send(env.DRAWBRIDGE_ROOT_TOKEN)).status).toBe(401);
  }
});
