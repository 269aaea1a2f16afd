/**
 * The check of an API key by hand, with all that Drawbridge's own has: the form and checksum of the token, a
 * digest, a row of D1 that is remembered for ten seconds, block, end, allowlist, organisation, permission, two
 * rate limits, and when the key was last used.
 */
import { createHash } from "node:crypto";
import { withLimits } from "../in-worker/limits.mjs";

const CACHE_MS = 10_000;
const COLLECT_MS = 5_000;
const QUIET_MS = 55_000;
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
const MOST_BYTES = 65_536;
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const KEY_OF_TOKEN = `select k.*, t.valid_until from key_tokens t
  join api_keys k on k.id = t.key_id where t.digest = ?`;

const keys = new Map();
const lastUses = new Map();

/** The caller's key, or the answer that refuses the request. */
export async function admit(request, env, ctx, permission) {
  const now = Date.now();
  const token = /^(?:token|bearer)\s+(\S+)$/i.exec(request.headers.get("Authorization") ?? "")?.[1];
  if (token === undefined) return refuse(401, "malformed");
  const key = await findKey(env.DB, token, now);
  if (key === null) return refuse(401, "unknown");
  const problem = problemOf(key, request.headers.get("CF-Connecting-IP") ?? "127.0.0.1", now);
  if (problem) return refuse(403, problem);
  const named = request.headers.get("X-Organisation-Id");
  if (named !== null && !key.organisationIds.includes(Number(named))) return refuse(404, "unknown");
  const organisationId = named === null ? key.organisationIds[0] : Number(named);
  const { KEY_LIMIT, ORGANISATION_LIMIT } = withLimits(env);
  if (!(await KEY_LIMIT.limit({ key: String(key.id) })).success) return refuse(429, "too-many");
  if (!(await ORGANISATION_LIMIT.limit({ key: String(organisationId) })).success)
    return refuse(429, "too-many");
  noteUse(env.DB, ctx, key.id, organisationId, now);
  if (!holds(key, permission)) return refuse(403, "forbidden");
  return { key, organisationId };
}

/** The key of a token, or null. */
export async function findKey(db, token, now) {
  const known = keys.get(token);
  if (known && now - known.readAt < CACHE_MS) return known.key;
  if (!isWellFormed(token)) return null;
  const digest = createHash("sha256").update(token).digest("base64url");
  const row = await db.prepare(KEY_OF_TOKEN).bind(digest).first();
  if (row === null) return null;
  const key = {
    id: row.id,
    name: row.name,
    organisationIds: JSON.parse(row.organisation_ids),
    permissions: JSON.parse(row.permissions),
    allowlist: JSON.parse(row.ip_allowlist),
    dnsName: row.dns_name,
    blocked: row.blocked === 1,
    expiresAt: row.expires_at,
    validUntil: row.valid_until,
  };
  keys.set(token, { key, readAt: now });
  return key;
}

/** Why a key does not work from this address; null: it works. */
export function problemOf(key, address, now) {
  if (key.validUntil !== null && now >= key.validUntil) return "unknown";
  if (key.blocked) return "blocked";
  if (key.expiresAt !== null && now >= key.expiresAt) return "expired";
  if (key.allowlist.length > 0 && !key.allowlist.includes(address)) return "ip-refused";
  return null;
}

/** Whether a key holds a permission, by name, by `name:*` or by `*`. Null: none is asked for. */
export function holds({ permissions }, permission) {
  if (permission === null || permissions.includes(permission) || permissions.includes("*"))
    return true;
  return permissions.includes(`${permission.slice(0, permission.indexOf(":"))}:*`);
}

/** Notes a use, and writes it later: once a minute at most. */
export function noteUse(db, ctx, keyId, organisationId, now) {
  if (now - (lastUses.get(keyId) ?? 0) < QUIET_MS) return;
  lastUses.set(keyId, now);
  ctx.waitUntil(
    new Promise((resolve) => setTimeout(resolve, COLLECT_MS)).then(() =>
      db
        .prepare(
          "update organisation_keys set last_used_at = ? where organisation_id = ? and key_id = ?",
        )
        .bind(now, organisationId, keyId)
        .run(),
    ),
  );
}

/** The body of a POST as JSON, or the answer that refuses it: its encoding, size, characters, and names of fields. */
export async function readJson(request) {
  const { headers } = request;
  // Drawbridge gives a repeated request its first answer again.
  if (headers.get("Idempotency-Key") !== null) return refuse(400, "not-kept-here");
  if (headers.get("Content-Encoding") !== null) return refuse(415, "compressed");
  const length = Number(headers.get("Content-Length") ?? Number.NaN);
  if (!(length <= MOST_BYTES)) return refuse(413, "too-large");
  const text = await request.text();
  if (text.includes("\ufffd") && Buffer.byteLength(text) !== length)
    return refuse(400, "not-utf-8");
  if (text.includes("__proto__")) return refuse(400, "invalid");
  return JSON.parse(text);
}

/**
 * An answer with the headers that every answer of Drawbridge has, and for one in a hundred a line in the log.
 * @param more further headers of its own
 */
export function answer(request, body, more) {
  const startedAt = Date.now();
  const sent = request.headers.get("X-Request-Id");
  const id = sent !== null && REQUEST_ID.test(sent) ? sent : crypto.randomUUID();
  const response = new Response(JSON.stringify(body), {
    headers: {
      "Content-Type": "application/json",
      "X-Request-Id": id,
      "Cache-Control": "no-store",
      ...more,
    },
  });
  if (Math.random() * 100 < 1)
    console.log(
      JSON.stringify({ message: "request", request_id: id, duration_ms: Date.now() - startedAt }),
    );
  return response;
}

/** An answer that refuses. */
export function refuse(status, code) {
  return Response.json({ code }, { status });
}

function isWellFormed(token) {
  const [, random, sum] = /^drb_([0-9A-Za-z]{30})([0-9A-Za-z]{6})$/.exec(token) ?? [];
  return random !== undefined && checksum(random) === sum;
}

function checksum(text) {
  let crc = 0xffff_ffff;
  for (let i = 0; i < text.length; i++) {
    crc ^= text.charCodeAt(i);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
  }
  let rest = (crc ^ 0xffff_ffff) >>> 0;
  let encoded = "";
  for (; rest > 0; rest = Math.floor(rest / 62)) encoded = ALPHABET.charAt(rest % 62) + encoded;
  return encoded.padStart(6, "0");
}
