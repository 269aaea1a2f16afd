/** API keys with less than every permission, put where the Worker reads them. */
import { env } from "cloudflare:workers";
import { openDatabase } from "../../src/db/open";
import { keyInsertion } from "../../src/keys/store";
import { newToken } from "../../src/keys/token";

/** What a key of a test is like, where it is not an ordinary one. */
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
    keyInsertion(openDatabase(env), input, token, Date.now()),
  );
  if (!row) throw new Error("the key was not stored");
  await changeKey(row.id, rest);
  return { id: row.id, token };
}

/** Changes a key behind the Worker's back, as another isolate would. */
export async function changeKey(id: number, traits: Omit<KeyTraits, "permissions">) {
  const { ipAllowlist = [], blocked = false, expiresAt = null } = traits;
  await env.DB.prepare(
    "update api_keys set ip_allowlist = ?, blocked = ?, expires_at = ? where id = ?",
  )
    .bind(JSON.stringify(ipAllowlist), blocked ? 1 : 0, expiresAt, id)
    .run();
}
