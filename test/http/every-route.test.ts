/**
 * Every operation is behind its guard. It refuses a call without a credential, a credential that cannot be a
 * key, keys that are unknown, blocked, expired or replaced, keys without the permission, and keys of another
 * organisation. The right key gets through. That every route is an operation is tested in
 * `test/openapi/operations.test.ts`.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { newToken } from "../../src/keys/key-token";
import { HOST_SESSIONS, PERMISSIONS } from "../../src/keys/permissions";
import { securityOf } from "../../src/openapi/refusals";
import { newOrganisation, type Tenant } from "../support/client";
import { newKey, patchKey, signIn } from "../support/keys";
import { REQUEST_ROWS } from "../support/requests/all";
import { d1CallsOf } from "../support/rows";
import { anyAddress } from "../support/sessions";
import {
  type GoodRequest,
  goodRequest,
  KEYED_OPERATIONS,
  send,
  TESTED_OPERATIONS,
  type TestedOperation,
} from "../support/tested-operations";

test("every row of the requests is that of an operation", () => {
  const ids = TESTED_OPERATIONS.map(({ id }) => id);
  expect(Object.keys(REQUEST_ROWS).filter((id) => !ids.includes(id))).toEqual([]);
});

/** A caller of one request. Failures are limited by address: each has an address of its own. */
function sender(at: TestedOperation, request: GoodRequest) {
  const ip = anyAddress();
  return (credential: string | null, headers: Record<string, string> = {}) =>
    send(at, request, credential, { ip, headers });
}

/** What a key must hold to get through. */
function permissionsOf({ guard }: TestedOperation): string[] {
  return guard === "any key" ? [] : [guard];
}

/**
 * A key that holds this and nothing else; for operations that only operators use, their session token.
 */
async function credentialFor(tenant: Tenant, at: TestedOperation): Promise<string> {
  const { token } = await newKey(tenant, { permissions: permissionsOf(at) });
  return at.isForOperators ? signIn(token) : token;
}

/** Whether a request is about one thing that another organisation does not have. */
function isAboutOne({ id, operation }: TestedOperation, { body = {} }: GoodRequest): boolean {
  // A connector of the same type is another one in each organisation, and this makes it.
  if (id === "putConnector") return false;
  return operation.path.includes("{") || "session_id" in body;
}

describe.each(KEYED_OPERATIONS)("$id", (at) => {
  const { unknownKeyStatus } = at.surface;
  const withoutKey = at.keyIn === "body" ? 400 : 401;

  test("refuses a call without a credential, or with one that cannot be a key, and says so without a query of D1", async () => {
    const tenant = await newOrganisation();
    const call = sender(at, await goodRequest(at, tenant));
    const calls = await d1CallsOf(async () => {
      const nothing = await call(null);
      expect(nothing.status).toBe(withoutKey);
      for (const garbage of [
        "garbage",
        "drb_qkJaB6MffYVzZXWqmcoF49yrUxP3wf0LsakQ",
        `${newToken()}0`,
        "eyJhbGciOiJub25lIn0.e30.AAAA",
      ]) {
        expect((await call(garbage)).status).toBe(401);
      }
      const basic = await call(null, { Authorization: "Basic YTpi" });
      expect(basic.status).toBe(withoutKey);
    });
    expect(calls.filter((sql) => /key_tokens|api_keys/.test(sql))).toEqual([]);
  });

  test("refuses a key that is unknown, blocked, expired or replaced", async () => {
    const tenant = await newOrganisation();
    const call = sender(at, await goodRequest(at, tenant));
    expect((await call(newToken())).status).toBe(unknownKeyStatus);
    const keys = [];
    for (let i = 0; i < 3; i++) keys.push(await newKey(tenant, { permissions: ["*"] }));
    const [blocked, expired, refreshed] = keys;
    if (!blocked || !expired || !refreshed) throw new Error("no keys");
    await patchKey(tenant, blocked.id, { blocked: true });
    await env.DB.prepare("update api_keys set expires_at = 1 where id = ?").bind(expired.id).run();
    await patchKey(tenant, refreshed.id, { refreshApiToken: true });
    for (const { token } of keys) expect((await call(token)).status).toBe(unknownKeyStatus);
  });

  test("refuses a key of another organisation", async () => {
    const [tenant, other] = [await newOrganisation(), await newOrganisation()];
    const request = await goodRequest(at, tenant);
    const call = sender(at, request);
    const foreign = await credentialFor(other, at);
    const named = await call(foreign, { "X-Organisation-Id": String(tenant.id) });
    const unheard = await call(foreign, { "X-Organisation-Id": "999999999" });
    expect([named.status, unheard.status]).toEqual([404, 404]);
    if (isAboutOne(at, request)) expect((await call(foreign)).status).toBe(404);
    // It still exists for its own organisation.
    expect((await call(await credentialFor(tenant, at))).status).toBe(request.status);
  });

  test("takes the right key with each spelling of the scheme, and the session token of its operator", async () => {
    const tenant = await newOrganisation();
    // What makes a key publishable stands alone: only a key that may do everything can sign in, too.
    const isForPublishable = at.guard === HOST_SESSIONS;
    const { token } = await newKey(tenant, {
      permissions: isForPublishable ? ["*"] : [...permissionsOf(at), "operator:sign-in"],
    });
    const takesBoth = at.keyIn === "header" && !at.isForOperators;
    const credentials = takesBoth ? [token, await signIn(token)] : [];
    const own = [...credentials, await credentialFor(tenant, at)];
    for (const credential of own) {
      const request = await goodRequest(at, tenant);
      expect((await sender(at, request)(credential)).status).toBe(request.status);
    }
    if (!takesBoth) return;
    for (const scheme of ["token", "Token", "Bearer", "bEARER"]) {
      const request = await goodRequest(at, tenant);
      const headers = { Authorization: `${scheme} ${token}` };
      expect((await sender(at, request)(null, headers)).status).toBe(request.status);
    }
  });
});

const permitted = KEYED_OPERATIONS.filter(({ guard }) => guard !== "any key");

describe.each(permitted)("$id", (at) => {
  test("refuses a key that holds every permission but the one it needs, and names that one", async () => {
    const tenant = await newOrganisation();
    const call = sender(at, await goodRequest(at, tenant));
    const others = PERMISSIONS.filter(
      (permission) => permission !== at.guard && permission !== HOST_SESSIONS,
    );
    const { token } = await newKey(tenant, { permissions: others });
    const answer = await call(token);
    expect(answer.status).toBe(403);
    expect(answer.text).toContain(at.guard);
  });
});

describe.each(TESTED_OPERATIONS.filter(({ guard }) => guard === "root"))("$id", (at) => {
  test("takes the root token, and no key, whatever that key holds", async () => {
    const tenant = await newOrganisation();
    const request = await goodRequest(at, tenant);
    const call = sender(at, request);
    expect((await call(null)).status).toBe(401);
    expect((await call(tenant.key)).status).toBe(401);
    expect((await call(await signIn(tenant.key))).status).toBe(401);
    expect((await call(env.DRAWBRIDGE_ROOT_TOKEN)).status).toBe(request.status);
  });
});

const handled = TESTED_OPERATIONS.filter(({ guard }) => guard === "handler");

/** Whether an operation names no credential that its handler would check. */
function isOpen({ operation: { caller } }: TestedOperation): boolean {
  return caller.by === "handler" && caller.security.length === 0;
}

describe.each(handled.filter(isOpen))("$id", (at) => {
  test("is open to everyone, and is described", async () => {
    const request = await goodRequest(at, await newOrganisation());
    const answer = await sender(at, request)(null);
    expect(answer.status).toBe(request.status);
    expect(answer.status).toBeLessThan(300);
    expect(at.operation.description).toBeTruthy();
  });
});

// A websocket asks for its tokens when it is opened, which no request of these tests does:
// `test/relay/admission.test.ts` has them.
const checked = handled.filter((at) => !isOpen(at) && !(101 in at.operation.answers));

describe.each(checked)("$id", (at) => {
  test("refuses a call without a credential, and says that it is missing", async () => {
    const answer = await sender(at, await goodRequest(at, await newOrganisation()))(null);
    const { text } = answer;
    expect([400, 401], text).toContain(answer.status);
    expect(text).toMatch(/Authorization|poll_token|webhook-id|not signed/);
  });
});

test("an operation for keys does not take the root token", async () => {
  const onlyForKeys = KEYED_OPERATIONS.filter(
    ({ operation }) => !securityOf(operation).includes("rootToken"),
  );
  for (const at of onlyForKeys) {
    const call = sender(at, await goodRequest(at, await newOrganisation()));
    expect((await call(env.DRAWBRIDGE_ROOT_TOKEN)).status, at.id).toBe(401);
  }
});
