/**
 * The header X-D1-Bookmark, with read replication on: lists from a copy of D1 that is near, and no caller
 * misses what they have changed, however far the copy lags.
 */
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { NEAR_MS, NEAR_PAUSE_MS } from "../../src/db/near";
import { OPERATIONS } from "../../src/surfaces/all";
import { call, newOrganisation, type Tenant } from "../support/client";
import { otherIsolate } from "../support/isolates";
import { LaggingD1 } from "../support/lagging-d1";

type Isolate = Awaited<ReturnType<typeof otherIsolate>>;

const PATH = "/v1/applications";
const d1 = new LaggingD1();
let there: Isolate;
/** Another isolate beside it, with a memory of its own. */
let beside: Isolate;
let tenant: Tenant;
let now = Date.now();

beforeAll(async () => {
  there = await otherIsolate({ DB: d1.binding });
  beside = await otherIsolate({ DB: d1.binding });
});

beforeEach(async () => {
  // So much later that the isolates trust nothing that they know from the test before.
  now += 2 * NEAR_PAUSE_MS;
  vi.useFakeTimers({ toFake: ["Date"], now });
  tenant = await newOrganisation();
});

afterEach(() => {
  vi.useRealTimers();
});

const withBookmark = (bookmark: string | null) => ({
  key: tenant.key,
  headers: bookmark === null ? undefined : { "X-D1-Bookmark": bookmark },
});

/** The names in the list, and the bookmark of the answer. */
async function list(isolate: Isolate, bookmark: string | null) {
  const { headers, ...rest } = withBookmark(bookmark);
  const answer = await isolate("GET", PATH, { ...rest, ...(headers ? { headers } : {}) });
  expect(answer.status).toBe(200);
  return {
    names: answer.body.data.map(({ name }: { name: string }) => name),
    bookmark: answer.headers.get("X-D1-Bookmark"),
  };
}

/** Somebody else makes an application, elsewhere. */
async function makeElsewhere(name: string) {
  const made = await call("POST", PATH, { key: tenant.key, body: { name } });
  expect(made.status).toBe(201);
}

/** A bookmark of that isolate, which the copy has reached. */
async function currentBookmark(isolate: Isolate): Promise<string> {
  const { bookmark } = await list(isolate, "latest");
  await d1.catchUp();
  expect(bookmark).toMatch(/^[0-9a-f]/);
  return bookmark ?? "";
}

const lists = OPERATIONS.filter(({ readsNearby }) => readsNearby);
/** They ask journals, which are where they are; or nothing. */
const OTHER_LISTS = [
  "listEvents",
  "listRicloudEvents",
  "listWebhookDeliveries",
  "listSignInMethods",
];

describe("every list of what is in D1", () => {
  test("can come from a copy", () => {
    const all = OPERATIONS.filter(({ id }) => /^list[A-Z]/.test(id)).map(({ id }) => id);
    expect(all.filter((id) => !OTHER_LISTS.includes(id)).sort()).toEqual(
      lists.map(({ id }) => id).sort(),
    );
  });

  test.each(lists.map((each) => [each.id, each] as const))(
    "%s reads nothing elsewhere",
    async (_, { path, caller, example: { params = {} } }) => {
      const bookmark = await currentBookmark(there);
      const url = path.replace(/\{(\w+)\}/g, (_, name: string) => params[name] ?? "");
      const key = caller.by === "root" ? env.DRAWBRIDGE_ROOT_TOKEN : tenant.key;
      d1.plain.length = 0;
      d1.served.length = 0;
      const answer = await there("GET", url, { key, headers: { "X-D1-Bookmark": bookmark } });
      expect([200, 404]).toContain(answer.status);
      expect(d1.served[0]?.by).toBe("copy");
      expect(d1.plain.filter((sql) => /^select/i.test(sql))).toEqual([]);
    },
  );
});

describe("a caller without a bookmark", () => {
  test("gets lists from the primary, and no bookmark", async () => {
    await currentBookmark(there);
    await makeElsewhere("new");
    expect(await list(there, null)).toEqual({ names: ["new"], bookmark: null });
  });

  test("is told none after a change", async () => {
    const made = await there("POST", PATH, { key: tenant.key, body: { name: "new" } });
    expect([made.status, made.headers.get("X-D1-Bookmark")]).toEqual([201, null]);
  });
});

describe("a caller with a bookmark", () => {
  test("gets lists from the copy for five seconds, and keeps the bookmark", async () => {
    const bookmark = await currentBookmark(there);
    await makeElsewhere("new");
    vi.setSystemTime(now + NEAR_MS - 1);
    expect(await list(there, bookmark)).toEqual({ names: [], bookmark: null });
    vi.setSystemTime(now + NEAR_MS);
    expect(await list(there, bookmark)).toEqual({ names: ["new"], bookmark: null });
  });

  test("sees at once what they have changed", async () => {
    const bookmark = await currentBookmark(there);
    const made = await there("POST", PATH, {
      ...withBookmark(bookmark),
      headers: { "X-D1-Bookmark": bookmark },
      body: { name: "mine" },
    });
    expect([made.status, made.headers.get("X-D1-Bookmark")]).toEqual([201, "latest"]);
    const after = await list(there, "latest");
    expect(after.names).toEqual(["mine"]);
    // The copy is still behind. So it is not asked, or not waited for long.
    expect((await list(there, after.bookmark)).names).toEqual(["mine"]);
  });

  test("sees it in another isolate, which has heard nothing of the change", async () => {
    const bookmark = await currentBookmark(beside);
    await there("POST", PATH, { key: tenant.key, body: { name: "mine" } });
    const after = await list(there, "latest");
    expect(await list(beside, bookmark)).toEqual({ names: [], bookmark: null });
    expect(await list(beside, after.bookmark)).toEqual({ names: ["mine"], bookmark: null });
  });

  test("sees a relay session that they have made, which its Durable Object has written", async () => {
    const bookmark = await currentBookmark(there);
    const headers = { "X-D1-Bookmark": bookmark };
    const path = "/v1/relays/sessions";
    const made = await there("POST", path, { key: tenant.key, headers, body: { users: [] } });
    const old = await there("GET", path, { key: tenant.key, headers });
    expect(old.body.sessions).toEqual([]);
    const sent = { "X-D1-Bookmark": made.headers.get("X-D1-Bookmark") ?? "" };
    const listed = await there("GET", path, { key: tenant.key, headers: sent });
    expect(listed.body.sessions).toMatchObject([{ session_id: made.body.session_id }]);
  });

  test("is told `latest` by a refused change too, since it says nothing of what was stored", async () => {
    const headers = { "X-D1-Bookmark": await currentBookmark(there) };
    const refused = await there("POST", PATH, { key: tenant.key, headers, body: {} });
    expect([refused.status, refused.headers.get("X-D1-Bookmark")]).toEqual([400, "latest"]);
  });

  test("gets what the copy does not have yet from the primary, where the list names it", async () => {
    const headers = { "X-D1-Bookmark": await currentBookmark(there) };
    const made = await call("POST", PATH, { key: tenant.key, body: { name: "new" } });
    const devices = await there("GET", `${PATH}/${made.body.id}/devices`, {
      key: tenant.key,
      headers,
    });
    expect([devices.status, devices.body?.data]).toEqual([200, []]);
  });

  test("does not wait long for a copy that is far behind", async () => {
    const { bookmark } = await list(there, "latest");
    await makeElsewhere("new");
    expect((await list(there, bookmark)).names).toEqual(["new"]);
  });

  test.each([
    ["of another database", "ffffffff-ffffffff-ffffffff-ffffffffffffffffffffffffffffffff"],
    ["that is a word of D1", "first-unconstrained"],
    ["that is none", "zzz"],
    ["that is very long", "~".repeat(4_000)],
    ["that is empty", ""],
  ])("%s gets the primary's list, and a bookmark", async (_, sent) => {
    await currentBookmark(there);
    await makeElsewhere("new");
    const answer = await list(there, sent);
    expect(answer.names).toEqual(["new"]);
    expect(answer.bookmark).toMatch(/^[0-9a-f]/);
    expect(answer.bookmark).not.toBe(sent);
  });

  test.each(["0", "-"])("that is too old (%j) gets what any caller gets", async (sent) => {
    await currentBookmark(there);
    await makeElsewhere("new");
    expect((await list(there, sent)).names).toEqual([]);
  });
});
