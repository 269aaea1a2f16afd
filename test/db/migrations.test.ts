/** A deployment that has data is migrated without losing what it has promised. */
import { applyD1Migrations } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";

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
