/** API keys for tests: made over HTTP as an operator would, or many at once directly in D1. */
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { openDatabase } from "../../src/db/open";
import { newToken } from "../../src/keys/key-token";
import { keyInsertStatements } from "../../src/keys/key-writes";
import { type Answer, call, type Tenant } from "./client";
import { settledIn } from "./journals";

/** A key that a test made. */
export interface TestKey {
  id: number;
  token: string;
  short: string;
  accessKey: { id: string; secret: string };
}

/** The body of a create, with what a test changes. */
export function keyBody(tenant: Tenant, overrides: Record<string, unknown> = {}) {
  return {
    name: "Key",
    emails: [],
    organizationsIds: [tenant.id],
    permissions: ["relays:read"],
    ...overrides,
  };
}

/** A new key of this organisation, made with its first key. */
export async function newKey(
  tenant: Tenant,
  overrides: Record<string, unknown> = {},
): Promise<TestKey> {
  const answer = await call("POST", "/api-keys", {
    key: tenant.key,
    body: keyBody(tenant, overrides),
  });
  expect(answer.status, answer.text).toBe(201);
  const { id, token, access_key: accessKey } = answer.body;
  return { id, token: token.value, short: token.short, accessKey };
}

/** Changes a key, with the organisation's first key unless told otherwise. */
export function patchKey(
  tenant: Tenant,
  id: number,
  body: Record<string, unknown>,
  key = tenant.key,
): Promise<Answer> {
  return call("PATCH", `/api-keys/${id}`, { key, body });
}

/** A session token, signed in with an API key. */
export async function signIn(token: string): Promise<string> {
  const answer = await call("POST", "/v1/auth/session-tokens", { body: { token } });
  expect(answer.status, answer.text).toBe(201);
  return answer.body.session_token;
}

/** Gives a key a second organisation, as only a caller with keys in both could. */
export async function joinOrganisations(keyId: number, organisationIds: number[]): Promise<void> {
  await env.DB.batch([
    env.DB.prepare("update api_keys set organisation_ids = ? where id = ?").bind(
      JSON.stringify(organisationIds),
      keyId,
    ),
    env.DB.prepare(
      `insert or ignore into organisation_keys (organisation_id, key_id, created_at)
       select value, ?, 0 from json_each(?)`,
    ).bind(keyId, JSON.stringify(organisationIds)),
  ]);
}

/** Stores so many keys of an organisation, named `Bulk 1` and so on; every hundredth is blocked. */
export async function manyKeys(tenant: Tenant, count: number): Promise<void> {
  const range = `with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})`;
  const first = await env.DB.prepare("select max(id) as id from api_keys").first<{ id: number }>();
  const base = first?.id ?? 0;
  await env.DB.batch([
    env.DB.prepare(
      `insert into api_keys (id, name, name_folded, organisation_ids, permissions, emails, labels,
         ip_allowlist, blocked, created_at, token_short, token_created_at)
       ${range} select ${base} + i, 'Bulk ' || i, 'bulk ' || i, '[${tenant.id}]', '[]', '[]', '[]',
         '[]', i % 100 = 0, 1, 'drb_' || printf('%08d', ${base} + i), 1 from n`,
    ),
    env.DB.prepare(
      `insert into organisation_keys (organisation_id, key_id, created_at, blocked)
       ${range} select ${tenant.id}, ${base} + i, 1, i % 100 = 0 from n`,
    ),
  ]);
}

/** The types of the events of an organisation about a key, in order. */
export async function keyEventTypes(organisationId: number, keyId: number): Promise<string[]> {
  const about = (data: object) => (data as { key?: { id: number } }).key?.id === keyId;
  const recorded = await settledIn(organisationId);
  return recorded.filter(({ event }) => about(event.data)).map(({ event }) => event.type);
}

/** What is special about a key of a test. */
export interface KeyTraits {
  permissions?: string[];
  ipAllowlist?: string[];
  blocked?: boolean;
  /** Unix milliseconds. */
  expiresAt?: number;
}

/** A key of this organisation; without `permissions` it holds every one. */
export async function insertKey(organisationId: number, traits: KeyTraits = {}) {
  const { permissions = ["*"], ...rest } = traits;
  const token = newToken();
  const input = { name: "Test key", organisationIds: [organisationId], permissions };
  const [[row]] = await openDatabase(env).batch(
    keyInsertStatements(openDatabase(env), input, token, Date.now()),
  );
  if (!row) throw new Error("the key was not stored");
  await changeKey(row.id, rest);
  return { id: row.id, token };
}

/** Changes a key without this isolate's knowledge, as another isolate would. */
export async function changeKey(id: number, traits: Omit<KeyTraits, "permissions">) {
  const { ipAllowlist = [], blocked = false, expiresAt = null } = traits;
  await env.DB.prepare(
    "update api_keys set ip_allowlist = ?, blocked = ?, expires_at = ? where id = ?",
  )
    .bind(JSON.stringify(ipAllowlist), blocked ? 1 : 0, expiresAt, id)
    .run();
}
