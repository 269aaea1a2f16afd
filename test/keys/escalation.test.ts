/**
 * No caller makes a key that holds more than the caller does, or changes one so. No key unblocks
 * itself. Organisations stay apart.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { forgetKey } from "../../src/keys/key-cache";
import { call, newOrganisation, type Tenant } from "../support/client";
import { overtaken } from "../support/d1";
import { joinOrganisations, keyBody, newKey, patchKey, signIn } from "../support/keys";

const MANAGER = ["keys:read", "keys:write", "relays:read", "accessFtp"];

async function manager(tenant: Tenant, overrides: Record<string, unknown> = {}) {
  return newKey(tenant, { name: "Manager", permissions: MANAGER, ...overrides });
}

const rowOf = (id: number) =>
  env.DB.prepare("select * from api_keys where id = ?").bind(id).first();

describe("a caller who manages keys", () => {
  test.each(["relays:write", "editLabels", "*", "operator:sign-in"])(
    "cannot make a key with %s, which they do not hold",
    async (permission) => {
      const tenant = await newOrganisation();
      const { token } = await manager(tenant);
      const body = keyBody(tenant, { permissions: ["relays:read", permission] });
      const answer = await call("POST", "/api-keys", { key: token, body });
      expect(answer.body).toMatchObject({ status: 403, code: "permission-not-held" });
      expect(answer.body.detail).toContain(permission);
      const list = await call("GET", "/api-keys?name=key", { key: tenant.key });
      expect(list.body.map((key: { name: string }) => key.name)).not.toContain("Key");
    },
  );

  test("can make keys with what they hold, the owner's own names too", async () => {
    const tenant = await newOrganisation();
    const { token } = await manager(tenant);
    const body = keyBody(tenant, { permissions: ["relays:read", "accessFtp"] });
    expect((await call("POST", "/api-keys", { key: token, body })).status).toBe(201);
  });

  test.each([
    ["a permission", { permissions: ["relays:read", "relays:write"] }],
    ["all permissions", { permissions: ["*"] }],
  ])("cannot give a key %s that they do not hold", async (_, change) => {
    const tenant = await newOrganisation();
    const { token } = await manager(tenant);
    const key = await newKey(tenant);
    const before = await rowOf(key.id);
    const answer = await patchKey(tenant, key.id, change, token);
    expect(answer.body).toMatchObject({ status: 403, code: "permission-not-held" });
    expect(await rowOf(key.id)).toEqual(before);
  });

  test("cannot give themselves more", async () => {
    const tenant = await newOrganisation();
    const key = await manager(tenant);
    const answer = await patchKey(tenant, key.id, { permissions: [...MANAGER, "*"] }, key.token);
    expect(answer.body.code).toBe("permission-not-held");
  });

  test.each([
    ["refreshed", { refreshApiToken: true }],
    ["unblocked", { blocked: false }],
    ["extended", { expiresAt: null }],
    ["used from anywhere", { ipAllowlist: [] }],
    ["used from more places", { ipAllowlist: ["192.0.0.0/16"] }],
    ["signed in to by others", { emails: ["mallory@example.com"] }],
    ["named otherwise", { dnsName: "mine" }],
    ["refreshed, in passing", { name: "Harmless", refreshApiToken: true }],
    ["given a permission that they hold", { permissions: ["*", "relays:read"] }],
  ])("cannot have a key that holds more than they do %s", async (_, change) => {
    const tenant = await newOrganisation();
    const { token } = await manager(tenant);
    const strong = await newKey(tenant, {
      permissions: ["*"],
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
      ipAllowlist: ["192.0.2.0/24"],
    });
    await patchKey(tenant, strong.id, { blocked: true });
    const before = await rowOf(strong.id);
    const answer = await patchKey(tenant, strong.id, change, token);
    expect(answer.body).toMatchObject({ status: 403, code: "key-holds-more" });
    expect(await rowOf(strong.id)).toEqual(before);
  });

  test("cannot let themselves sign in as a key that holds more, by adding their address", async () => {
    const tenant = await newOrganisation();
    const { token } = await newKey(tenant, { permissions: ["keys:write", "operator:sign-in"] });
    const permissions = ["relays:read", "relays:write"];
    const strong = await newKey(tenant, { permissions, emails: ["me@example.com"] });
    const change = { permissions: [...permissions, "operator:sign-in"] };
    const answer = await patchKey(tenant, strong.id, change, token);
    expect(answer.body).toMatchObject({ status: 403, code: "key-holds-more" });
    const signedIn = await env.DB.prepare("select * from operator_emails where key_id = ?")
      .bind(strong.id)
      .all();
    expect(signedIn.results).toEqual([]);
  });

  test("cannot change in which organisations a key that holds more acts", async () => {
    const [one, two] = [await newOrganisation(), await newOrganisation()];
    const { id, token } = await manager(one);
    await joinOrganisations(id, [one.id, two.id]);
    forgetKey(id);
    const strong = await newKey(one, { permissions: ["*"] });
    await joinOrganisations(strong.id, [one.id, two.id]);
    for (const organizationsIds of [[two.id, one.id], [two.id]]) {
      const answer = await patchKey(one, strong.id, { organizationsIds }, token);
      expect(answer.body).toMatchObject({ status: 403, code: "key-holds-more" });
    }
    expect((await patchKey(one, strong.id, { organizationsIds: [one.id] }, token)).status).toBe(
      200,
    );
  });

  test("can block, narrow and delete a key that holds more", async () => {
    const tenant = await newOrganisation();
    const { token } = await manager(tenant);
    const strong = await newKey(tenant, { permissions: ["relays:write", "relays:read"] });
    for (const change of [
      { name: "Stopped" },
      { blocked: true },
      { ipAllowlist: ["192.0.2.0/24"] },
      { permissions: ["relays:write"] },
    ]) {
      const answer = await patchKey(tenant, strong.id, change, token);
      expect(answer.status, answer.text).toBe(200);
    }
    expect((await call("DELETE", `/api-keys/${strong.id}`, { key: token })).status).toBe(200);
  });

  test("cannot give away what they lost a moment ago, though an isolate still has the older copy", async () => {
    const tenant = await newOrganisation();
    const key = await manager(tenant);
    await call("GET", "/api-keys", { key: key.token });
    // The change was made by another isolate: this one still has what the key held before.
    await env.DB.prepare("update api_keys set permissions = ? where id = ?")
      .bind(JSON.stringify(["keys:write"]), key.id)
      .run();
    const made = await call("POST", "/api-keys", { key: key.token, body: keyBody(tenant) });
    expect(made.body).toMatchObject({ status: 403, code: "permission-not-held" });
  });
});

describe("an API key", () => {
  test("cannot unblock itself, also where an isolate still has it as unblocked", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, { permissions: ["*"] });
    await call("GET", "/api-keys", { key: key.token });
    await env.DB.prepare("update api_keys set blocked = 1 where id = ?").bind(key.id).run();
    const answer = await patchKey(tenant, key.id, { blocked: false }, key.token);
    expect(answer.body).toMatchObject({ status: 401, code: "blocked-key" });
    expect(await rowOf(key.id)).toMatchObject({ blocked: 1 });
  });

  test("that blocked itself stays blocked against its own calls", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, { permissions: ["*"] });
    expect((await patchKey(tenant, key.id, { blocked: true }, key.token)).status).toBe(200);
    expect((await patchKey(tenant, key.id, { blocked: false }, key.token)).status).toBe(401);
    expect((await patchKey(tenant, key.id, { blocked: false })).status).toBe(200);
  });

  test.each([
    ["end later", { expiresAt: new Date(Date.now() + 7_200_000).toISOString() }],
    ["never end", { expiresAt: null }],
    ["be used from anywhere", { ipAllowlist: [] }],
    ["be used from elsewhere", { ipAllowlist: ["127.0.0.0/8", "198.51.100.0/24"] }],
  ])("cannot make itself %s", async (_, change) => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, {
      permissions: ["*"],
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
      ipAllowlist: ["127.0.0.0/8"],
    });
    const answer = await patchKey(tenant, key.id, change, key.token);
    expect(answer.body).toMatchObject({ status: 403, code: "own-limits" });
  });

  test("can narrow itself", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, { permissions: ["*"], ipAllowlist: ["127.0.0.0/8"] });
    const change = { ipAllowlist: ["127.0.0.1/32"], permissions: ["relays:read"] };
    expect((await patchKey(tenant, key.id, change, key.token)).status).toBe(200);
    expect((await patchKey(tenant, key.id, { name: "x" }, key.token)).status).toBe(403);
  });
});

describe("a key with an end or an allowlist", () => {
  const end = new Date(Date.now() + 3_600_000).toISOString();
  const later = new Date(Date.now() + 3_600_001).toISOString();
  const limits = { expiresAt: end, ipAllowlist: ["127.0.0.0/8"] };
  const held = { ...limits, permissions: ["*"] };

  test.each([
    ["no end", { ipAllowlist: ["127.0.0.1"] }, "limit-not-held"],
    ["a later end", { ...limits, expiresAt: later }, "limit-not-held"],
    ["no allowlist", { expiresAt: end }, "limit-not-held"],
    ["a wider allowlist", { ...limits, ipAllowlist: ["126.0.0.0/7"] }, "limit-not-held"],
    ["its own limits", limits, undefined],
    ["narrower limits", { ...limits, ipAllowlist: ["127.0.0.1"] }, undefined],
  ])("makes a key with %s only within its own limits", async (_, made, code) => {
    const tenant = await newOrganisation();
    const { token } = await newKey(tenant, held);
    const answer = await call("POST", "/api-keys", { key: token, body: keyBody(tenant, made) });
    expect([answer.status, answer.body.code]).toEqual([code ? 403 : 201, code]);
  });

  test.each([
    ["extended to after its own end", { expiresAt: later }, "limit-not-held"],
    ["opened to other addresses", { ipAllowlist: ["198.51.100.1"] }, "limit-not-held"],
    ["refreshed", { refreshApiToken: true }, "key-holds-more"],
    ["given a permission", { permissions: ["relays:read", "relays:write"] }, "key-holds-more"],
    ["signed in to", { emails: ["me@example.com"] }, "key-holds-more"],
  ])("cannot have a key without such limits %s", async (_, change, code) => {
    const tenant = await newOrganisation();
    const { token } = await newKey(tenant, held);
    const free = await newKey(tenant);
    const before = await rowOf(free.id);
    const answer = await patchKey(tenant, free.id, change, token);
    expect(answer.body).toMatchObject({ status: 403, code });
    expect(await rowOf(free.id)).toEqual(before);
    expect((await patchKey(tenant, free.id, { blocked: true }, token)).status).toBe(200);
  });

  test("limits the operators who sign in with it as well", async () => {
    const tenant = await newOrganisation();
    const session = await signIn((await newKey(tenant, held)).token);
    const body = keyBody(tenant);
    const made = await call("POST", "/api-keys", { key: session, body });
    expect(made.body).toMatchObject({ status: 403, code: "limit-not-held" });
  });
});

describe("a replaced token in its grace", () => {
  async function replaced() {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, { permissions: ["*"] });
    const grace = { refreshApiToken: true, refreshGraceSeconds: 3_600 };
    expect((await patchKey(tenant, key.id, grace)).status).toBe(200);
    return { tenant, key };
  }

  test.each([
    ["refresh its key", { refreshApiToken: true }],
    ["refresh its key with another grace", { refreshApiToken: true, refreshGraceSeconds: 604_800 }],
    ["let somebody sign in as its key", { emails: ["me@example.com"] }],
  ])("cannot %s, nor can an operator who signed in with it", async (_, change) => {
    const { tenant, key } = await replaced();
    const before = await rowOf(key.id);
    for (const credential of [key.token, await signIn(key.token)]) {
      const answer = await patchKey(tenant, key.id, change, credential);
      expect(answer.body).toMatchObject({ status: 403, code: "key-holds-more" });
    }
    expect(await rowOf(key.id)).toEqual(before);
  });

  test("cannot refresh its key either where the key itself ends before the grace does", async () => {
    const tenant = await newOrganisation();
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const key = await newKey(tenant, { permissions: ["*"], expiresAt });
    const grace = { refreshApiToken: true, refreshGraceSeconds: 604_800 };
    expect((await patchKey(tenant, key.id, grace)).status).toBe(200);
    const before = await rowOf(key.id);
    for (const credential of [key.token, await signIn(key.token)]) {
      const answer = await patchKey(tenant, key.id, { refreshApiToken: true }, credential);
      expect(answer.body).toMatchObject({ status: 403, code: "key-holds-more" });
    }
    expect(await rowOf(key.id)).toEqual(before);
  });

  test("makes only keys that end when it does, at the latest", async () => {
    const { tenant, key } = await replaced();
    const make = (expiresAt: string | null) =>
      call("POST", "/api-keys", { key: key.token, body: keyBody(tenant, { expiresAt }) });
    expect((await make(null)).body.code).toBe("limit-not-held");
    const late = new Date(Date.now() + 3_700_000).toISOString();
    expect((await make(late)).body.code).toBe("limit-not-held");
    expect((await make(new Date(Date.now() + 60_000).toISOString())).status).toBe(201);
  });

  test("can still block its key", async () => {
    const { tenant, key } = await replaced();
    expect((await patchKey(tenant, key.id, { blocked: true }, key.token)).status).toBe(200);
  });
});

describe("a stolen key, while an operator refreshes it", () => {
  const WRITE = /update "api_keys" set "name"/;
  const GRACES: [string, Record<string, unknown>][] = [
    ["without a grace", { refreshApiToken: true }],
    ["with a grace", { refreshApiToken: true, refreshGraceSeconds: 3_600 }],
  ];

  /** What the operator does, and what the thief does at the same moment. */
  async function stolen(refresh: Record<string, unknown>) {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, { permissions: ["*"] });
    return {
      session: await signIn(key.token),
      token: key.token,
      operator: () => patchKey(tenant, key.id, refresh),
      thief: (credential: string, change: Record<string, unknown> = { refreshApiToken: true }) =>
        patchKey(tenant, key.id, change, credential),
      works: async (token: string) =>
        (await call("GET", "/api-keys", { key: token })).status === 200,
    };
  }

  test.each(GRACES)("%s, gives the thief no new token", async (_, refresh) => {
    const { token, operator, thief, works } = await stolen(refresh);
    const [late, first] = await overtaken(WRITE, () => thief(token), operator);
    expect(late.body).toMatchObject({ status: 403, code: "key-holds-more" });
    expect(late.text).not.toContain("drb_");
    expect(await works(first.body.token.value)).toBe(true);
  });

  test.each(["token", "session"] as const)(
    "lets nobody else sign in as it with its %s",
    async (credential) => {
      const { operator, thief, ...credentials } = await stolen({
        refreshApiToken: true,
        refreshGraceSeconds: 3_600,
      });
      const emails = () => thief(credentials[credential], { emails: ["me@example.com"] });
      const [late] = await overtaken(WRITE, emails, operator);
      expect(late.body).toMatchObject({ status: 403, code: "key-holds-more" });
    },
  );

  test("without a grace, leaves the thief nothing that works, if the thief was first", async () => {
    const { token, operator, thief, works } = await stolen({ refreshApiToken: true });
    const [late, first] = await overtaken(WRITE, operator, () => thief(token));
    expect([late.status, first.status]).toEqual([200, 200]);
    expect(await works(first.body.token.value)).toBe(false);
    expect(await works(late.body.token.value)).toBe(true);
  });
});

describe("an organisation", () => {
  test("that is not the caller's cannot be given to a key, and is answered as one that does not exist", async () => {
    const [tenant, other] = [await newOrganisation(), await newOrganisation()];
    const key = await newKey(tenant);
    const refusals = [];
    for (const id of [other.id, 999_999_999]) {
      const body = keyBody(tenant, { organizationsIds: [tenant.id, id] });
      refusals.push(
        await call("POST", "/api-keys", { key: tenant.key, body }),
        await patchKey(tenant, key.id, { organizationsIds: [id] }),
      );
    }
    const said = refusals.map(({ body: { request_id: _id, ...rest } }) => rest);
    expect(said[0]).toMatchObject({ status: 404, code: "organisation-not-found" });
    for (const one of said) expect(one).toEqual(said[0]);
  });

  test("does not see the keys of another: the answer is that for an unknown key", async () => {
    const [tenant, other] = [await newOrganisation(), await newOrganisation()];
    const foreign = await newKey(other);
    for (const method of ["GET", "PATCH", "DELETE"]) {
      const body = method === "PATCH" ? { body: { name: "Mine" } } : {};
      const said = [];
      for (const id of [foreign.id, 999_999_999]) {
        const answer = await call(method, `/api-keys/${id}`, { key: tenant.key, ...body });
        const { request_id: _id, ...rest } = answer.body;
        said.push(rest);
      }
      expect(said[0]).toMatchObject({ status: 404, code: "api-key-not-found" });
      expect(said[1]).toEqual(said[0]);
    }
    expect(await rowOf(foreign.id)).toMatchObject({ name: "Key", version: 1 });
  });

  test("that shares a key with another cannot change that key for the other", async () => {
    const [tenant, other] = [await newOrganisation(), await newOrganisation()];
    const key = await newKey(tenant);
    await joinOrganisations(key.id, [tenant.id, other.id]);
    for (const change of [{ name: "Mine" }, { organizationsIds: [tenant.id] }, { blocked: true }]) {
      const answer = await patchKey(tenant, key.id, change);
      expect(answer.body).toMatchObject({ status: 403, code: "shared-key" });
    }
  });

  test("is chosen by the header among the key's own, and is the first one without it", async () => {
    const [one, two, three] = [
      await newOrganisation(),
      await newOrganisation(),
      await newOrganisation(),
    ];
    const both = await newKey(one, { permissions: ["*"] });
    await joinOrganisations(both.id, [one.id, two.id]);
    forgetKey(both.id);
    const seenIn = async (header?: string) => {
      const headers = header === undefined ? {} : { "X-Organisation-Id": header };
      return call("GET", "/api-keys", { key: both.token, headers });
    };
    const names = (answer: { body: { organizations: { id: number }[] }[] }) =>
      answer.body.every(({ organizations }) =>
        organizations.some(({ id }) => [one.id, two.id].includes(id)),
      );
    const first = await seenIn();
    const second = await seenIn(String(two.id));
    expect(names(first) && names(second)).toBe(true);
    expect(first.body).toHaveLength(2);
    expect(second.body).toHaveLength(2);
    expect(first.body[0].id).not.toBe(second.body[0].id);
    for (const foreign of [String(three.id), "999999999", "abc", ""]) {
      const { request_id: _id, ...problem } = (await seenIn(foreign)).body;
      expect(problem).toMatchObject({ status: 404, code: "organisation-not-found" });
    }
    const made = await call("POST", "/api-keys", {
      key: both.token,
      body: { ...keyBody(two), organizationsIds: [two.id, one.id] },
    });
    expect(made.status).toBe(201);
    const relays = await call("POST", "/v1/relays/sessions", {
      key: both.token,
      headers: { "X-Organisation-Id": String(three.id) },
      body: {},
    });
    expect([relays.status, relays.body]).toEqual([
      404,
      { message: expect.any(String), code: "organisation-not-found" },
    ]);
  });
});
