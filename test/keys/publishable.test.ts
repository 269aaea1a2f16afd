/**
 * A publishable API key hosts relay sessions and does nothing else: it tries every operation, on every surface,
 * in every way in which a key is shown. And only who holds everything can make one.
 */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { PERMISSIONS } from "../../src/keys/permissions";
import { ACTIONS } from "../../src/surfaces/polarclaw/actions";
import { answerTo, type Pair, signAcs3, signV1 } from "../support/alibaba";
import { call, newOrganisation, type Tenant } from "../support/client";
import { insertKey, keyBody, newKey, patchKey, signIn, type TestKey } from "../support/keys";
import { rowsOf, settled } from "../support/rows";
import { anyAddress } from "../support/sessions";
import {
  fullCredential,
  goodRequest,
  KEYED_OPERATIONS,
  send,
  TESTED_OPERATIONS,
} from "../support/tested-operations";

const HOST = "/v1/relays/host";
const PUBLISHABLE = { permissions: ["relays:host"] };
/** Everything that a key can hold beside it. */
const OTHERS = PERMISSIONS.filter((name) => name !== "relays:host");

let tenant: Tenant;
let key: TestKey;

beforeAll(async () => {
  tenant = await newOrganisation();
  key = await newKey(tenant, PUBLISHABLE);
});

describe("a publishable key", () => {
  test("hosts a session", async () => {
    const hosted = await call("POST", HOST, { key: key.token, body: {}, ip: anyAddress() });
    expect(hosted.status).toBe(200);
  });

  const others = KEYED_OPERATIONS.filter(({ id }) => id !== "hostRelaySession");

  test.each(others)("is refused $id, and nothing is done", async (at) => {
    const owner = await newOrganisation();
    const { token } = await newKey(owner, PUBLISHABLE);
    const request = await goodRequest(at, owner);
    const asked = () => send(at, request, token, { ip: anyAddress() });
    // The first use of a key is noted, and writes a row.
    await asked();
    await settled();
    const rows = await rowsOf(async () => {
      const refused = await asked();
      expect(refused.status, refused.text).toBe(403);
      expect(refused.text).toContain("publishable");
    });
    expect(rows.d1Written + rows.objectWritten).toBe(0);
    // It was a good request, and is still one.
    const done = await send(at, request, await fullCredential(at, owner), { ip: anyAddress() });
    expect(done.status, done.text).toBe(request.status);
  });

  test.each(
    TESTED_OPERATIONS.filter(
      ({ guard, operation: { caller } }) =>
        guard === "root" ||
        (guard === "handler" && caller.by === "handler" && caller.security.length > 0),
    ),
  )("is no credential for $id", async (at) => {
    const request = await goodRequest(at, tenant);
    const refused = await send(at, request, null, {
      ip: anyAddress(),
      headers: { Authorization: `token ${key.token}` },
    });
    expect([400, 401, 403, 426], refused.text).toContain(refused.status);
  });

  test.each(Object.keys(ACTIONS))(
    "is refused the action %s, by its token and by both signatures",
    async (action) => {
      const pair: Pair = key.accessKey;
      const query = { ApplicationId: "pa-00000000000000" };
      const headers = { Authorization: `token ${key.token}` };
      const path = `/?Action=${action}&Version=2017-08-01&ApplicationId=pa-00000000000000`;
      const byToken = await call("POST", path, { headers, ip: anyAddress() });
      expect([byToken.status, byToken.body.Code]).toEqual([403, "Forbidden.RAM"]);
      for (const signed of [signAcs3(pair, { action, query }), signV1(pair, { action, query })]) {
        const { status, body } = await answerTo(signed);
        expect([status, body.Code]).toEqual([403, "Forbidden.RAM"]);
      }
    },
  );

  test("cannot change itself, not even be refreshed by itself", async () => {
    for (const change of [
      { refreshApiToken: true },
      { expiresAt: null },
      { permissions: ["*"] },
      { name: "Mine" },
    ]) {
      expect((await patchKey(tenant, key.id, change, key.token)).status).toBe(403);
    }
    const gone = await call("DELETE", `/api-keys/${key.id}`, { key: key.token });
    expect(gone.status).toBe(403);
  });

  test("is good for another service only if that asks for relays:host", async () => {
    const verify = async (body: Record<string, unknown>) =>
      (await call("POST", "/v1/keys:verify", { key: tenant.key, body })).body;
    const { token } = key;
    expect(await verify({ token, permission: "relays:host" })).toMatchObject({ valid: true });
    for (const body of [{ token }, { token, permission: "accessFtp" }]) {
      expect(await verify(body)).toMatchObject({ valid: false, code: "forbidden" });
    }
  });

  test("ends the sessions of operators who signed in before it became one", async () => {
    const former = await newKey(tenant, { permissions: ["*"] });
    const operator = await signIn(former.token);
    expect((await call("GET", "/key", { key: operator })).status).toBe(200);
    expect((await patchKey(tenant, former.id, PUBLISHABLE)).status).toBe(200);
    for (const path of ["/key", "/v1/relays/sessions"]) {
      expect((await call("GET", path, { key: operator, ip: anyAddress() })).status).toBe(401);
    }
  });

  test("stays one if something else stands beside it in D1, which no call can do", async () => {
    const odd = await insertKey(tenant.id, { permissions: ["*", "relays:host", "relays:read"] });
    expect((await call("GET", "/v1/relays/sessions", { key: odd.token })).status).toBe(403);
    const hosted = await call("POST", HOST, { key: odd.token, body: {}, ip: anyAddress() });
    expect(hosted.status).toBe(200);
  });
});

describe("relays:host stands alone", () => {
  test.each([
    ["another permission", ["relays:host", "relays:read"]],
    ["all permissions", ["*", "relays:host"]],
    ["a name of your own", ["relays:host", "accessFtp"]],
    ["a name of your own that looks like one of ours", ["relays.host", "relays:host"]],
  ])("and is refused beside %s, in a create and in a change", async (_, permissions) => {
    const body = keyBody(tenant, { permissions });
    const other = await newKey(tenant);
    const rows = await env.DB.prepare("select count(*) n from api_keys").first("n");
    for (const refused of [
      await call("POST", "/api-keys", { key: tenant.key, body }),
      await patchKey(tenant, other.id, { permissions }),
      await patchKey(tenant, key.id, { permissions }),
    ]) {
      expect([refused.status, refused.body.code]).toEqual([400, "invalid-body"]);
      expect(refused.body.errors).toEqual([
        { path: "permissions", message: expect.stringContaining("relays:host alone") },
      ]);
    }
    expect(await env.DB.prepare("select count(*) n from api_keys").first("n")).toBe(rows);
    expect((await call("GET", "/v1/relays/sessions", { key: other.token })).status).toBe(200);
  });

  test("and may be named twice", async () => {
    const body = keyBody(tenant, { permissions: ["relays:host", "relays:host"] });
    const made = await call("POST", "/api-keys", { key: tenant.key, body });
    expect([made.status, made.body.permissions]).toEqual([201, ["relays:host"]]);
  });

  test("so that nobody without * can make or give such a key, or give it more use", async () => {
    const manager = await newKey(tenant, { permissions: OTHERS });
    const made = await call("POST", "/api-keys", {
      key: manager.token,
      body: keyBody(tenant, PUBLISHABLE),
    });
    expect([made.status, made.body.code]).toEqual([403, "permission-not-held"]);
    const other = await newKey(tenant);
    const given = await patchKey(tenant, other.id, PUBLISHABLE, manager.token);
    expect([given.status, given.body.code]).toEqual([403, "permission-not-held"]);
    const refreshed = await patchKey(tenant, key.id, { refreshApiToken: true }, manager.token);
    expect([refreshed.status, refreshed.body.code]).toEqual([403, "key-holds-more"]);
  });

  test("and can be blocked by whoever manages keys", async () => {
    const manager = await newKey(tenant, { permissions: OTHERS });
    const leaked = await newKey(tenant, PUBLISHABLE);
    expect((await patchKey(tenant, leaked.id, { blocked: true }, manager.token)).status).toBe(200);
    expect((await call("POST", HOST, { key: leaked.token, ip: anyAddress() })).status).toBe(403);
  });
});
