/**
 * What the list of API keys shows, and that every filter and page costs one page, however many keys
 * there are.
 */
import { describe, expect, test } from "vitest";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { joinOrganisations, manyKeys, newKey, patchKey } from "../../support/keys";
import { rowsOf } from "../../support/rows";

const ids = (body: { id: number }[]) => body.map(({ id }) => id);

async function list(tenant: Tenant, query: string) {
  const answer = await call("GET", `/api-keys?${query}`, { key: tenant.key });
  expect(answer.status, answer.text).toBe(200);
  const next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("Link") ?? "")?.[1];
  return { keys: answer.body, next: next === undefined ? null : new URL(next).search.slice(1) };
}

describe("the list of API keys", () => {
  test("shows all of its organisation's, and none of another's", async () => {
    const [tenant, other] = [await newOrganisation(), await newOrganisation()];
    const [a, b] = [await newKey(tenant), await newKey(tenant)];
    await newKey(other);
    const { keys, next } = await list(tenant, "");
    expect(ids(keys).slice(1)).toEqual([a.id, b.id]);
    expect(keys[0].name).toBe("First key");
    expect(next).toBeNull();
    expect(keys[1]).not.toHaveProperty("permissions");
    expect(keys[1]).not.toHaveProperty("emails");
    expect(keys[1]).not.toHaveProperty("labels");
  });

  test("filters by blocked, name, whole token and short, and by all at once", async () => {
    const tenant = await newOrganisation();
    const a = await newKey(tenant, { name: "Câmera NORTE" });
    const b = await newKey(tenant, { name: "câmera sul" });
    await patchKey(tenant, b.id, { blocked: true });
    expect(ids((await list(tenant, "blocked=true")).keys)).toEqual([b.id]);
    expect(ids((await list(tenant, "blocked=false")).keys)).toContain(a.id);
    expect(ids((await list(tenant, "name=CÂMERA")).keys)).toEqual([a.id, b.id]);
    expect(ids((await list(tenant, "name=norte")).keys)).toEqual([a.id]);
    expect(ids((await list(tenant, "name=_")).keys)).toEqual([]);
    expect(ids((await list(tenant, `token=${a.token}`)).keys)).toEqual([a.id]);
    expect(ids((await list(tenant, `token=${b.short}`)).keys)).toEqual([b.id]);
    expect(ids((await list(tenant, `token=${a.short.slice(0, -1)}`)).keys)).toEqual([]);
    expect(ids((await list(tenant, `token=${b.short}&blocked=true&name=sul`)).keys)).toEqual([
      b.id,
    ]);
    expect(ids((await list(tenant, `token=${b.short}&blocked=false`)).keys)).toEqual([]);
  });

  test("finds no token of another organisation, and none that was replaced", async () => {
    const [tenant, other] = [await newOrganisation(), await newOrganisation()];
    const foreign = await newKey(other);
    const mine = await newKey(tenant);
    expect((await list(tenant, `token=${foreign.token}`)).keys).toEqual([]);
    expect((await list(tenant, `token=${foreign.short}`)).keys).toEqual([]);
    const refresh = { refreshApiToken: true, refreshGraceSeconds: 0 };
    await patchKey(tenant, mine.id, refresh);
    expect((await list(tenant, `token=${mine.token}`)).keys).toEqual([]);
  });

  test("shows of a shared key only the organisations that the caller may see", async () => {
    const [tenant, other] = [await newOrganisation(), await newOrganisation()];
    const key = await newKey(tenant);
    await joinOrganisations(key.id, [tenant.id, other.id]);
    for (const reader of [tenant, other]) {
      const { keys } = await list(reader, `token=${key.token}`);
      expect(keys[0].organizations.map((o: { id: number }) => o.id)).toEqual([reader.id]);
    }
  });

  test("shows each key once to a client that follows its links, with the filter kept", async () => {
    const tenant = await newOrganisation();
    await manyKeys(tenant, 7);
    const seen: number[] = [];
    let query: string | null = "limit=3&blocked=false&name=bulk";
    for (let pages = 0; query !== null; pages++) {
      expect(pages).toBeLessThan(4);
      const page: Awaited<ReturnType<typeof list>> = await list(tenant, query);
      seen.push(...ids(page.keys));
      query = page.next;
    }
    expect(seen).toHaveLength(7);
    expect(new Set(seen).size).toBe(7);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  test.each(["limit=0", "limit=101", "after=x", "blocked=maybe", "optFields=secret"])(
    "refuses %s",
    async (query) => {
      const tenant = await newOrganisation();
      const answer = await call("GET", `/api-keys?${query}`, { key: tenant.key });
      expect(answer.status).toBe(400);
      expect(answer.body.errors).toHaveLength(1);
    },
  );

  test("costs one page at 10 keys and at 10,000, with every filter", async () => {
    const cost = async (tenant: Tenant, query: string) =>
      (await rowsOf(() => list(tenant, query))).d1Read;
    const [few, many] = [await newOrganisation(), await newOrganisation()];
    await manyKeys(few, 10);
    await manyKeys(many, 10_000);
    // A key whose name no other has, at the end of the list, and the only one with this short form.
    const last = await newKey(many, { name: "Needle" });
    const short = await newKey(few, { name: "Needle" });
    // Measured, with a few rows more: the events of the keys may still be recorded after the
    // answers.
    const slack = 5;
    // Five rows for a key: its place in the list, itself, its organisation twice, and its JSON.
    for (const query of ["limit=10", "limit=10&blocked=false"]) {
      expect(await cost(few, query), query).toBeLessThanOrEqual(56 + slack);
      expect(await cost(many, query), query).toBeLessThanOrEqual(56 + slack);
    }
    expect(await cost(many, "blocked=true&limit=1")).toBeLessThanOrEqual(11 + slack);
    for (const [tenant, key] of [[few, short] as const, [many, last] as const]) {
      expect(await cost(tenant, `token=${key.token}`)).toBeLessThanOrEqual(8 + slack);
      expect(await cost(tenant, `token=${key.short}`)).toBeLessThanOrEqual(9 + slack);
    }
    // A search looks at 500 keys at most, and stops when the page is full.
    expect(await cost(few, "limit=10&name=bulk")).toBeLessThanOrEqual(69 + slack);
    expect(await cost(many, "limit=10&name=bulk")).toBeLessThanOrEqual(559 + slack);
    expect(await cost(few, "name=needle")).toBeLessThanOrEqual(42 + slack);
    expect(await cost(many, "name=needle")).toBeLessThanOrEqual(1_502 + slack);
  });

  test("goes on searching behind its link where a name is not among the first 500 keys", async () => {
    const tenant = await newOrganisation();
    await manyKeys(tenant, 1_000);
    const needle = await newKey(tenant, { name: "Needle" });
    let query: string | null = "name=needle";
    const pages: number[][] = [];
    while (query !== null) {
      const page: Awaited<ReturnType<typeof list>> = await list(tenant, query);
      pages.push(ids(page.keys));
      query = page.next;
    }
    expect(pages).toEqual([[], [], [needle.id]]);
  });
});
