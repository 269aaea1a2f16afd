/** Users, sources, the organisation and its keys; and that each caller sees only their own. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Answer, call, newOrganisation, type Tenant } from "../../support/client";
import { moveClock } from "../../support/clock";
import { LIMIT_MS } from "../../support/eventually";
import { insertKey, newKey } from "../../support/keys";
import { rowsOf } from "../../support/rows";
import {
  answerWith,
  create,
  idsOf,
  newActive,
  newBroker,
  newConnector,
  remove,
} from "../../support/source-sessions";

afterEach(() => vi.useRealTimers());

function post(tenant: Tenant, path: string, body?: unknown): Promise<Answer> {
  return call("POST", path, { key: tenant.key, ...(body === undefined ? {} : { body }) });
}

function get(tenant: Tenant, path: string): Promise<Answer> {
  return call("GET", path, { key: tenant.key });
}

describe("a user of source sessions", () => {
  test("is found or made by its identifier, in any Unicode composition", async () => {
    const tenant = await newOrganisation();
    const made = await post(tenant, "/users", { identifier: "Zo\u00eb" });
    expect(made.status).toBe(201);
    expect(made.body).toEqual({
      id: 1,
      resource: "user",
      organisation: tenant.id,
      identifier: "Zo\u00eb",
      date_created: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    });
    const found = await post(tenant, "/users", { identifier: "Zoe\u0308" });
    expect(found.body).toEqual(made.body);
    const all = await Promise.all(
      Array.from({ length: 5 }, () => post(tenant, "/users", { identifier: "at once" })),
    );
    expect(new Set(all.map(({ body }) => body.id))).toEqual(new Set([2]));
    expect((await get(tenant, "/users/2")).body.identifier).toBe("at once");
  });

  test("is listed newest first, by pages, and by identifier", async () => {
    const tenant = await newOrganisation();
    for (const identifier of ["a", "b", "c", "d"]) await post(tenant, "/users", { identifier });
    const page = await get(tenant, "/users?limit=2");
    expect(page.body).toMatchObject({
      resource: "list",
      url: "/users",
      has_more: true,
      total_count: 4,
    });
    expect(idsOf(page)).toEqual([4, 3]);
    expect(idsOf(await get(tenant, "/users?after_id=3"))).toEqual([2, 1]);
    expect(idsOf(await get(tenant, "/users?before_id=3"))).toEqual([4]);
    const named = await get(tenant, "/users?identifier=b");
    expect(named.body).toMatchObject({ has_more: false, total_count: 1, data: [{ id: 2 }] });
    expect((await get(tenant, "/users?name=b")).body.error).toBe("invalid-parameter");
  });

  test("can be renamed, but not to another user's identifier", async () => {
    const tenant = await newOrganisation();
    for (const identifier of ["a", "b"]) await post(tenant, "/users", { identifier });
    expect((await post(tenant, "/users/1", { identifier: "c" })).body.identifier).toBe("c");
    const taken = await post(tenant, "/users/1", { identifier: "b" });
    expect(taken.status).toBe(400);
    expect(taken.body).toMatchObject({ params: { identifier: expect.any(String) } });
    expect((await post(tenant, "/users/1", { identifier: "c" })).status).toBe(200);
    expect((await get(tenant, "/users/1")).body.identifier).toBe("c");
  });

  test.each([[{}], [{ identifier: "" }], [{ identifier: 7 }], [{ identifier: "a\u202eb" }]])(
    "is refused with %j",
    async (body) => {
      const { status, body: refusal } = await post(await newOrganisation(), "/users", body);
      expect(status).toBe(400);
      expect(refusal).toMatchObject({ params: { identifier: expect.any(String) } });
    },
  );
});

describe("a source", () => {
  test("is found or made by user, type and identifier", async () => {
    const broker = await newBroker();
    const spec = { user: broker.userId, type: "icloud.account", identifier: "jo" };
    const made = await post(broker, "/sources", spec);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ id: 1, resource: "source", state: "unvalidated", ...spec });
    expect((await post(broker, "/sources", spec)).body).toEqual(made.body);
    expect((await post(broker, "/sources", { ...spec, type: "mocks.mock" })).body.id).toBe(2);
    const session = await create(broker, { wait: 10 });
    expect(session.body.source.id).toBe(2);
    expect((await get(broker, "/sources/2")).body.state).toBe("active");
    const unknown = await post(broker, "/sources", { ...spec, user: 99 });
    expect(unknown.body).toMatchObject({
      error: "invalid-parameter",
      params: { user: expect.any(String) },
    });
  });

  test("is listed by each filter alone and in pairs", async () => {
    const broker = await newBroker();
    await post(broker, "/users", { identifier: "second" });
    const made: { id: number; user: number; type: string; identifier: string; state: string }[] =
      [];
    for (let i = 0; i < 12; i++) {
      const spec = { user: 1 + (i % 2), type: `type.${i % 3}`, identifier: `name-${i % 5}` };
      const { body } = await post(broker, "/sources", spec);
      const change = { state: "deactivated" };
      made.unshift(i % 4 === 0 ? (await post(broker, `/sources/${body.id}`, change)).body : body);
    }
    expect(made).toHaveLength(12);
    const filters: [string, (source: (typeof made)[number]) => boolean][] = [
      ["user=2", ({ user }) => user === 2],
      ["type=type.1", ({ type }) => type === "type.1"],
      ["identifier=name-2", ({ identifier }) => identifier === "name-2"],
      ["state=deactivated", ({ state }) => state === "deactivated"],
      ["state=unvalidated", ({ state }) => state === "unvalidated"],
    ];
    for (const [one, fitsOne] of filters) {
      const alone = await get(broker, `/sources?limit=1000&${one}`);
      expect(idsOf(alone), one).toEqual(made.filter(fitsOne).map(({ id }) => id));
      for (const [two, fitsTwo] of filters.filter(
        ([query]) => query.split("=")[0] !== one.split("=")[0],
      )) {
        const both = made.filter((source) => fitsOne(source) && fitsTwo(source));
        const page = await get(broker, `/sources?limit=1000&${one}&${two}`);
        expect(idsOf(page), `${one}&${two}`).toEqual(both.map(({ id }) => id));
      }
    }
    expect((await get(broker, "/sources")).body.total_count).toBe(12);
    for (const wrong of ["state=open", "user=jo", "colour=red", "after_id=x"]) {
      expect((await get(broker, `/sources?${wrong}`)).status, wrong).toBe(400);
    }
  });

  test("cannot be released from a state that the organisation may not change", async () => {
    const broker = await newBroker();
    await newActive(broker);
    for (const state of ["blocked", "locked"]) {
      await env.DB.prepare("update sources set state = ? where organisation_id = ?")
        .bind(state, broker.id)
        .run();
      const answer = await post(broker, "/sources/1", { state: "active" });
      expect(answer.status).toBe(400);
      expect(answer.body.params.state).toContain(state);
    }
    const blocked = await env.DB.prepare(
      "update sources set state = 'blocked' where organisation_id = ?",
    )
      .bind(broker.id)
      .run();
    expect(blocked.meta.changes).toBe(1);
    const refused = await create(broker, { payload: { password: "abcd1234", again: true } });
    expect(refused.status).toBe(403);
    expect(refused.body.error).toBe("source-blocked");
    expect((await post(broker, "/sources/1", { state: "locked" })).status).toBe(400);
  });

  test("that an admin blocks stays blocked, whatever a session finds out later", async () => {
    const broker = await newBroker();
    const { body } = await create(broker, { identifier: "jo+slow" });
    await env.DB.prepare("update sources set state = 'blocked' where organisation_id = ?")
      .bind(broker.id)
      .run();
    await env.SESSIONS.getByName(body.id).outcome(broker.id, LIMIT_MS);
    expect((await get(broker, `/sources/${body.source.id}`)).body.state).toBe("blocked");
  });

  test("keeps what the newest session has found out when an older one ends", async () => {
    const broker = await newBroker();
    const { type, mailbox } = await newConnector(broker, { result: "active" });
    const older = await newActive(broker, { type });
    await answerWith(mailbox, { result: "failed", error: "source-locked" });
    moveClock(1_000);
    const newer = await create(broker, { type, payload: {}, wait: 10 });
    expect(newer.body.source.state).toBe("locked");
    await remove(broker, older);
    expect((await get(broker, `/sources/${newer.body.source.id}`)).body.state).toBe("locked");
  });

  test("that is deactivated stays deactivated, whatever a session finds out meanwhile", async () => {
    const broker = await newBroker();
    const { body } = await create(broker, { identifier: "jo+slow" });
    await post(broker, `/sources/${body.source.id}`, { state: "deactivated" });
    const settled = await env.SESSIONS.getByName(body.id).outcome(broker.id, LIMIT_MS);
    expect(settled).toMatchObject({ session: { status: "active" } });
    expect((await get(broker, `/sources/${body.source.id}`)).body.state).toBe("deactivated");
  });

  describe("among 20,000 others", () => {
    /** The rare ones are old; none of the user's and the type's thousands is both. */
    async function fill(broker: Tenant) {
      await env.DB.prepare(
        `insert into sources (organisation_id, id, user_id, type, identifier, state, state_at, created_at)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
         select ?1, i, case when i < 20 then 7 when i > 15000 then 8 else 1 end,
           case when i < 20 then 'rare' when i between 10001 and 15000 or i % 1000 = 500 then 'other'
             else 'common' end,
           'name-' || i, case when i < 20 then 'locked' else 'active' end, 0, 0 from n`,
      )
        .bind(broker.id)
        .run();
    }

    test("costs one page to list by one filter, or by two of which one is narrow", async () => {
      const broker = await newBroker();
      await fill(broker);
      for (const query of [
        "",
        "user=7",
        "type=rare",
        "state=locked",
        "identifier=name-3",
        "user=1",
        "state=active",
      ]) {
        const { d1Read } = await rowsOf(() => get(broker, `/sources?${query}`));
        expect(d1Read, query).toBeLessThan(60);
      }
      for (const query of ["user=7&type=rare", "state=active&type=rare", "state=locked&user=1"]) {
        const { d1Read } = await rowsOf(() => get(broker, `/sources?${query}`));
        expect(d1Read, query).toBeLessThan(1_200);
      }
    });

    test("is searched for page by page where two filters have little in common", async () => {
      const broker = await newBroker();
      await fill(broker);
      const found: (string | number)[] = [];
      let after = "";
      let pages = 0;
      for (; pages < 20; pages++) {
        let page: Answer | undefined;
        const { d1Read } = await rowsOf(async () => {
          page = await get(broker, `/sources?user=8&type=other${after}`);
        });
        expect(d1Read).toBeLessThan(2 * 1_001 + 2_000 * 5 + 100);
        found.push(...idsOf(page as Answer));
        if (!page?.body.has_more) break;
        expect(page.body.total_count).toBeNull();
        after = `&after_id=${page.body.next_after_id}`;
      }
      expect(found).toEqual([19_500, 18_500, 17_500, 16_500, 15_500]);
      expect(pages).toBe(2);
    });
  });
});

describe("the caller", () => {
  test("is refused to a key from outside its allowlist, with a reason of its own", async () => {
    const tenant = await newOrganisation();
    const { token } = await newKey(tenant, { ipAllowlist: ["192.0.2.0/24"] });
    const answer = await call("GET", "/key", { key: token, ip: "198.51.100.1" });
    expect([answer.status, answer.body.error]).toEqual([403, "address-refused"]);
  });

  test("can read their organisation and their key with any key that works", async () => {
    const tenant = await newOrganisation("Acme & Sons");
    const { id, token } = await insertKey(tenant.id, { permissions: [] });
    const caller = { ...tenant, key: token };
    expect((await get(caller, "/organisation")).body).toMatchObject({
      id: tenant.id,
      resource: "organisation",
      name: "Acme & Sons",
    });
    const key = await get(caller, "/key");
    expect(key.body).toMatchObject({
      id,
      resource: "key",
      organisation: tenant.id,
      permissions: [],
    });
    expect(key.text).not.toContain(token.slice(0, 12));
    expect((await get(caller, `/keys/${id}`)).body).toEqual(key.body);
    const other = await newOrganisation();
    expect((await get(other, `/keys/${id}`)).status).toBe(404);
  });

  test("can read what another key holds only with the permission to read keys", async () => {
    const tenant = await newOrganisation();
    const seen = await insertKey(tenant.id, { permissions: ["relays:read", "accessFtp"] });
    for (const [held, permissions] of [
      [["sessions:read", "keys:write"], null],
      [["keys:read"], ["relays:read", "accessFtp"]],
    ] as const) {
      const caller = await insertKey(tenant.id, { permissions: [...held] });
      const told = await get({ ...tenant, key: caller.token }, `/keys/${seen.id}`);
      expect(told.body).toMatchObject({ id: seen.id, resource: "key", permissions });
      const own = await get({ ...tenant, key: caller.token }, `/keys/${caller.id}`);
      expect(own.body.permissions).toEqual(held);
    }
  });
});

describe("a call", () => {
  test("with an unknown path or a wrong method is refused in this surface's format", async () => {
    const { key } = await newOrganisation();
    const unknown = await call("GET", "/sessions/a/b", { key });
    expect(unknown.status).toBe(404);
    expect(unknown.body).toEqual({ error: "not-found", message: expect.any(String) });
    const wrong = await call("PATCH", "/sessions", { key });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get("Allow")).toContain("POST");
    expect(wrong.body.error).toBe("method-not-allowed");
  });

  test("without its permission is told what it lacks, in this surface's format", async () => {
    const { id } = await newOrganisation();
    const { token } = await insertKey(id, { permissions: ["sessions:read"] });
    const { status, body } = await call("POST", "/users", {
      key: token,
      body: { identifier: "a" },
    });
    expect(status).toBe(403);
    expect(body).toEqual({
      error: "missing-scope",
      message: expect.stringContaining("sessions:write"),
    });
    expect((await call("GET", "/users")).body.error).toBe("unauthorized");
  });

  test("on another organisation's ids is answered as if they did not exist", async () => {
    const [broker, other] = await Promise.all([newBroker(), newBroker()]);
    const id = await newActive(broker);
    // The ids of the other organisation exist here too: ids of users and sources count for each
    // organisation.
    await post(broker, "/users", { identifier: "user-2" });
    await post(broker, "/sources", { user: 2, type: "a.b", identifier: "jo" });
    for (const path of ["/users/2", "/sources/1", "/sources/2"]) {
      expect((await get(other, path)).status, path).toBe(404);
      expect((await post(other, path, {})).status, path).toBe(404);
    }
    const change = await post(other, "/sources/1", { state: "deactivated" });
    expect(change.status).toBe(404);
    expect((await get(broker, "/sources/1")).body.state).toBe("active");
    const never = `ses_${"A".repeat(22)}`;
    for (const [method, to] of [
      ["GET", (at: string) => `/sessions/${at}`],
      ["DELETE", (at: string) => `/sessions/${at}`],
      ["POST", (at: string) => `/v1/sessions/${at}:use`],
    ] as const) {
      const foreign = await call(method, to(id), { key: other.key });
      const unknown = await call(method, to(never), { key: other.key });
      expect(foreign.status).toBe(404);
      const text = ({ text: body, headers }: Answer) =>
        body.replaceAll(headers.get("X-Request-Id") ?? "-", "");
      expect(text(foreign)).toBe(text(unknown));
    }
    expect((await get(broker, `/sessions/${id}`)).body.state).toBe("active");
  });
});
