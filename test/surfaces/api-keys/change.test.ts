/** What changing and deleting an API key does, answers and announces. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { deriveAccessKey } from "../../../src/keys/access-key";
import { MAX_GRACES } from "../../../src/keys/grace";
import { PERMISSIONS } from "../../../src/keys/permissions";
import { send, signAcs3 } from "../../support/alibaba";
import { call, newOrganisation } from "../../support/client";
import { newApplication } from "../../support/devices";
import { joinOrganisations, keyEventTypes, newKey, patchKey } from "../../support/keys";

afterEach(() => {
  vi.useRealTimers();
});

const use = async (key: string) => (await call("GET", "/v1/relays/sessions", { key })).status;

describe("a change of an API key", () => {
  test("sets what it names, leaves the rest, and is announced", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, { emails: ["a@example.com"], dnsName: `d-${tenant.id}` });
    const answer = await patchKey(tenant, key.id, {
      name: "Renamed",
      labels: ["a", "b"],
      permissions: ["relays:write", "accessFtp"],
    });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      id: key.id,
      name: "Renamed",
      blocked: false,
      isValid: true,
      dnsName: `d-${tenant.id}`,
      updateTimestamp: expect.any(String),
      token: { short: key.short },
    });
    expect(answer.body.token).not.toHaveProperty("value");
    expect(answer.body).not.toHaveProperty("access_key");
    const seen = await call("GET", `/api-keys/${key.id}?optFields=emails,labels,permissions`, {
      key: tenant.key,
    });
    expect(seen.body[0]).toMatchObject({
      emails: ["a@example.com"],
      labels: ["a", "b"],
      permissions: ["relays:write", "accessFtp"],
    });
    expect(await keyEventTypes(tenant.id, key.id)).toEqual(["key.created", "key.updated"]);
  });

  test("writes and announces nothing when all values stay the same", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const answer = await patchKey(tenant, key.id, { name: "Key", blocked: false });
    expect(answer.status).toBe(200);
    expect(answer.body.updateTimestamp).toBeNull();
    expect(await keyEventTypes(tenant.id, key.id)).toEqual(["key.created"]);
  });

  test("removes a dnsName and an end with null, and frees the name", async () => {
    const tenant = await newOrganisation();
    const dnsName = `free-${tenant.id}`;
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    const key = await newKey(tenant, { dnsName, expiresAt });
    const answer = await patchKey(tenant, key.id, { dnsName: null, expiresAt: null });
    expect(answer.body).toMatchObject({ dnsName: null, expiresAt: null });
    expect((await patchKey(tenant, (await newKey(tenant)).id, { dnsName })).status).toBe(200);
    expect((await patchKey(tenant, key.id, { dnsName })).body.code).toBe("dns-name-taken");
  });

  test("blocks the key and announces it, and unblocks it again", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const blocked = await patchKey(tenant, key.id, { blocked: true });
    expect(blocked.body).toMatchObject({ blocked: true, isValid: false });
    expect(await use(key.token)).toBe(403);
    const unblocked = await patchKey(tenant, key.id, { blocked: false });
    expect(unblocked.body).toMatchObject({ blocked: false, isValid: true });
    expect(await use(key.token)).toBe(200);
    expect(await keyEventTypes(tenant.id, key.id)).toEqual([
      "key.created",
      "key.blocked",
      "key.updated",
    ]);
  });

  test("refreshes the token and the access key, shows them once, and ends the old token", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const answer = await patchKey(tenant, key.id, { refreshApiToken: true });
    expect(answer.status).toBe(200);
    const { value, short, lastUseTimestamp } = answer.body.token;
    expect(value).not.toBe(key.token);
    expect(short).toBe(value.slice(0, 12));
    expect(lastUseTimestamp).toBeNull();
    expect(answer.body.access_key).toEqual(
      deriveAccessKey(env.DRAWBRIDGE_SECRET, { id: key.id, tokenVersion: 2 }),
    );
    expect(answer.body.access_key.id).toBe(key.accessKey.id);
    expect(answer.body.access_key.secret).not.toBe(key.accessKey.secret);
    expect(await use(key.token)).toBe(403);
    expect(await use(value)).toBe(200);
    expect(await keyEventTypes(tenant.id, key.id)).toEqual(["key.created", "key.refreshed"]);
  });

  test("refreshes with a grace in which both tokens work, and after which only the new one does", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const answer = await patchKey(tenant, key.id, {
      refreshApiToken: true,
      refreshGraceSeconds: 3_600,
    });
    const { value } = answer.body.token;
    expect(await use(key.token)).toBe(200);
    expect(await use(value)).toBe(200);
    const refreshedAt = Date.parse(answer.body.token.creationTimestamp);
    vi.useFakeTimers({ toFake: ["Date"], now: refreshedAt + 3_600_000 - 1 });
    expect(await use(key.token)).toBe(200);
    vi.setSystemTime(refreshedAt + 3_600_000);
    expect(await use(key.token)).toBe(403);
    expect(await use(value)).toBe(200);
  });

  test("refreshes twice with a grace, and each old token and access key works to its own end", async () => {
    const at = await newApplication();
    const key = await newKey(at, { permissions: ["relays:read", "devices:list"] });
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const refresh = (refreshGraceSeconds: number) =>
      patchKey(at, key.id, { refreshApiToken: true, refreshGraceSeconds });
    const second = (await refresh(7_200)).body;
    const third = (await refresh(3_600)).body;
    const all = [
      { token: key.token, pair: key.accessKey },
      { token: second.token.value, pair: second.access_key },
      { token: third.token.value, pair: third.access_key },
    ];
    const list = { action: "ListPolarClawDevicePairs", query: { ApplicationId: at.application } };
    const whoWorks = async () => {
      const works = [];
      for (const { token, pair } of all) {
        works.push([await use(token), (await send(signAcs3(pair, list))).status]);
      }
      return works;
    };
    const [good, over] = [
      [200, 200],
      [403, 403],
    ];
    expect(await whoWorks()).toEqual([good, good, good]);
    vi.setSystemTime(now + 3_600_000);
    expect(await whoWorks()).toEqual([good, over, good]);
    vi.setSystemTime(now + 7_200_000);
    expect(await whoWorks()).toEqual([over, over, good]);
  });

  test("refreshes without a grace and ends every older token at once", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const grace = { refreshApiToken: true, refreshGraceSeconds: 3_600 };
    const second = (await patchKey(tenant, key.id, grace)).body.token.value;
    const third = (await patchKey(tenant, key.id, { refreshApiToken: true })).body.token.value;
    expect([await use(key.token), await use(second), await use(third)]).toEqual([403, 403, 200]);
  });

  test("is told to wait and does nothing when it would refresh beyond the most graces", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const grace = { refreshApiToken: true, refreshGraceSeconds: 3_600 };
    let newest = "";
    for (let i = 0; i < MAX_GRACES; i++) {
      newest = (await patchKey(tenant, key.id, grace)).body.token.value;
    }
    const refused = await patchKey(tenant, key.id, grace);
    expect(refused.body).toMatchObject({ status: 409, code: "too-many-graces" });
    expect([await use(key.token), await use(newest)]).toEqual([200, 200]);
    expect((await patchKey(tenant, key.id, { refreshApiToken: true })).status).toBe(200);
  });

  test("is answered with what the key holds, refreshed or not", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const permissions = ["relays:write", "accessFtp"];
    const changed = await patchKey(tenant, key.id, { permissions });
    const refreshed = await patchKey(tenant, key.id, { refreshApiToken: true });
    for (const { body } of [changed, refreshed]) expect(body.permissions).toEqual(permissions);
  });

  test("is refused for an unknown permission with a colon, and the error lists all that there are", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const answer = await patchKey(tenant, key.id, { permissions: ["relays:fly"] });
    expect(answer.status).toBe(400);
    for (const permission of ["*", ...PERMISSIONS])
      expect(answer.body.detail).toContain(permission);
  });

  test("is made whole when several come at once, one after the other", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const answers = await Promise.all([
      patchKey(tenant, key.id, { name: "Twin" }),
      patchKey(tenant, key.id, { labels: ["twin"] }),
      patchKey(tenant, key.id, { refreshApiToken: true }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    const seen = await call("GET", `/api-keys/${key.id}?optFields=labels`, { key: tenant.key });
    expect(seen.body[0]).toMatchObject({ name: "Twin", labels: ["twin"] });
    expect(await keyEventTypes(tenant.id, key.id)).toHaveLength(4);
    const row = await env.DB.prepare(
      `select version, (select count(*) from key_tokens where key_id = api_keys.id) as tokens
       from api_keys where id = ?`,
    )
      .bind(key.id)
      .first();
    expect(row).toEqual({ version: 4, tokens: 1 });
  });

  test.each([
    ["blocked", { blocked: "yes" }],
    ["labels.0", { labels: [""] }],
    ["organizationsIds", { organizationsIds: [] }],
    ["refreshGraceSeconds", { refreshApiToken: true, refreshGraceSeconds: 604_801 }],
  ])("is refused for a wrong %s", async (path, body) => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const answer = await patchKey(tenant, key.id, body);
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toEqual([expect.objectContaining({ path })]);
  });

  test.each(["0", "999999999", "abc", "1e3", "-1"])("finds no key under the id %s", async (id) => {
    const tenant = await newOrganisation();
    for (const method of ["GET", "PATCH", "DELETE"]) {
      const body = method === "PATCH" ? { name: "x" } : undefined;
      const answer = await call(method, `/api-keys/${id}`, {
        key: tenant.key,
        ...(body ? { body } : {}),
      });
      expect(answer.body).toMatchObject({ status: 404, code: "api-key-not-found" });
    }
  });
});

describe("a deleted API key", () => {
  test("is gone at once with all that belongs to it, with an empty answer", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, {
      emails: ["gone@example.com"],
      permissions: ["operator:sign-in"],
    });
    const answer = await call("DELETE", `/api-keys/${key.id}`, { key: tenant.key });
    expect([answer.status, answer.text]).toEqual([200, ""]);
    expect(await use(key.token)).toBe(403);
    const seen = await call("GET", `/api-keys/${key.id}`, { key: tenant.key });
    expect(seen.status).toBe(404);
    for (const table of ["key_tokens", "organisation_keys", "operator_emails"]) {
      const left = await env.DB.prepare(`select count(*) as n from ${table} where key_id = ?`)
        .bind(key.id)
        .first();
      expect(left, table).toEqual({ n: 0 });
    }
    expect(await keyEventTypes(tenant.id, key.id)).toEqual(["key.created", "key.deleted"]);
  });

  test("is removed only from the organisations of the caller when it also acts in others", async () => {
    const [one, other] = [await newOrganisation(), await newOrganisation()];
    const key = await newKey(one);
    await joinOrganisations(key.id, [one.id, other.id]);
    expect((await call("DELETE", `/api-keys/${key.id}`, { key: one.key })).status).toBe(200);
    expect((await call("GET", `/api-keys/${key.id}`, { key: one.key })).status).toBe(404);
    const seen = await call("GET", `/api-keys/${key.id}`, { key: other.key });
    expect(seen.body[0].organizations.map((o: { id: number }) => o.id)).toEqual([other.id]);
    expect(await use(key.token)).toBe(200);
    expect(await keyEventTypes(other.id, key.id)).toEqual(["key.updated"]);
  });
});
