/** A deployment that has data is migrated without losing what it has promised. */
import { applyD1Migrations } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { runSweep } from "../support/sweep";

type Row = Record<string, unknown>;

/** All tables of the schema, and of what says which migrations were applied. */
async function dropAll(): Promise<void> {
  const { results } = await env.DB.prepare(
    "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' and name not like '\\_cf%' escape '\\'",
  ).all<{ name: string }>();
  for (const { name } of results) await env.DB.prepare(`drop table "${name}"`).run();
}

const rows = async (sql: string) => (await env.DB.prepare(sql).all<Row>()).results;

test("keys keep the grace of their last token, and connectors their secret", async () => {
  const before = env.TEST_MIGRATIONS.filter(({ name }) => name < "0008");
  await dropAll();
  await applyD1Migrations(env.DB, before);
  const key = `insert into api_keys (id, name, name_folded, organisation_ids, permissions, emails, labels,
    ip_allowlist, created_at, token_short, token_version, token_created_at, previous_token_until)`;
  await env.DB.batch(
    [
      `${key} values (1, 'K', 'k', '[1]', '[]', '[]', '[]', '[]', 1, 'drb_', 4, 1, 99)`,
      `${key} values (2, 'L', 'l', '[1]', '[]', '[]', '[]', '[]', 1, 'drb_', 1, 1, null)`,
      `insert into connectors (organisation_id, type, url, timeout_seconds, session_ttl_seconds,
        idle_seconds, created_at) values (1, 'a.b', 'https://example.com', 10, 60, 60, 1234)`,
    ].map((sql) => env.DB.prepare(sql)),
  );
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);
  expect(await rows("select id, previous_tokens from api_keys order by id")).toEqual([
    { id: 1, previous_tokens: '[{"version":3,"until":99}]' },
    { id: 2, previous_tokens: "[]" },
  ]);
  expect(
    await rows("select version, secret_version, previous_secrets, last_failure_at from connectors"),
  ).toEqual([
    { version: 1234, secret_version: 1234, previous_secrets: "[]", last_failure_at: null },
  ]);
});

test("sessions and pairing requests are found as before, also those that an older Worker still writes", async () => {
  const before = env.TEST_MIGRATIONS.filter(({ name }) => name < "0014");
  await dropAll();
  await applyD1Migrations(env.DB, before);
  const now = Date.now();
  const session = (id: string, kind: string, ended: number) =>
    `insert into sessions (organisation_id, kind, ended, created_at, id, ended_at, version, announced,
      sweep_at, state, source_id) values (1, '${kind}', ${ended}, 5, '${id}', ${ended ? now : null}, 2, 2,
      ${ended ? null : 9}, '{"id":"${id}"}', ${kind === "source" ? 7 : null})`;
  const request = (id: string, expiresAt: number) =>
    `insert into pairing_requests (status, application_id, id, organisation_id, device_id, remote_ip,
      expires_at, asked) values ('pending', 'pa-1', '${id}', 1, '${id}', '192.0.2.1', ${expiresAt}, '{}')`;
  await env.DB.batch(
    [
      session("live", "relay", 0),
      session("ended", "relay", 3),
      session("source", "source", 1),
      "insert into session_devices (organisation_id, session_id, device_id) values (1, 'live', 'd')",
      request("early", now + 60_000),
    ].map((sql) => env.DB.prepare(sql)),
  );
  const sessions = await rows("select * from sessions order by id");
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);
  await env.DB.prepare(request("late", now + 120_000)).run();
  expect(await rows("select * from sessions order by id")).toEqual(sessions);
  expect(await rows("select created_at from session_devices")).toEqual([{ created_at: 5 }]);
  await runSweep();
  expect(await rows("select id, sweep_at - expires_at as apart from pairing_requests")).toEqual([
    { id: "early", apart: 0 },
    { id: "late", apart: 0 },
  ]);
});

test("the sessions of devices get their time with a row read for each, however many an organisation has", async () => {
  const numbers =
    "with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000) select";
  await dropAll();
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);
  await env.DB.batch(
    [
      `insert into sessions (organisation_id, kind, ended, created_at, id, version, announced, state)
        ${numbers} 1, 'relay', 0, i, 's' || i, 1, 1, '{}' from n`,
      `insert into session_devices ${numbers} 1, 's' || i, 'd', 0 from n`,
    ].map((sql) => env.DB.prepare(sql)),
  );
  const { queries } = env.TEST_MIGRATIONS.find(({ name }) => name.startsWith("0014")) ?? {};
  const { meta } = await env.DB.prepare(queries?.at(-1) ?? "").run();
  expect(meta.changes).toBe(1_000);
  // The session, the row that is found by it, and the one behind that.
  expect(meta.rows_read).toBeLessThanOrEqual(4 * 1_000);
});
