/** What lists and commands of relay sessions cost in rows where there are thousands of sessions. */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import type { Tenant } from "../support/client";
import { rowsOf, written } from "../support/rows";
import { authorize, create, list, remove } from "../support/sessions";
import { pair, recorded, settledSession, warmTenant } from "../support/settled-sessions";

describe("an organisation with 3,000 ended and 300 live sessions, and neighbours with as many,", () => {
  test.each([
    ["the first page", "?limit=20", 20, 20 + 1],
    ["the second page", "?limit=20&page=2", 20, 40 + 1],
    ["a page of one hundred", "?limit=100&page=3", 100, 300 + 1],
    ["a page past the last", "?limit=100&page=9", 0, 300 + 1 + 1],
  ])(
    "reads for %s the live rows up to its end, and the count",
    async (_, query, sessions, rowsRead) => {
      await settledSession();
      const [before, tenant, after] = [await warmTenant(), await warmTenant(), await warmTenant()];
      for (const { id } of [before, tenant, after]) {
        await insertSessions(id, { count: 3_000, ended: true });
        await insertSessions(id, { count: 300, ended: false });
      }
      let page = await list(tenant.key);
      const rows = await rowsOf(async () => {
        page = await list(tenant.key, query);
      });
      expect(page.body).toMatchObject({ total_count: 300 });
      expect(page.body.sessions).toHaveLength(sessions);
      expect(rows).toEqual({ d1Read: rowsRead, d1Written: 0, objectRead: 0, objectWritten: 0 });
    },
  );

  test("creates, authorizes and deletes with as few rows as without them", async () => {
    const [small, large] = [await warmTenant(), await warmTenant()];
    await create(small.key);
    await recorded(small, 1);
    await create(large.key);
    await recorded(large, 1);
    await insertSessions(large.id, { count: 3_000, ended: true });
    await insertSessions(large.id, { count: 300, ended: false });
    const life = async (tenant: Tenant) =>
      rowsOf(async () => {
        const { body } = await create(tenant.key, pair);
        await authorize(tenant.key, body.session_id);
        await remove(tenant.key, body.session_id);
      });
    const [cheap, alsoCheap] = [await life(small), await life(large)];
    expect(alsoCheap.d1Read).toBeLessThanOrEqual(cheap.d1Read);
    expect(written(alsoCheap)).toBe(written(cheap));
  });
});

/**
 * Puts rows of sessions without objects into the table, as the Worker would, and counts the live
 * ones.
 */
async function insertSessions(
  organisationId: number,
  { count, ended }: { count: number; ended: boolean },
): Promise<void> {
  const { results } = await env.DB.prepare("select state from sessions limit 1").all<{
    state: string;
  }>();
  const endedAt = ended ? Date.now() : null;
  const state = JSON.stringify({
    ...JSON.parse(results[0]?.state ?? "{}"),
    organisationId,
    expiresAt: Date.now() + 3_600_000,
  });
  await env.DB.batch([
    env.DB.prepare(
      `insert into sessions (organisation_id, kind, ended, created_at, id, ended_at, version, announced,
         sweep_at, state)
       with recursive n (i) as (select 1 union all select i + 1 from n where i < ?1)
       select ?2, 'relay', ?3, 1000000 + i, printf('%012x-S', i + ?3 * 100000), ?4, 1, 1,
              iif(?3, null, 9000000000000), ?5 from n`,
    ).bind(count, organisationId, Number(ended), endedAt, state),
    env.DB.prepare(
      `insert into session_counts (organisation_id, kind, live) values (?1, 'relay', ?2)
       on conflict do update set live = live + ?2`,
    ).bind(organisationId, ended ? 0 : count),
  ]);
}
