/**
 * Rows that the sweep will find, put into the tables directly: more of them than a test could make
 * by calls.
 */
import { env } from "cloudflare:workers";

const NUMBERS = "with recursive n (i) as (select 1 union all select i + 1 from n where i < ?1)";

/** How many rows of a table belong to an organisation. */
export async function countRows(table: string, organisationId: number): Promise<number> {
  const column = table === "organisations" ? "id" : "organisation_id";
  const row = await env.DB.prepare(`select count(*) as n from ${table} where ${column} = ?`)
    .bind(organisationId)
    .first<{ n: number }>();
  return row?.n ?? 0;
}

/** Events of an organisation, from that moment on (Unix milliseconds). */
export async function insertEvents(organisationId: number, count: number, at: number) {
  await env.DB.prepare(
    `insert into events ${NUMBERS} select ?2, ?3 || printf('-7000-8000-%012x', i), 'session.active', ?4, '{}' from n`,
  )
    .bind(count, organisationId, timePart(at), at)
    .run();
}

/** Deliveries of events of that moment. */
export async function insertDeliveries(organisationId: number, count: number, at: number) {
  await env.DB.prepare(
    `insert into deliveries (organisation_id, id, event_id, event_type, format, url, status, attempts,
       attempt_count, next_attempt_at) ${NUMBERS}
     select ?2, 'whd_' || ?3 || printf('70008000%012x_0123456789ab', i), 'event', 'session.active',
            'relay-session', 'https://example.com', 'delivered', '[]', 0, null from n`,
  )
    .bind(count, organisationId, timePart(at).replace("-", ""))
    .run();
}

/** Finished recoveries that began at that moment. */
export async function insertRecoveries(organisationId: number, count: number, at: number) {
  await env.DB.prepare(
    `insert into webhook_recoveries (organisation_id, id, endpoint_id, since, until, created_at,
       finished_at) ${NUMBERS}
     select ?2, printf('whr_%d_%d', ?3, i), 'whe_1', ?3, ?3, ?3, ?3 from n`,
  )
    .bind(count, organisationId, at)
    .run();
}

/** Rows of sessions whose objects hold nothing: ended then, or live and due to be swept then. */
export async function insertSessionRows(
  organisationId: number,
  count: number,
  { endedAt, sweepAt }: { endedAt: number; sweepAt?: never } | { endedAt?: never; sweepAt: number },
) {
  const ended = Number(endedAt !== undefined);
  const counted = `insert into session_counts (organisation_id, kind, live) values (?1, 'relay', ?2)
    on conflict do update set live = live + ?2`;
  await env.DB.batch([
    env.DB.prepare(
      `insert into sessions (organisation_id, kind, ended, created_at, id, ended_at, version, announced,
         sweep_at, state) ${NUMBERS}
       select ?2, 'relay', ?3, i, printf('%04x%08x-S', ?2, i), ?4, 1, 1, ?5, '{}' from n`,
    ).bind(count, organisationId, ended, endedAt ?? null, sweepAt ?? null),
    env.DB.prepare(counted).bind(organisationId, ended ? 0 : count),
  ]);
}

/** Dead letters of that moment; their bodies hold the marker. */
export async function insertDeadLetters(count: number, at: number, marker: string) {
  await env.DB.prepare(
    `insert into dead_letters ${NUMBERS} select ?2 || i, 'drawbridge-events', ?3, 'a test', ?2 from n`,
  )
    .bind(count, marker, at)
    .run();
}

/** Join codes of an organisation, of sessions whose life ends then. */
export async function insertJoinCodes(organisationId: number, count: number, expiresAt: number) {
  await env.DB.prepare(
    `insert into join_codes ${NUMBERS} select printf('%d/%d/%d', ?2, ?3, i), 'session', ?2, ?3 from n`,
  )
    .bind(count, organisationId, expiresAt)
    .run();
}

/** Kept answers of an organisation, of requests made then. */
export async function insertIdempotencyKeys(organisationId: number, count: number, at: number) {
  await env.DB.prepare(
    `insert into idempotency_keys ${NUMBERS} select ?2, 1, printf('%d/%d', ?3, i), 'digest', ?3, 'x' from n`,
  )
    .bind(count, organisationId, at)
    .run();
}

/** Used nonces of an owner, of the half hour before `at`. */
export async function insertNonces(owner: string, count: number, at: number) {
  await env.DB.prepare(
    `insert into used_nonces ${NUMBERS} select ?3, ?2, 'nonce' || i, ?4, 'claim' from n`,
  )
    .bind(count, owner, Math.floor(at / 1_800_000) - 1, at - 1_800_000)
    .run();
}

/** Sign-outs with this key, of tokens that end then. */
export async function insertSignedOut(keyId: number, count: number, expiresAt: number) {
  await env.DB.prepare(
    `insert into signed_out_tokens ${NUMBERS} select ?2, 'token' || i, ?3 from n`,
  )
    .bind(count, keyId, expiresAt)
    .run();
}

/** Setup codes of this key that end then. */
export async function insertSetupCodes(keyId: number, count: number, expiresAt: number) {
  await env.DB.prepare(
    `insert into setup_codes ${NUMBERS} select printf('%d/%d', ?2, i), ?3, ?2, 'operator', '[]' from n`,
  )
    .bind(count, keyId, expiresAt)
    .run();
}

/** Pairing requests of an application that were made at that moment, with this status. */
export async function insertPairingRequests(
  { application, id }: { application: string; id: number },
  { count, at, status }: { count: number; at: number; status: string },
) {
  await env.DB.prepare(
    `insert into pairing_requests ${NUMBERS} select ?2, ?3, 'pr-' || ?4 || printf('-7000-8000-%012x', i), ?5,
       'device' || i, '192.0.2.1', ?6, null, '{"scopes":[],"roles":[]}', null from n`,
  )
    .bind(count, status, application, timePart(at), id, at + 300_000)
    .run();
}

/** Events that are owed to the queue since that moment, without any other row. */
export async function insertOwedEvents(organisationId: number, count: number, at: number) {
  await insertEvents(organisationId, count, at);
  await env.DB.prepare(
    `insert into owed_events select id, organisation_id from events where organisation_id = ?`,
  )
    .bind(organisationId)
    .run();
}

/** The first 48 bits of a UUIDv7: its time. */
function timePart(at: number): string {
  const hex = at.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
