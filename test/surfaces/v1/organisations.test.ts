/**
 * Organisations are created, listed and deleted with the root token, and end with all that they
 * had.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { type Answer, call, newOrganisation } from "../../support/client";
import { insertKey } from "../../support/keys";
import { anyAddress, create, join, list, read, SESSIONS } from "../../support/sessions";
import { runSweep } from "../../support/sweep";

const PATH = "/v1/organisations";
const root = { key: env.DRAWBRIDGE_ROOT_TOKEN };

const make = (body: unknown) => call("POST", PATH, { ...root, body });
const remove = (id: number | string) => call("DELETE", `${PATH}/${id}`, root);
const page = (query: string) => call("GET", PATH + query, root);

interface Organisation {
  id: number;
}

describe("a new organisation", () => {
  test("is answered whole, with a first key that works and holds every permission", async () => {
    const { status, body, headers } = await make({ name: "Acme Games" });
    expect(status).toBe(201);
    expect(headers.get("Content-Type")).toMatch(/^application\/json/);
    expect(Object.keys(body).sort()).toEqual(
      ["api_key", "created_at", "id", "name", "short", "webhook_secret"].sort(),
    );
    expect(body).toMatchObject({ name: "Acme Games", short: "acme-games" });
    expect(Number.isInteger(body.id)).toBe(true);
    expect(body.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(body.webhook_secret).toMatch(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/);
    const key = body.api_key;
    expect(Object.keys(key).sort()).toEqual(["access_key", "id", "permissions", "token"]);
    expect(Number.isInteger(key.id)).toBe(true);
    expect(key.token).toMatch(/^drb_[0-9A-Za-z]{36}$/);
    expect(key.permissions).toEqual(["*"]);
    expect(Object.keys(key.access_key).sort()).toEqual(["id", "secret"]);
    expect(key.access_key.id).toMatch(/^[A-Za-z0-9]{16,}$/);
    expect(key.access_key.secret.length).toBeGreaterThanOrEqual(30);
    expect((await create(key.token)).status).toBe(200);
    expect((await list(key.token)).body.total_count).toBe(1);
  });

  test("shares no secret with another of the same name", async () => {
    const [a, b] = [(await make({ name: "Twin" })).body, (await make({ name: "Twin" })).body];
    expect(a.id).not.toBe(b.id);
    expect(a.webhook_secret).not.toBe(b.webhook_secret);
    expect(a.api_key.token).not.toBe(b.api_key.token);
    expect(a.api_key.access_key.secret).not.toBe(b.api_key.access_key.secret);
  });

  test("has nothing readable of its key in D1", async () => {
    const { body } = await make({ name: "Secretive" });
    const tables = ["api_keys", "key_tokens", "organisations", "organisation_keys"];
    const rows = await Promise.all(
      tables.map((table) => env.DB.prepare(`select * from ${table}`).all()),
    );
    const stored = JSON.stringify(rows.map(({ results }) => results));
    expect(stored).toContain("Secretive");
    const secrets = [body.api_key.token, body.api_key.access_key.secret, body.webhook_secret];
    for (const secret of secrets) expect(stored).not.toContain(secret);
    expect(stored).not.toContain(body.webhook_secret.replace("whsec_", ""));
  });

  test.each([
    ["Cafe\u0301 Zürich", "Café Zürich"],
    ["x", "x"],
    ["😀".repeat(100), "😀".repeat(100)],
    ["株式会社", "株式会社"],
  ])("may be called %s", async (given, kept) => {
    expect((await make({ name: given })).body.name).toBe(kept);
  });

  test.each<[string, unknown, string, RegExp]>([
    ["no name", {}, "name", /string/],
    ["a name of null", { name: null }, "name", /string/],
    ["a name that is a number", { name: 7 }, "name", /string/],
    ["an empty name", { name: "" }, "name", /1 to 100/],
    ["a name of 101 characters", { name: "x".repeat(101) }, "name", /1 to 100/],
    ["a name with a line break", { name: "a\nb" }, "name", /control/],
    ["a name with an override", { name: "a\u202eb" }, "name", /bidirectional/],
    ["a field that nobody knows", { name: "A", plan: "free" }, "plan", /not a field/],
  ])("is refused with %s, and the error names the field", async (_, body, path, rule) => {
    const refused = await make(body);
    expect(refused.status).toBe(400);
    expectProblem(refused, "invalid-body");
    const problem = refused.body.errors.find((one: { path: string }) => one.path === path);
    expect(problem?.message).toMatch(rule);
  });

  test("is told every problem of its body at once", async () => {
    const { body } = await make({ name: "", plan: "free", tier: 1 });
    const paths = body.errors.map((one: { path: string }) => one.path);
    expect(paths.sort()).toEqual(["name", "plan", "tier"]);
  });
});

describe("the list of organisations", () => {
  test("shows all organisations once, newest first, page by page", async () => {
    const made: number[] = [];
    for (let i = 0; i < 5; i++) made.unshift((await make({ name: `Listed ${i}` })).body.id);
    const seen: number[] = [];
    let cursor: string | null = null;
    do {
      const next: Answer = await page(`?limit=2${cursor === null ? "" : `&cursor=${cursor}`}`);
      expect(Object.keys(next.body).sort()).toEqual(["data", "next_cursor"]);
      expect(next.body.data.length).toBeLessThanOrEqual(2);
      seen.push(...next.body.data.map((one: Organisation) => one.id));
      cursor = next.body.next_cursor;
    } while (cursor !== null);
    expect(seen.slice(0, 5)).toEqual(made);
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => b - a));
  });

  test("shows what an organisation is, and none of its secrets", async () => {
    const { body: made } = await make({ name: "Shown" });
    const { data } = (await page("?limit=1")).body;
    const { id, name, short, created_at } = made;
    expect(data).toEqual([{ id, name, short, created_at }]);
  });

  test("holds 30 organisations without a limit", async () => {
    await Promise.all(Array.from({ length: 31 }, () => make({ name: "Many" })));
    const { body } = await page("");
    expect(body.data).toHaveLength(30);
    expect(typeof body.next_cursor).toBe("string");
    expect((await page("?limit=100")).body.data.length).toBeGreaterThan(30);
  });

  test("keeps its place while organisations are made and deleted", async () => {
    const made: number[] = [];
    for (let i = 0; i < 4; i++) made.unshift((await make({ name: "Moving" })).body.id);
    const first = (await page("?limit=2")).body;
    await make({ name: "Later" });
    await remove(made[1] ?? 0);
    const second = (await page(`?limit=2&cursor=${first.next_cursor}`)).body;
    expect(second.data.map((one: Organisation) => one.id)).toEqual(made.slice(2));
  });

  test.each([
    ["limit=0", "limit"],
    ["limit=101", "limit"],
    ["limit=ten", "limit"],
    ["limit=", "limit"],
    ["cursor=abc", "cursor"],
    ["cursor=-1", "cursor"],
    ["cursor=", "cursor"],
    ["page=2", "page"],
  ])("is refused with ?%s, and the error names the parameter", async (query, path) => {
    const refused = await page(`?${query}`);
    expect(refused.status).toBe(400);
    expectProblem(refused, "invalid-parameter");
    expect(refused.body.errors[0].path).toBe(path);
  });
});

describe("the root token", () => {
  test.each<[string, () => Promise<string | undefined>]>([
    ["no credential", async () => undefined],
    ["another token", async () => "another-root-token-0123456789-0123456789"],
    ["the token and one character more", async () => `${env.DRAWBRIDGE_ROOT_TOKEN}x`],
    ["the token less one character", async () => env.DRAWBRIDGE_ROOT_TOKEN.slice(0, -1)],
    ["the token in capitals", async () => env.DRAWBRIDGE_ROOT_TOKEN.toUpperCase()],
    ["the deployment's secret", async () => env.DRAWBRIDGE_SECRET],
    ["an API key of every permission", async () => (await newOrganisation()).key],
  ])("is not %s", async (_, toKey) => {
    const key = await toKey();
    const victim = await newOrganisation();
    const credential = key === undefined ? {} : { key };
    const answers = [
      await call("POST", PATH, { ...credential, body: { name: "Intruder" }, ip: anyAddress() }),
      await call("GET", PATH, { ...credential, ip: anyAddress() }),
      await call("DELETE", `${PATH}/${victim.id}`, { ...credential, ip: anyAddress() }),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(401);
      expectProblem(answer, key === undefined ? "unauthenticated" : "not-the-root-token");
    }
    expect((await list(victim.key)).status).toBe(200);
  });
});

describe("deleting an organisation", () => {
  test("ends its keys at once, and hides it", async () => {
    const { id, key } = await newOrganisation();
    const second = await insertKey(id, { permissions: ["relays:read"] });
    expect((await list(key)).status).toBe(200);
    expect((await list(second.token)).status).toBe(200);
    const deleted = await remove(id);
    expect([deleted.status, deleted.text]).toEqual([204, ""]);
    expect((await list(key)).status).toBe(403);
    expect((await list(second.token)).status).toBe(403);
    const { data } = (await page("?limit=100")).body;
    expect(data.map((one: Organisation) => one.id)).not.toContain(id);
  });

  test("finds nothing a second time or under an unknown id", async () => {
    const { id } = await newOrganisation();
    await remove(id);
    const answers = [
      await remove(id),
      await remove(999_999_999),
      await remove("x"),
      await remove(0),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(404);
      expectProblem(answer, "organisation-not-found");
    }
  });

  test("leaves every other organisation as it was", async () => {
    const [gone, stays] = [await newOrganisation(), await newOrganisation()];
    const { session_id: id } = (await create(stays.key)).body;
    await remove(gone.id);
    await runSweep();
    expect((await read(stays.key, id)).status).toBe(200);
    expect((await list(stays.key)).body.total_count).toBe(1);
  });

  test("ends its sessions with the next sweep: no code and no link leads into them", async () => {
    const { id, key } = await newOrganisation();
    const session = (await create(key, { users: [{ ip: "1.1.1.1" }], join_code: true })).body;
    await remove(id);
    await runSweep();
    expect((await join(session.join_code)).status).toBe(404);
    const tokens = `session_token=${session.authorization_token}&user_token=${session.session_users[0].authorization_token}`;
    const upgrade = await call("GET", `${SESSIONS}/${session.session_id}/server?${tokens}`, {
      headers: { Upgrade: "websocket" },
    });
    expect(upgrade.status).toBe(404);
    const rows = await env.DB.prepare(
      "select count(*) as n from sessions where organisation_id = ?",
    )
      .bind(id)
      .first<{ n: number }>();
    expect(rows?.n).toBe(0);
  });
});

function expectProblem({ headers, status, body }: Answer, code: string): void {
  expect(headers.get("Content-Type")).toBe("application/problem+json");
  expect(body).toMatchObject({ status, code, request_id: headers.get("X-Request-Id") });
  for (const name of ["type", "title", "detail"]) expect(body[name]).toMatch(/./);
}
