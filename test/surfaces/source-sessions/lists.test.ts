/** The list of sessions: its form, its order, its cursors, its filters alone and in pairs. */
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { call } from "../../support/client";
import { insertKey } from "../../support/keys";
import { type Broker, create, idsOf, list, newBroker, remove } from "../../support/source-sessions";

/** What the tests know of a session, so that they can filter by themselves. */
interface Known {
  id: string;
  key: number;
  user: number;
  source: number;
  state: string;
  date_created: string;
  date_expired: string | null;
}

let broker: Broker;
/** Newest first, as a list has them. */
let known: Known[];

/**
 * Twelve sessions, about a minute apart, of two users, three sources, two keys and all four states.
 */
async function fill(): Promise<void> {
  broker = await newBroker();
  const { body: second } = await call("POST", "/users", {
    key: broker.key,
    body: { identifier: "user-2" },
  });
  const { token } = await insertKey(broker.id);
  const now = Date.now();
  for (let i = 0; i < 12; i++) {
    vi.useFakeTimers({ toFake: ["Date"], now: now + Math.min(i, 10) * 60_000 + i * 1_000 });
    const caller = { ...broker, key: i % 2 === 0 ? broker.key : token };
    const user = i % 3 === 0 ? second.id : broker.userId;
    const name = i % 4 === 3 ? "ann" : "jo";
    const password = i % 5 === 4 ? "wrong" : "abcd1234";
    // The last two stay pending: their account never answers.
    const identifier = i >= 10 ? `${name}+lost` : name;
    const { body } = await create(caller, {
      user,
      identifier,
      payload: { password, i },
      wait: i >= 10 ? 0 : 10,
    });
    if (i % 3 === 1 && body.state === "active") await remove(broker, body.id);
  }
  const { body } = await list(broker, "limit=1000");
  known = body.data.map(({ source, ...rest }: Known & { source: { id: number } }) => ({
    ...rest,
    source: source.id,
  }));
}

beforeAll(fill);
afterEach(() => vi.useRealTimers());

/**
 * Lists with the clock at the time when the sessions were created, so that the pending ones still
 * are pending.
 */
async function listed(query: string) {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.parse(known[0]?.date_created ?? "") + 5_000 });
  const page = await list(broker, query);
  if (page.status !== 200) throw new Error(`${query}: ${page.status} ${page.text}`);
  return page;
}

test("the sessions of these tests are of all kinds", () => {
  expect(known).toHaveLength(12);
  for (const state of ["active", "failed", "expired"]) {
    expect(known.filter((session) => session.state === state).length).toBeGreaterThan(1);
  }
  expect(new Set(known.map(({ key }) => key)).size).toBe(2);
  expect(new Set(known.map(({ user }) => user)).size).toBe(2);
});

test("the list of source sessions is newest first, ten to a page, and names its resource", async () => {
  const { body } = await listed("");
  expect(body).toEqual({
    resource: "list",
    url: "/sessions",
    has_more: true,
    total_count: 12,
    data: expect.any(Array),
  });
  expect(body.data.map(({ id }: Known) => id)).toEqual(known.slice(0, 10).map(({ id }) => id));
  expect(body.data[0]).toMatchObject({ resource: "session", source: { resource: "source" } });
});

test("the list of source sessions is empty for an organisation without sessions", async () => {
  const { body } = await list(await newBroker());
  expect(body).toEqual({
    resource: "list",
    url: "/sessions",
    has_more: false,
    total_count: 0,
    data: [],
  });
});

describe("the cursors of the list of sessions", () => {
  test("reach the whole list by after_id, page by page, without a gap", async () => {
    const walked: unknown[] = [];
    let after = "";
    for (let pages = 0; pages < 10; pages++) {
      const page = await listed(`limit=5${after}`);
      walked.push(...idsOf(page));
      if (!page.body.has_more) break;
      after = `&after_id=${walked.at(-1)}`;
    }
    expect(walked).toEqual(known.map(({ id }) => id));
  });

  test("end a page at before_id, and bound a range together", async () => {
    const ids = known.map(({ id }) => id);
    expect(idsOf(await listed(`before_id=${ids[4]}`))).toEqual(ids.slice(0, 4));
    const stretch = await listed(`after_id=${ids[2]}&before_id=${ids[7]}`);
    expect(idsOf(stretch)).toEqual(ids.slice(3, 7));
    expect(stretch.body.has_more).toBe(false);
    const part = await listed(`after_id=${ids[2]}&before_id=${ids[7]}&limit=2`);
    expect(idsOf(part)).toEqual(ids.slice(3, 5));
    expect(part.body.has_more).toBe(true);
  });

  test("work under filters, also from a session that the filter leaves out", async () => {
    const failed = known.filter(({ state }) => state === "failed").map(({ id }) => id);
    const other = known.find(({ state }) => state === "active")?.id ?? "";
    const behind = known.slice(known.findIndex(({ id }) => id === other) + 1).map(({ id }) => id);
    expect(idsOf(await listed(`state=failed&after_id=${other}`))).toEqual(
      failed.filter((id) => behind.includes(id)),
    );
  });

  test.each(["after_id", "before_id"])(
    "are refused when %s names no session of the caller",
    async (name) => {
      const other = await newBroker();
      const foreign = (await create(other, { identifier: "jo+lost" })).body.id;
      for (const id of [foreign, "ses_AAAAAAAAAAAAAAAAAAAAAA"]) {
        const { status, body } = await list(broker, `${name}=${id}`);
        expect(status).toBe(404);
        expect(body).toMatchObject({ error: "not-found", message: expect.stringContaining(name) });
      }
      const { status, body } = await list(broker, `${name}=7`);
      expect(status).toBe(400);
      expect(body).toMatchObject({
        error: "invalid-parameter",
        params: { [name]: expect.any(String) },
      });
    },
  );
});

/** Each filter, with the sessions that it shows. */
function filters(): [string, (session: Known) => boolean][] {
  const middle = known[6]?.date_created ?? "";
  const expired = known.find(({ state }) => state === "expired")?.date_expired ?? "";
  const { key, user, source } = known[5] as Known;
  const compare: [string, (a: string, b: string) => boolean][] = [
    ["", (a, b) => a === b],
    ["[gt]", (a, b) => a > b],
    ["[gte]", (a, b) => a >= b],
    ["[lt]", (a, b) => a < b],
    ["[lte]", (a, b) => a <= b],
  ];
  return [
    [`key=${key}`, (session) => session.key === key],
    [`user=${user}`, (session) => session.user === user],
    [`source=${source}`, (session) => session.source === source],
    ...["pending", "active", "failed", "expired"].map(
      (state): [string, (session: Known) => boolean] => [
        `state=${state}`,
        (session) => session.state === state,
      ],
    ),
    ["state=active&state=failed", ({ state }) => state === "active" || state === "failed"],
    ...compare.flatMap(([bound, fits]): [string, (session: Known) => boolean][] => [
      [`date_created${bound}=${middle}`, (session) => fits(session.date_created, middle)],
      [
        `date_expired${bound}=${expired}`,
        (session) => session.date_expired !== null && fits(session.date_expired, expired),
      ],
    ]),
  ];
}

describe("the filters of the list of sessions", () => {
  test("show, one at a time, the sessions that they name and no others", async () => {
    for (const [query, fits] of filters()) {
      const expected = known.filter(fits).map(({ id }) => id);
      const page = await listed(`limit=1000&${query}`);
      expect(idsOf(page), query).toEqual(expected);
      expect(page.body.total_count, query).toBe(expected.length);
    }
  });

  test("show in pairs the sessions that both name", async () => {
    for (const [one, fitsOne] of filters()) {
      for (const [two, fitsTwo] of filters()) {
        // The same filter twice is not a pair. A state that is named twice means either one.
        if (one.split(/[[=]/)[0] === two.split(/[[=]/)[0] && one >= two) continue;
        const bothStates = one.startsWith("state") && two.startsWith("state");
        const expected = known.filter((session) =>
          bothStates ? fitsOne(session) || fitsTwo(session) : fitsOne(session) && fitsTwo(session),
        );
        const page = await listed(`limit=1000&${one}&${two}`);
        expect(idsOf(page), `${one} & ${two}`).toEqual(expected.map(({ id }) => id));
      }
    }
  }, 300_000);

  test("bound a range of time on both sides by date, in other offsets too", async () => {
    const from = known[8]?.date_created ?? "";
    const until = known[3]?.date_created ?? "";
    const shifted = new Date(Date.parse(until) + 2 * 3_600_000).toISOString().slice(0, 19);
    const query = `date_created[gt]=${from}&date_created[lt]=${encodeURIComponent(`${shifted}+02:00`)}`;
    expect(idsOf(await listed(query))).toEqual(known.slice(4, 8).map(({ id }) => id));
  });

  test.each([
    ["colour=red", "colour"],
    ["organisation=1", "organisation"],
    ["date_last_used=2018-08-22T10:25:05Z", "date_last_used"],
    ["date_created[ne]=2018-08-22T10:25:05Z", "date_created[ne]"],
    ["user[gt]=1", "user[gt]"],
    ["state=done", "state.0"],
    ["state=", "state.0"],
    ["key=first", "key"],
    ["user=", "user"],
    ["source=-1", "source"],
    ["date_created=yesterday", "date_created"],
    ["date_expired[gt]=2018-13-22T10:25:05Z", "date_expired[gt]"],
    ["limit=0", "limit"],
    ["limit=1001", "limit"],
    ["limit=ten", "limit"],
  ])("refuse %s, and the error names it", async (query, name) => {
    const { status, body } = await list(broker, query);
    expect(status).toBe(400);
    expect(body.error).toBe("invalid-parameter");
    expect(body.params[name], JSON.stringify(body)).toEqual(expect.any(String));
  });

  test("show nothing of another organisation", async () => {
    const other = await newBroker();
    for (const [query] of filters()) {
      expect((await list(other, query)).body.data, query).toEqual([]);
    }
  });
});
