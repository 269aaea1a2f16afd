/**
 * Deleting an organisation stops its keys and removes them, except those that also act in other organisations,
 * however many there are, and whatever D1 can do at that moment.
 */
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { KEY_CACHE_MS } from "../../src/keys/key-cache";
import { call, newOrganisation, type Tenant } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { whileD1Refuses } from "../support/d1-refuses";
import { otherIsolate } from "../support/isolates";
import { insertKey, joinOrganisations, manyKeys, newKey, signIn } from "../support/keys";
import { runSweep } from "../support/sweep";
import { countRows } from "../support/sweepable-rows";

const root = { key: env.DRAWBRIDGE_ROOT_TOKEN };
const REMOVAL_OF_KEYS = /delete from "organisation_keys"/;

const remove = ({ id }: Tenant) => call("DELETE", `/v1/organisations/${id}`, root);
const keysLeft = ({ id }: Tenant) => countRows("organisation_keys", id);

test("deleting an organisation removes its keys and all that was stored about them", async () => {
  const [tenant, other] = [await newOrganisation(), await newOrganisation()];
  const emails = [`Op-${tenant.id}@example.com`];
  const mine = await newKey(tenant, { permissions: ["*"], emails });
  const shared = await newKey(tenant, { permissions: ["*"], emails });
  await joinOrganisations(shared.id, [tenant.id, other.id]);
  const session = await signIn(mine.token);
  await call("DELETE", "/v1/auth/session-tokens", { key: await signIn(mine.token) });
  expect((await remove(tenant)).status).toBe(204);
  const use = async (key: string) => (await call("GET", "/api-keys", { key })).status;
  expect(await use(mine.token)).toBe(401);
  expect(await use(session)).toBe(401);
  expect(await use(tenant.key)).toBe(401);
  for (const table of ["key_tokens", "organisation_keys", "operator_emails", "signed_out_tokens"]) {
    const left = await env.DB.prepare(`select count(*) as n from ${table} where key_id = ?`)
      .bind(mine.id)
      .first();
    expect(left, table).toEqual({ n: 0 });
  }
  const seen = await call("GET", "/api-keys", { key: shared.token });
  expect(seen.status).toBe(200);
  const ids = seen.body.map(({ id }: { id: number }) => id);
  expect(ids).toContain(shared.id);
  expect(ids).not.toContain(mine.id);
});

describe("the keys of a deleted organisation", () => {
  let elsewhere: Awaited<ReturnType<typeof otherIsolate>>;

  beforeAll(async () => {
    elsewhere = await otherIsolate();
  });
  beforeEach(stopClockAhead);
  afterEach(() => {
    vi.useRealTimers();
  });

  /** An organisation with a key and a person who signed in, whose keys D1 refuses to remove when it is deleted. */
  async function deletedWithItsKeys() {
    const [tenant, other] = [await newOrganisation(), await newOrganisation()];
    const shared = await newKey(tenant, { permissions: ["*"] });
    await joinOrganisations(shared.id, [tenant.id, other.id]);
    const session = await signIn(tenant.key);
    for (const key of [tenant.key, session]) expect(await there(key)).toBe(200);
    const deleted = await whileD1Refuses(REMOVAL_OF_KEYS, () => remove(tenant));
    return { tenant, other, shared, session, deleted };
  }

  const here = async (key: string) => (await call("GET", "/api-keys", { key })).status;
  const there = async (key: string) => (await elsewhere("GET", "/api-keys", { key })).status;

  test("stop at once, also while D1 refuses to remove them, and are removed by the sweep", async () => {
    const { tenant, session, deleted } = await deletedWithItsKeys();
    expect([deleted.status, deleted.text]).toEqual([204, ""]);
    expect(await keysLeft(tenant)).toBe(2);
    for (const key of [tenant.key, session]) expect(await here(key)).toBe(401);
    advance(KEY_CACHE_MS / 1_000);
    for (const key of [tenant.key, session]) expect(await there(key)).toBe(401);
    expect((await remove(tenant)).body).toMatchObject({ code: "organisation-not-found" });
    await runSweep();
    expect(await keysLeft(tenant)).toBe(0);
    expect(await here(tenant.key)).toBe(401);
  });

  test("that also act in another organisation go on there alone", async () => {
    const { tenant, other, shared } = await deletedWithItsKeys();
    const use = (id: number) =>
      call("GET", "/api-keys", { key: shared.token, headers: { "X-Organisation-Id": `${id}` } });
    for (const sweep of [async () => {}, runSweep]) {
      await sweep();
      expect(await here(shared.token)).toBe(200);
      expect((await use(other.id)).status).toBe(200);
      expect((await use(tenant.id)).status).toBe(404);
    }
  });

  test("that also act in another organisation can be blocked there", async () => {
    const { other, shared } = await deletedWithItsKeys();
    const blocked = await call("PATCH", `/api-keys/${shared.id}`, {
      key: other.key,
      body: { blocked: true },
    });
    expect([blocked.status, blocked.body.blocked]).toEqual([200, true]);
    const refused = await call("GET", "/api-keys", { key: shared.token });
    expect(refused.body).toMatchObject({ status: 401, code: "blocked-key" });
    await runSweep();
    const row = await env.DB.prepare("select organisation_ids as ids from api_keys where id = ?");
    expect(await row.bind(shared.id).first()).toEqual({ ids: `[${other.id}]` });
  });

  test("stay stopped when D1 refuses to remove them for longer than an hour", async () => {
    const { tenant } = await deletedWithItsKeys();
    advance(7_200);
    await whileD1Refuses(REMOVAL_OF_KEYS, runSweep);
    expect(await keysLeft(tenant)).toBe(2);
    expect(await here(tenant.key)).toBe(401);
    await runSweep();
    await runSweep();
    expect(await keysLeft(tenant)).toBe(0);
    expect(await countRows("organisations", tenant.id)).toBe(0);
  });

  test("stop at once and are removed page by page, if they are thousands", async () => {
    const tenant = await newOrganisation();
    await manyKeys(tenant, 4_500);
    // The last one, which no page of the first has.
    const { id, token } = await insertKey(tenant.id);
    expect(await here(token)).toBe(200);
    expect((await remove(tenant)).status).toBe(204);
    expect(await keysLeft(tenant)).toBe(4_502 - 1_000);
    expect(await here(token)).toBe(401);
    await runSweep();
    expect(await keysLeft(tenant)).toBe(0);
    const rows = await env.DB.prepare(
      `select (select count(*) from api_keys where organisation_ids = ?) as keys,
        (select count(*) from key_tokens where key_id = ?) as tokens`,
    )
      .bind(`[${tenant.id}]`, id)
      .first();
    expect(rows).toEqual({ keys: 0, tokens: 0 });
  });
});
