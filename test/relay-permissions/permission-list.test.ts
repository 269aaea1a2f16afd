/**
 * Lists of permissions: their order, their totals, and that a page costs one page at 100,000 rows.
 */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { call, newOrganisation, type Tenant } from "../support/client";
import { at, create, register, set } from "../support/permissions";
import { rowsOf } from "../support/rows";

interface Row {
  connectionId: string;
  remoteConnectionId: string;
  direction: string;
  enabled: string;
}

const LIST = "/api/v2/relay/permission";

async function list(key: string, query = "", path = LIST) {
  const { status, body } = await call("GET", `${path}?${query}`, { key });
  expect(status).toBe(200);
  return body as { totalSize: number; fetchSize: number; permission: Row[] };
}

const nameOf = (row: Row) => `${row.connectionId}/${row.remoteConnectionId}/${row.direction}`;

describe("a list of relay permissions", () => {
  test("is in the order of its key, whatever the order in which rows were made", async () => {
    const { key } = await newOrganisation();
    await register(key, "b", "B", "a");
    for (const [local, remote, direction] of [
      ["b", "x", "send"],
      ["a", "y", "send"],
      ["b", "x", "receive"],
      ["B", "x", "send"],
      ["a", "x", "send"],
      ["a", "Z", "receive"],
    ] as const) {
      await create(key, local, remote, direction);
    }
    const ordered = ["B/x/send", "a/Z/receive", "a/x/send", "a/y/send", "b/x/receive", "b/x/send"];
    expect((await list(key)).permission.map(nameOf)).toEqual(ordered);
    const pages = await Promise.all(
      [0, 2, 4, 6].map((from) => list(key, `startIndex=${from}&maxResults=2`)),
    );
    expect(pages.flatMap(({ permission }) => permission.map(nameOf))).toEqual(ordered);
    expect(pages.map(({ totalSize, fetchSize }) => [totalSize, fetchSize])).toEqual([
      [6, 2],
      [6, 2],
      [6, 2],
      [6, 0],
    ]);
  });

  test("by startIndex keeps its pages while rows behind them are added and removed", async () => {
    const { key } = await newOrganisation();
    await register(key, "m", "z");
    for (const remote of ["a", "b", "c", "d"]) await create(key, "m", remote, "send");
    const first = await list(key, "maxResults=2");
    await create(key, "z", "a", "send");
    await call("DELETE", at("m", "d", "send"), { key });
    const second = await list(key, "startIndex=2&maxResults=2");
    const seen = [...first.permission, ...second.permission].map(nameOf);
    expect(seen).toEqual(["m/a/send", "m/b/send", "m/c/send", "z/a/send"]);
    await create(key, "m", "A", "send");
    const again = await list(key, "startIndex=2&maxResults=2");
    expect(again.permission.map(nameOf)).toEqual(["m/b/send", "m/c/send"]);
  });

  test("after a row shows each row that stays exactly once, whatever is added and removed before it", async () => {
    const { key } = await newOrganisation();
    await register(key, "m");
    const stays = ["b", "d", "f", "h", "j"].map((remote) => `m/${remote}/send`);
    for (const row of stays) await create(key, "m", row.charAt(2), "send");
    const seen: string[] = [];
    for (const [added, removed] of ["aa", "cb", "ec", "gd", "ie", "kf"].map((s) => [s[0], s[1]])) {
      const after = seen.at(-1);
      const page = await list(key, `maxResults=1${after ? `&after=${after}` : ""}`);
      seen.push(...page.permission.map(nameOf));
      await create(key, "m", added ?? "", "receive");
      await call("DELETE", at("m", removed ?? "", "receive"), { key });
    }
    expect(seen.filter((row) => stays.includes(row))).toEqual(stays);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test("agrees with its total under every filter, for all and for one connection", async () => {
    const { key } = await newOrganisation();
    await register(key, "a", "b");
    const rows: Row[] = [];
    for (const connectionId of ["a", "b"]) {
      for (const remoteConnectionId of ["a", "b", "c"]) {
        for (const direction of ["receive", "send"]) {
          const enabled = String((rows.length * 7) % 3 === 0);
          await create(key, connectionId, remoteConnectionId, direction, enabled);
          rows.push({ connectionId, remoteConnectionId, direction, enabled });
        }
      }
    }
    const gone = rows.splice(4, 1)[0] as Row;
    await call("DELETE", at(gone.connectionId, gone.remoteConnectionId, gone.direction), { key });
    const flipped = rows[6] as Row;
    flipped.enabled = String(flipped.enabled !== "true");
    await set(key, `${LIST}/${nameOf(flipped)}`, flipped.enabled === "true");

    for (const connectionId of [undefined, "a", "b"]) {
      for (const remoteConnectionId of [undefined, "a", "c", "none"]) {
        for (const direction of [undefined, "send", "receive"]) {
          for (const enabled of [undefined, "true", "false"]) {
            const filter = { remoteConnectionId, direction, enabled };
            const given = Object.entries(filter).filter(([, value]) => value !== undefined);
            const wanted = rows.filter(
              (row) =>
                (connectionId ?? row.connectionId) === row.connectionId &&
                given.every(([name, value]) => row[name as keyof Row] === value),
            );
            const path = connectionId === undefined ? LIST : `${LIST}/${connectionId}`;
            const query = new URLSearchParams(given as [string, string][]);
            const whole = await list(key, String(query), path);
            expect([path, String(query), whole.permission.map(nameOf)]).toEqual([
              path,
              String(query),
              wanted.map(nameOf),
            ]);
            expect([whole.totalSize, whole.fetchSize]).toEqual([wanted.length, wanted.length]);
            const rest = await list(key, `${query}&startIndex=1&maxResults=2`, path);
            expect(rest.permission.map(nameOf)).toEqual(wanted.slice(1, 3).map(nameOf));
            expect(rest.totalSize).toBe(wanted.length);
          }
        }
      }
    }
  });

  test.each([
    "startIndex=-1",
    "startIndex=x",
    "maxResults=0",
    "maxResults=1001",
    "direction=both",
    "enabled=yes",
    "remoteConnectionId=..",
    "after=a",
    "after=a/b/c",
    "after=a/b/send/x",
  ])("is refused with %s, which the error names", async (query) => {
    const { key } = await newOrganisation();
    const { status, body } = await call("GET", `${LIST}?${query}`, { key });
    expect(status).toBe(400);
    expect(body.errors).toMatchObject([{ path: query.split("=")[0] }]);
  });

  test("of connections is in the order of their ids, by startIndex and after an id", async () => {
    const { key } = await newOrganisation();
    await register(key, "c", "a", "B", "d");
    const path = "/connections/definition";
    const ids = async (query: string) => {
      const { body } = await call("GET", `${path}?${query}`, { key });
      expect(body.totalSize).toBe(4);
      return body.definitions.map(({ connectionId }: Row) => connectionId);
    };
    expect(await ids("")).toEqual(["B", "a", "c", "d"]);
    expect(await ids("startIndex=1&maxResults=2")).toEqual(["a", "c"]);
    expect(await ids("after=a")).toEqual(["c", "d"]);
  });
});

describe("a list of 100,000 relay permissions", () => {
  const PAGE = 30;
  let tenant: Tenant;

  beforeAll(async () => {
    tenant = await newOrganisation();
    // 500 connections, each with 100 remote connections in both directions; 30 of the rows are
    // enabled. Written with SQL, since 100,000 calls would take minutes; the counts are as the
    // calls would have left them.
    const numbers = (name: string, to: number) =>
      `${name}(n) as (select 0 union all select n + 1 from ${name} where n + 1 < ${to})`;
    await env.DB.batch([
      env.DB.prepare(
        `with recursive ${numbers("l", 500)} insert into connections
           select ${tenant.id}, printf('c%04d', n), '' from l`,
      ),
      env.DB.prepare(`insert into connection_counts values (${tenant.id}, 500)`),
      env.DB.prepare(
        `with recursive ${numbers("l", 500)}, ${numbers("r", 100)},
           d(direction) as (values ('send'), ('receive'))
         insert into relay_permissions
           select ${tenant.id}, printf('c%04d', l.n), printf('r%04d', r.n), direction,
             r.n = 50 and direction = 'send' and l.n % 17 = 0, '', 1 from l, r, d`,
      ),
      ...[
        ["all", "''"],
        ["local", "connection_id"],
        ["remote", "remote_connection_id"],
      ].map(([side, id]) =>
        env.DB.prepare(
          `insert into relay_permission_counts select ${tenant.id}, '${side}', ${id},
             sum(direction = 'send' and enabled), sum(direction = 'send' and not enabled),
             sum(direction = 'receive' and enabled), sum(direction = 'receive' and not enabled)
           from relay_permissions where organisation_id = ${tenant.id} group by 3`,
        ),
      ),
    ]);
  });

  /**
   * The most rows that a page of `PAGE` may cost: its own, and where it is filtered an index entry
   * for each.
   */
  const page = { plain: PAGE + 5, filtered: 2 * PAGE + 10 };

  test.each([
    ["", LIST, 100_000, page.plain],
    ["", `${LIST}/c0250`, 200, page.plain],
    ["after=c0499/r0000/receive", LIST, 100_000, page.plain],
    ["after=c0250/r0090/receive", `${LIST}/c0250`, 200, page.plain],
    ["after=c0249/r0090/receive", `${LIST}/c0250`, 200, page.plain],
    ["after=c0251/r0000/receive", `${LIST}/c0250`, 200, page.plain],
    ["direction=receive&after=c0250/r0090/receive", `${LIST}/c0250`, 100, page.filtered],
    ["direction=receive", LIST, 50_000, page.filtered],
    ["direction=receive&after=c0400/r0050/send", LIST, 50_000, page.filtered],
    ["enabled=false", LIST, 99_970, page.filtered],
    ["enabled=true", LIST, 30, page.filtered],
    ["enabled=true&after=c0300/r0000/send", LIST, 30, page.filtered],
    ["enabled=true&direction=receive", LIST, 0, page.filtered],
    ["remoteConnectionId=r0050", LIST, 1_000, page.filtered],
    ["remoteConnectionId=r0050&enabled=true", LIST, 30, page.filtered],
    ["remoteConnectionId=r0050&direction=send&enabled=false", LIST, 470, page.filtered],
    ["remoteConnectionId=nobody", LIST, 0, page.filtered],
    ["direction=send&enabled=false", `${LIST}/c0250`, 100, page.filtered],
    ["enabled=true", `${LIST}/c0017`, 1, page.filtered],
    ["remoteConnectionId=r0050&enabled=true", `${LIST}/c0017`, 1, page.filtered],
  ])(
    "with the query %s at %s costs one page, its total included",
    async (query, path, total, most) => {
      const key = tenant.key;
      await list(key, "maxResults=1");
      let found: Awaited<ReturnType<typeof list>> | undefined;
      const rows = await rowsOf(async () => {
        found = await list(key, query, path);
      });
      expect(found?.totalSize).toBe(total);
      expect(rows.d1Read).toBeLessThanOrEqual(most);
      expect(rows.d1Written).toBe(0);
    },
  );

  test("reads what it skips for a page far from its ends, and nothing else", async () => {
    await list(tenant.key, "maxResults=1");
    const rows = await rowsOf(() => list(tenant.key, "startIndex=5000"));
    expect(rows.d1Read).toBeGreaterThan(5_000);
    expect(rows.d1Read).toBeLessThanOrEqual(5_000 + page.plain);
  });

  test.each([
    ["", 100_000],
    ["&direction=receive", 50_000],
    ["&enabled=false", 99_970],
    ["&remoteConnectionId=r0051", 1_000],
  ])(
    "reads one page for the page after another, and for the last, by startIndex (%s)",
    async (filter, total) => {
      await list(tenant.key, "maxResults=1");
      const read = async (query: string) => {
        let found: Awaited<ReturnType<typeof list>> | undefined;
        const rows = await rowsOf(async () => {
          found = await list(tenant.key, `${query}${filter}`);
        });
        return { names: found?.permission.map(nameOf) ?? [], cost: rows.d1Read };
      };
      const middle = Math.floor(total / 3);
      const [one, two, last] = [
        await read(`startIndex=${middle}`),
        await read(`startIndex=${middle + PAGE}`),
        await read(`startIndex=${total - 10}`),
      ];
      const [before] = one.names.slice(-1);
      const following = await read(`after=${before}`);
      expect(two.names).toEqual(following.names);
      expect(two.names).toHaveLength(PAGE);
      expect(last.names).toHaveLength(10);
      expect((await read(`after=${last.names[0]}`)).names).toEqual(last.names.slice(1));
      expect((await read(`startIndex=${total}`)).names).toEqual([]);
      // Up to a thousand rows are skipped: only a list that is longer is read from elsewhere.
      if (total <= 1_000) return;
      expect(two.cost).toBeLessThanOrEqual(page.filtered);
      expect(last.cost).toBeLessThanOrEqual(page.filtered);
    },
  );

  test("has no rows of a connection that is not registered, however deep", async () => {
    for (const startIndex of [0, 5_000, 10_000_000]) {
      const path = `${LIST}/nobody?startIndex=${startIndex}`;
      const { status, body } = await call("GET", path, { key: tenant.key });
      expect([status, body.code]).toEqual([404, "connection-not-found"]);
    }
  });

  test("costs one page of definitions to find a connection", async () => {
    const { key } = tenant;
    await list(key, "maxResults=1");
    const rows = await rowsOf(() => call("GET", "/connections/definition?after=c0400", { key }));
    expect(rows.d1Read).toBeLessThanOrEqual(page.plain);
  });
});
