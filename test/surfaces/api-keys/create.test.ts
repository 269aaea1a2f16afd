/** What creating an API key answers, stores and announces, and what it refuses. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { PERMISSIONS } from "../../../src/keys/permissions";
import { call, newOrganisation } from "../../support/client";
import { keyBody, keyEventTypes, newKey } from "../../support/keys";

afterEach(() => {
  vi.useRealTimers();
});

describe("a new API key", () => {
  test("shows its token and access key once, and works at once", async () => {
    const tenant = await newOrganisation("Sítio Ação");
    const answer = await call("POST", "/api-keys", {
      key: tenant.key,
      body: keyBody(tenant, {
        name: "Câmeras",
        dnsName: `Sftp-${tenant.id}`,
        emails: ["ops@example.com"],
        permissions: ["relays:read", "accessFtp", "editLabels"],
      }),
    });
    expect(answer.status).toBe(201);
    const { id } = answer.body;
    expect(answer.body).toEqual({
      id: expect.any(Number),
      name: "Câmeras",
      blocked: false,
      isValid: true,
      dnsName: `sftp-${tenant.id}`,
      creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      updateTimestamp: null,
      expiresAt: null,
      ipAllowlist: [],
      organizations: [
        {
          id: tenant.id,
          name: "Sítio Ação",
          short: "sitio-acao",
          creationTimestamp: answer.body.creationTimestamp,
          lastUseTimestamp: null,
        },
      ],
      token: {
        id,
        name: "Câmeras",
        creationTimestamp: answer.body.creationTimestamp,
        lastUseTimestamp: null,
        short: answer.body.token.value.slice(0, 12),
        value: expect.stringMatching(/^drb_[0-9A-Za-z]{36}$/),
      },
      access_key: {
        id: expect.stringMatching(/^DRBAK\d{11}$/),
        secret: expect.stringMatching(/^[\w-]{40}$/),
      },
      permissions: ["relays:read", "accessFtp", "editLabels"],
    });
    const used = await call("GET", "/v1/relays/sessions", { key: answer.body.token.value });
    expect(used.status).toBe(200);
    const seen = await call("GET", `/api-keys/${id}?optFields=email,labels,permissions`, {
      key: tenant.key,
    });
    const { access_key: _secret, ...shown } = answer.body;
    const { value: _value, ...token } = shown.token;
    expect(seen.body).toEqual([
      {
        ...shown,
        token,
        emails: ["ops@example.com"],
        labels: [],
        permissions: ["relays:read", "accessFtp", "editLabels"],
      },
    ]);
  });

  test("is announced once, without its token", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    expect(await keyEventTypes(tenant.id, key.id)).toEqual(["key.created"]);
  });

  test("may name its organisations under either spelling of that field", async () => {
    const tenant = await newOrganisation();
    const { organizationsIds, ...body } = keyBody(tenant);
    const answer = await call("POST", "/api-keys", {
      key: tenant.key,
      body: { ...body, organizationIds: organizationsIds },
    });
    expect(answer.status).toBe(201);
  });

  test("works until it expires, and not after", async () => {
    const tenant = await newOrganisation();
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const key = await newKey(tenant, { expiresAt });
    const before = await call("GET", "/v1/relays/sessions", { key: key.token });
    expect(before.status).toBe(200);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.parse(expiresAt) });
    const over = await call("GET", "/v1/relays/sessions", { key: key.token });
    expect(over.status).toBe(403);
    expect(over.body.message).toMatch(/expired/);
    const shown = await call("GET", `/api-keys/${key.id}`, { key: tenant.key });
    expect(shown.body[0]).toMatchObject({ expiresAt, isValid: false });
  });

  test("works from the addresses of its allowlist only, IPv4 and IPv6", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant, {
      ipAllowlist: ["192.0.2.77/24", "2001:db8::/32", "::ffff:203.0.113.9/128"],
    });
    const shown = await call("GET", `/api-keys/${key.id}`, { key: tenant.key });
    expect(shown.body[0].ipAllowlist).toEqual(["192.0.2.0/24", "2001:db8::/32", "203.0.113.9/32"]);
    const from = async (ip: string) =>
      (await call("GET", "/v1/relays/sessions", { key: key.token, ip })).status;
    expect(await from("0:0:0:0:0:ffff:203.0.113.9")).toBe(200);
    expect(await from("192.0.2.200")).toBe(200);
    expect(await from("2001:db8:1::7")).toBe(200);
    expect(await from("203.0.113.9")).toBe(200);
    expect(await from("::ffff:192.0.2.1")).toBe(200);
    expect(await from("192.0.3.1")).toBe(403);
    expect(await from("2001:db9::1")).toBe(403);
  });

  test("is refused with a dnsName that is taken anywhere, and leaves nothing behind", async () => {
    const [one, other] = [await newOrganisation(), await newOrganisation()];
    const dnsName = `taken-${one.id}`;
    await newKey(one, { dnsName });
    const answer = await call("POST", "/api-keys", {
      key: other.key,
      body: keyBody(other, { name: "Second", dnsName }),
    });
    expect(answer.status).toBe(409);
    expect(answer.body).toMatchObject({ code: "dns-name-taken", status: 409 });
    const list = await call("GET", "/api-keys?name=second", { key: other.key });
    expect(list.body).toEqual([]);
  });

  test.each([
    ["name", { name: "" }],
    ["name", { name: "x".repeat(101) }],
    ["name", { name: undefined }],
    ["emails.0", { emails: ["nobody"] }],
    ["emails", { emails: undefined }],
    ["organizationsIds", { organizationsIds: [] }],
    ["organizationsIds", { organizationsIds: undefined }],
    ["organizationsIds.0", { organizationsIds: ["1"] }],
    ["permissions", { permissions: undefined }],
    ["permissions.0", { permissions: ["relays:fly"] }],
    ["permissions.0", { permissions: ["a b"] }],
    ["permissions.0", { permissions: [7] }],
    ["permissions.0", { permissions: ["x".repeat(65)] }],
    ["dnsName", { dnsName: "-sftp" }],
    ["dnsName", { dnsName: "a.b" }],
    ["dnsName", { dnsName: "x".repeat(64) }],
    ["expiresAt", { expiresAt: "tomorrow" }],
    ["expiresAt", { expiresAt: "2001-01-01T00:00:00Z" }],
    ["ipAllowlist.0", { ipAllowlist: ["192.0.2.0/33"] }],
    ["ipAllowlist.0", { ipAllowlist: ["1.2.3.4/08"] }],
    ["ipAllowlist.0", { ipAllowlist: ["fe80::1%eth0/64"] }],
    ["ipAllowlist.0", { ipAllowlist: ["everywhere"] }],
  ])("is refused for a wrong %s: %j", async (path, overrides) => {
    const tenant = await newOrganisation();
    const body = keyBody(tenant, overrides);
    const answer = await call("POST", "/api-keys", { key: tenant.key, body });
    expect(answer.status).toBe(400);
    expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
    expect(answer.body.errors.map((error: { path: string }) => error.path)).toContain(path);
  });

  test("is refused for an unknown permission with a colon, and the error lists all that there are", async () => {
    const tenant = await newOrganisation();
    const body = keyBody(tenant, { permissions: ["accessFtp", "relays:fly"] });
    const answer = await call("POST", "/api-keys", { key: tenant.key, body });
    expect(answer.status).toBe(400);
    const [error, ...others] = answer.body.errors;
    expect(others).toEqual([]);
    expect(error.path).toBe("permissions.1");
    for (const permission of ["*", ...PERMISSIONS]) expect(error.message).toContain(permission);
  });

  test("has the same token in the answer to a repeat with its Idempotency-Key", async () => {
    const tenant = await newOrganisation();
    const create = () =>
      call("POST", "/api-keys", {
        key: tenant.key,
        body: keyBody(tenant),
        headers: { "Idempotency-Key": "once" },
      });
    const [first, second] = [await create(), await create()];
    expect(second.body).toEqual(first.body);
    expect(second.headers.get("Idempotent-Replayed")).toBe("true");
  });
});
