/** Verifying an API key for other services of the owner: what it answers, and what it costs. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { PERMISSIONS } from "../../../src/keys/permissions";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { joinOrganisations, newKey, patchKey } from "../../support/keys";
import { d1CallsOf, rowsOf, settled, written } from "../../support/rows";

afterEach(() => {
  vi.useRealTimers();
});

const GARBAGE = "drb_qkJaB6MffYVzZXWqmcoF49yrUxP3wf0LsakQ";
const UNKNOWN = "drb_qkJaB6MffYVzZXWqmcoF49yrUxP3wf0LsakP";

async function verify(tenant: Tenant, body: Record<string, unknown>) {
  const answer = await call("POST", "/v1/keys:verify", { key: tenant.key, body });
  expect(answer.status, answer.text).toBe(200);
  return answer.body;
}

const nothing = {
  valid: false,
  code: "not-found",
  key_id: null,
  name: null,
  organisations: [],
  permissions: [],
  expires_at: null,
};

describe("verifying an API key", () => {
  test("says whose it is and what it holds", async () => {
    const tenant = await newOrganisation();
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    const dnsName = `files-${tenant.id}`;
    const key = await newKey(tenant, { permissions: ["accessFtp"], expiresAt, dnsName });
    const body = {
      token: key.token,
      permission: "accessFtp",
      ip: "192.0.2.7",
      dns_name: dnsName.toUpperCase(),
      organisation_id: tenant.id,
    };
    expect(await verify(tenant, body)).toEqual({
      valid: true,
      code: "valid",
      key_id: key.id,
      name: "Key",
      organisations: [tenant.id],
      permissions: ["accessFtp"],
      expires_at: expiresAt,
    });
  });

  test("finds nothing for a text that is no key, for a key without the asked name, and for another organisation's key", async () => {
    const [tenant, other] = [await newOrganisation(), await newOrganisation()];
    const [mine, foreign] = [await newKey(tenant), await newKey(other)];
    for (const body of [
      { token: GARBAGE },
      { token: UNKNOWN },
      { token: "" },
      { token: foreign.token },
      { token: mine.token, dns_name: "someone-else" },
    ]) {
      expect(await verify(tenant, body)).toEqual(nothing);
    }
  });

  test("refuses to check a permission that does not exist, and lists those that do", async () => {
    const tenant = await newOrganisation();
    const body = { token: tenant.key, permission: "relays:wirte" };
    const answer = await call("POST", "/v1/keys:verify", { key: tenant.key, body });
    expect(answer.status).toBe(400);
    expect(answer.body.errors[0].path).toBe("permission");
    for (const name of PERMISSIONS) expect(answer.body.errors[0].message).toContain(name);
  });

  test("says what is wrong with a key that may not do what was asked", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, {
      permissions: ["accessFtp"],
      ipAllowlist: ["192.0.2.0/24", "2001:db8::/32"],
      expiresAt: new Date(Date.now() + 60_000).toISOString(),
    });
    const code = async (body: Record<string, unknown>) => {
      const said = await verify(tenant, { token: key.token, ...body });
      expect(said.key_id).toBe(key.id);
      expect(said.valid).toBe(said.code === "valid");
      return said.code;
    };
    const ip = "2001:db8::9";
    expect(await code({ ip, permission: "accessFtp" })).toBe("valid");
    expect(await code({ ip, permission: "editLabels" })).toBe("forbidden");
    expect(await code({ ip, organisation_id: 999_999_999 })).toBe("forbidden");
    expect(await code({ ip: "198.51.100.1" })).toBe("ip-refused");
    expect(await code({ ip: "0:0:0:0:0:ffff:192.0.2.1" })).toBe("valid");
    expect(await code({})).toBe("ip-refused");
    await patchKey(tenant, key.id, { blocked: true });
    expect(await code({ ip })).toBe("blocked");
    await patchKey(tenant, key.id, { blocked: false });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_001 });
    expect(await code({ ip })).toBe("expired");
  });

  test("does not name organisations that the caller may not see", async () => {
    const [tenant, other] = [await newOrganisation(), await newOrganisation()];
    const key = await newKey(tenant);
    await joinOrganisations(key.id, [tenant.id, other.id]);
    const said = await verify(tenant, { token: key.token });
    expect(said.organisations).toEqual([tenant.id]);
    const there = await verify(tenant, { token: key.token, organisation_id: other.id });
    expect(there.code).toBe("forbidden");
  });

  test("accepts the old token in its grace, and not after", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    await patchKey(tenant, key.id, { refreshApiToken: true, refreshGraceSeconds: 60 });
    expect((await verify(tenant, { token: key.token })).code).toBe("valid");
    vi.setSystemTime(now + 60_000);
    expect(await verify(tenant, { token: key.token })).toEqual(nothing);
  });

  test("writes nothing, reads one key by index, and reads nothing for garbage or a key in memory", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    await call("GET", "/api-keys?limit=1", { key: tenant.key });
    await settled();
    const cost = (token: string) => rowsOf(() => verify(tenant, { token }));
    const first = await cost(key.token);
    // The token, the key, and whether there is a deleted organisation.
    expect(first.d1Read).toBe(3);
    expect(written(first)).toBe(0);
    const again = await cost(key.token);
    expect([again.d1Read, written(again)]).toEqual([0, 0]);
    expect(await d1CallsOf(() => verify(tenant, { token: key.token }))).toEqual([]);
    expect(await d1CallsOf(() => verify(tenant, { token: GARBAGE }))).toEqual([]);
    const unknown = await d1CallsOf(() => verify(tenant, { token: UNKNOWN }));
    expect(unknown).toHaveLength(1);
    expect(unknown[0]).not.toMatch(/\b(insert|update|delete)\b/i);
  });

  test("needs keys:read", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, { permissions: ["keys:write"] });
    const body = { token: key.token };
    const answer = await call("POST", "/v1/keys:verify", { key: key.token, body });
    expect(answer.status).toBe(403);
    expect(answer.body.detail).toContain("keys:read");
  });

  test.each([
    [{}, "token"],
    [{ token: 1 }, "token"],
    [{ token: GARBAGE, ip: "here" }, "ip"],
    [{ token: GARBAGE, organisation_id: "1" }, "organisation_id"],
    [{ token: GARBAGE, scope: "x" }, "scope"],
  ])("is refused for %j", async (body, path) => {
    const tenant = await newOrganisation();
    const answer = await call("POST", "/v1/keys:verify", { key: tenant.key, body });
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toEqual([expect.objectContaining({ path })]);
  });
});
