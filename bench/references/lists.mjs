/** Two lists by hand: live sessions, and pending pairing requests. Bare: the page of D1 as it is. */
import { createHash } from "node:crypto";
import { admit, answer } from "./guard.mjs";
import { toWire } from "./session-wire.mjs";

const ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

function sessionPage(env, organisationId, limit) {
  return env.DB.batch([
    env.DB.prepare(
      `select state from sessions where organisation_id = ? and kind = 'relay' and ended = 0
        order by created_at desc, id desc limit ?`,
    ).bind(organisationId, limit),
    env.DB.prepare(
      "select live from session_counts where organisation_id = ? and kind = 'relay'",
    ).bind(organisationId),
  ]);
}

/** The rows of a page, as D1 answers them. */
export async function listSessions(request, env) {
  const [rows, counts] = await sessionPage(env, organisationIn(request), 30);
  return Response.json({ rows: rows.results, total: counts.results[0].live });
}

/** Behind the check of a key, and with all fields that are shown. */
export async function listSessionsChecked(request, env, ctx) {
  const caller = await admit(request, env, ctx, "relays:read");
  if (caller instanceof Response) return caller;
  const now = Date.now();
  const [rows, counts] = await sessionPage(env, caller.organisationId, 30);
  const sessions = rows.results.map(({ state }) => JSON.parse(state));
  const total = counts.results[0].live;
  return answer(request, {
    sessions: sessions
      .filter(({ expiresAt }) => expiresAt > now)
      .map((session) => toWire(session, request, env)),
    total_count: total,
    pagination: {
      number: 1,
      next_page_number: total > 30 ? 2 : null,
      previous_page_number: null,
      paginator: { num_pages: Math.ceil(total / 30) },
      has_next: total > 30,
      has_previous: false,
    },
  });
}

function pendingPage(env, organisationId, limit) {
  return env.DB.prepare(
    `select * from pairing_requests where organisation_id = ? and status = 'pending'
      and expires_at > ? order by id desc limit ?`,
  )
    .bind(organisationId, Date.now(), limit)
    .all();
}

/** The rows of a page, as D1 answers them. */
export async function listPending(request, env) {
  const { results } = await pendingPage(env, organisationIn(request), 30);
  return Response.json(results);
}

/** Behind the check of a key, and with all fields that are shown. */
export async function listPendingChecked(request, env, ctx) {
  const caller = await admit(request, env, ctx, "devices:list");
  if (caller instanceof Response) return caller;
  const { results } = await pendingPage(env, caller.organisationId, 31);
  const data = results.slice(0, 30).map(toRequest);
  return answer(request, {
    data,
    next_cursor: results.length > 30 ? data[29].pair_request_id : null,
  });
}

function toRequest(row) {
  const asked = JSON.parse(row.asked);
  const shown = [asked.publicKey, asked.role, [...asked.roles].sort(), [...asked.scopes].sort()];
  return {
    pair_request_id: row.id,
    application_id: row.application_id,
    status: row.status,
    device_id: row.device_id,
    public_key: asked.publicKey,
    fingerprint: fingerprint(row.device_id),
    digest: createHash("sha256").update(JSON.stringify(shown)).digest("base64url"),
    display_name: asked.displayName,
    platform: asked.platform,
    device_family: asked.family,
    client_id: asked.clientId,
    client_mode: asked.clientMode,
    role: asked.role,
    roles: asked.roles,
    scopes: asked.scopes,
    remote_ip: asked.remoteIp,
    silent: asked.silent,
    is_repair: asked.isRepair,
    requested_at: new Date(asked.requestedAt).toISOString(),
    expires_at: new Date(row.expires_at).toISOString(),
    decided_by: null,
    decided_by_email: null,
    decided_at: null,
    granted: null,
    reason: null,
  };
}

function fingerprint(deviceId) {
  let rest = BigInt(`0x${deviceId.slice(0, 32)}`);
  let text = "";
  for (let i = 0; i < 8; i++, rest >>= 5n) text += ALPHABET[Number(rest & 31n)];
  return text;
}

function organisationIn(request) {
  return Number(request.url.slice(request.url.lastIndexOf("/") + 1));
}
