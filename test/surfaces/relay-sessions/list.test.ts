/**
 * The list shows an organisation's live sessions, newest first, in pages, and every change at once.
 */
import { afterEach, describe, expect, test, vi } from "vitest";
import { call, newOrganisation } from "../../support/client";
import { withD1 } from "../../support/d1";
import { authorize, create, idsOf, list, remove, revoke } from "../../support/sessions";

afterEach(() => {
  vi.useRealTimers();
});

/** Sessions created one after the other, newest first. */
async function makeSessions(key: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.unshift((await create(key)).body.session_id);
  return ids;
}

test("the list of relay sessions is empty for an organisation without sessions", async () => {
  const { key } = await newOrganisation();
  const { status, body } = await list(key);
  expect(status).toBe(200);
  expect(body).toEqual({
    sessions: [],
    total_count: 0,
    pagination: {
      number: 1,
      next_page_number: null,
      previous_page_number: null,
      paginator: { num_pages: 0 },
      has_next: false,
      has_previous: false,
    },
  });
});

describe("the pages of the list of relay sessions", () => {
  test("together hold every session once, newest first, and name the pages around them", async () => {
    const { key } = await newOrganisation();
    // A second apart each, so that the order of time is not that of the ids.
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      vi.setSystemTime(now + i * 1_000);
      ids.unshift((await create(key)).body.session_id);
    }
    const pages = [
      { number: 1, next: 2, previous: null, ids: ids.slice(0, 2) },
      { number: 2, next: 3, previous: 1, ids: ids.slice(2, 4) },
      { number: 3, next: null, previous: 2, ids: ids.slice(4) },
    ];
    for (const { number, next, previous, ids: expected } of pages) {
      const page = await list(key, `?page=${number}&limit=2`);
      expect(idsOf(page)).toEqual(expected);
      expect(page.body.total_count).toBe(5);
      expect(page.body.pagination).toEqual({
        number,
        next_page_number: next,
        previous_page_number: previous,
        paginator: { num_pages: 3 },
        has_next: next !== null,
        has_previous: previous !== null,
      });
    }
  });

  test.each([4, 5, 999_999_999_999_999])("are empty past the last one: page %i", async (number) => {
    const { key } = await newOrganisation();
    await makeSessions(key, 3);
    const { status, body } = await list(key, `?page=${number}&limit=1`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ sessions: [], total_count: 3 });
    expect(body.pagination).toMatchObject({ number, next_page_number: null, has_next: false });
  });

  test("hold 20 sessions without a limit, and 100 with the largest", async () => {
    const { key } = await newOrganisation();
    const ids = await makeSessions(key, 21);
    const first = await list(key);
    expect(idsOf(first)).toHaveLength(20);
    expect(first.body.pagination).toMatchObject({ next_page_number: 2, has_next: true });
    expect(new Set([...idsOf(first), ...idsOf(await list(key, "?page=2"))])).toEqual(new Set(ids));
    expect(idsOf(await list(key, "?limit=100"))).toHaveLength(21);
  });

  test("have no page after one that is exactly full", async () => {
    const { key } = await newOrganisation();
    await makeSessions(key, 2);
    const { body } = await list(key, "?limit=2");
    expect(body.pagination).toMatchObject({ has_next: false, paginator: { num_pages: 1 } });
  });
});

test.each([
  "page=0",
  "page=-1",
  "page=1.5",
  "page=",
  "page=one",
  "page=1e1",
  "page=0x1",
  "page=%201",
  "page=9999999999999999",
  "page=1&page=0",
  "limit=0",
  "limit=101",
  "limit=-1",
  "limit=",
  "limit=2.0",
  "limit=all",
  "limit=%F0%9F%98%80",
])(
  "a list of relay sessions with ?%s is refused, and the error names the parameter",
  async (query) => {
    const { key } = await newOrganisation();
    const { status, body } = await list(key, `?${query}`);
    expect(status).toBe(400);
    expect(Object.keys(body)).toEqual(["message", "code"]);
    expect(body.message).toContain(`${query.split("=")[0]} must be a whole number from 1`);
  },
);

test("a list of relay sessions ignores unknown parameters", async () => {
  const { key } = await newOrganisation();
  await makeSessions(key, 1);
  expect((await list(key, "?status=READY&__proto__=1")).body.total_count).toBe(1);
});

describe("the list of relay sessions", () => {
  test("shows a session right after its create, and not right after its end", async () => {
    const { key } = await newOrganisation();
    for (let i = 0; i < 5; i++) {
      const { session_id: id } = (await create(key)).body;
      const shown = await list(key);
      expect(idsOf(shown)).toEqual([id]);
      expect(shown.body.total_count).toBe(1);
      await remove(key, id);
      expect((await list(key)).body).toMatchObject({ sessions: [], total_count: 0 });
    }
  });

  test("shows a change of the users right after it", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key)).body;
    const { authorization_token: token } = (await authorize(key, id)).body.session_user;
    const users = async () => (await list(key)).body.sessions[0].session_users;
    expect((await users())[0].authorization_token).toBe(token);
    await revoke(key, id, token);
    expect(await users()).toEqual([]);
  });

  test("shows a change right after it also when D1 is slow", async () => {
    const { key } = await newOrganisation();
    // Long enough for the list to be answered before the change is in D1, if nobody waited for it.
    const slowly = async (sql: string) => {
      if (!sql.includes('insert into "sessions"')) return;
      for (let i = 0; i < 5; i++) await call("GET", "/v1/health");
    };
    await withD1(slowly, async () => {
      const { session_id: id } = (await create(key)).body;
      expect(idsOf(await list(key))).toEqual([id]);
      await authorize(key, id);
      expect((await list(key)).body.sessions[0].session_users).toHaveLength(1);
      await remove(key, id);
      expect(idsOf(await list(key))).toEqual([]);
    });
  });

  test("shows and counts all of many simultaneous creates right after them", async () => {
    const { key } = await newOrganisation();
    const made = await Promise.all(Array.from({ length: 12 }, () => create(key)));
    const page = await list(key);
    expect(new Set(idsOf(page))).toEqual(new Set(made.map(({ body }) => body.session_id)));
    expect(page.body.total_count).toBe(12);
  });
});

test("a list of relay sessions shows ready sessions only while their time is not over", async () => {
  const { key } = await newOrganisation();
  const { session_id: brief } = (await create(key, { ttl_seconds: 60 })).body;
  const { session_id: long } = (await create(key, { ttl_seconds: 600, idle_seconds: 600 })).body;
  expect(new Set(idsOf(await list(key)))).toEqual(new Set([brief, long]));
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
  expect(idsOf(await list(key))).toEqual([long]);
});
