/** A caller asks who it is; a page asks how people can sign in. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { OPERATOR_SESSION_MS } from "../../src/operators/session-token";
import { call, newOrganisation } from "../support/client";
import { otherIsolate } from "../support/isolates";
import { joinOrganisations, newKey, patchKey, signIn } from "../support/keys";
import { rowsOf, settled, written } from "../support/rows";

afterEach(() => {
  vi.useRealTimers();
});

const whoAmI = (key: string, headers: Record<string, string> = {}) =>
  call("GET", "/v1/auth/session-tokens", { key, headers });

describe("a caller who asks who it is", () => {
  test("is told the key, what it holds, and the names of its organisations", async () => {
    const tenant = await newOrganisation("Acme & Söhne");
    const { id, token } = await newKey(tenant, {
      name: "Gateway",
      permissions: ["devices:list", "accessFtp"],
    });
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const { status, body } = await whoAmI(token);
    expect(status).toBe(200);
    expect(body).toEqual({
      key_id: id,
      key_name: "Gateway",
      signed_in: false,
      email: null,
      permissions: ["devices:list", "accessFtp"],
      organisation_id: tenant.id,
      organisations: [{ id: tenant.id, name: "Acme & Söhne" }],
      expires_at: null,
      server_time: new Date(now).toISOString(),
    });
  });

  test("is told that an operator signed in, and when that ends", async () => {
    const tenant = await newOrganisation();
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const key = await newKey(tenant, { permissions: ["operator:sign-in"] });
    const session = await signIn(key.token);
    const ends = async () => Date.parse((await whoAmI(session)).body.expires_at);
    expect((await whoAmI(session)).body).toMatchObject({ key_id: key.id, signed_in: true });
    expect(await ends()).toBe(Math.floor((now + OPERATOR_SESSION_MS) / 1_000) * 1_000);
    // The key gets an end after the sign-in.
    const soon = now + 3_600_000;
    await patchKey(tenant, key.id, { expiresAt: new Date(soon).toISOString() });
    expect(await ends()).toBe(soon);
    expect(Date.parse((await whoAmI(key.token)).body.expires_at)).toBe(soon);
  });

  test("is told of all organisations of the key in its order, and of the one in which the call acts", async () => {
    const [one, two, gone] = [
      await newOrganisation("One"),
      await newOrganisation("Two"),
      await newOrganisation("Gone"),
    ];
    const other = await newOrganisation("Of somebody else");
    const { id, token } = await newKey(one, { permissions: [] });
    await joinOrganisations(id, [two.id, gone.id, one.id]);
    const root = { key: env.DRAWBRIDGE_ROOT_TOKEN };
    await env.DB.prepare("update organisations set deleted_at = 1 where id = ?")
      .bind(gone.id)
      .run();
    const organisations = [
      { id: two.id, name: "Two" },
      { id: one.id, name: "One" },
    ];
    expect((await whoAmI(token)).body).toMatchObject({ organisation_id: two.id, organisations });
    const named = await whoAmI(token, { "X-Organisation-Id": String(one.id) });
    expect(named.body).toMatchObject({ organisation_id: one.id, organisations });
    const foreign = await whoAmI(token, { "X-Organisation-Id": String(other.id) });
    expect(foreign.status).toBe(404);
    expect((await call("GET", "/v1/auth/session-tokens", root)).status).toBe(401);
  });

  test("costs no row", async () => {
    const session = await signIn((await newOrganisation()).key);
    await whoAmI(session);
    await settled();
    expect(written(await rowsOf(() => whoAmI(session)))).toBe(0);
  });
});

describe("the ways to sign in", () => {
  test("are an API key, and Cloudflare Access where it is set up", async () => {
    const { body } = await call("GET", "/v1/auth/sign-in-methods");
    expect(body).toEqual({ methods: ["api_key"] });
    const access = { CF_ACCESS_TEAM: "acme", CF_ACCESS_AUD: "4714c1358e65" } as Partial<Env>;
    const there = await otherIsolate(access);
    const answer = await there("GET", "/v1/auth/sign-in-methods");
    expect(answer.body).toEqual({ methods: ["api_key", "cloudflare_access"] });
  });
});
