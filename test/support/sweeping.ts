/** Rows that the sweep will find, put into the tables directly: more of them than a test could make by calls. */
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

/** Events of an organisation, of that moment (Unix milliseconds) and after it. */
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

/** Finished recoveries that were begun at that moment. */
export async function insertRecoveries(organisationId: number, count: number, at: number) {
  await env.DB.prepare(
    `insert into webhook_recoveries (organisation_id, id, endpoint_id, since, until, created_at,
       finished_at) ${NUMBERS}
     select ?2, printf('whr_%d_%d', ?3, i), 'whe_1', ?3, ?3, ?3, ?3 from n`,
  )
    .bind(count, organisationId, at)
    .run();
}

/** Sessions' rows whose objects hold nothing: ended then, or live and due to be swept then. */
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

/** The first 48 bits of a UUIDv7: its time. */
function timePart(at: number): string {
  const hex = at.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
