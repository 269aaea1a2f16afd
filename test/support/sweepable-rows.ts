/**
 * Rows that the sweep will find, put into the tables directly: more of them than a test could make
 * by calls.
 */
import { env } from "cloudflare:workers";
import { newEventId } from "../../src/events/event";
import { dayAt } from "../../src/events/journal-key";
import type { Session } from "../../src/session/session";
import { endedOf } from "../../src/session/session-key";
import { newDelivery } from "../../src/webhooks/delivery";
import { recordedIn, storeRecords } from "./journals";

const NUMBERS = "with recursive n (i) as (select 1 union all select i + 1 from n where i < ?1)";

/** How many rows of a table belong to an organisation; `events` and `deliveries` are in its journals. */
export async function countRows(table: string, organisationId: number): Promise<number> {
  if (table === "events") return (await recordedIn(organisationId)).length;
  if (table === "deliveries")
    return (await recordedIn(organisationId)).flatMap(({ deliveries }) => deliveries).length;
  const column = table === "organisations" ? "id" : "organisation_id";
  const row = await env.DB.prepare(`select count(*) as n from ${table} where ${column} = ?`)
    .bind(organisationId)
    .first<{ n: number }>();
  return row?.n ?? 0;
}

/** Events of that moment (Unix milliseconds), each with as many deliveries that have arrived. */
async function insertRecords(
  organisationId: number,
  { count, at, deliveries }: { count: number; at: number; deliveries: number },
) {
  const records = Array.from({ length: count }, () => {
    const event = {
      id: newEventId(at),
      organisationId,
      type: "connection.created",
      at,
      data: { connection: { connectionId: "a", memo: "" } },
    } as const;
    const made = {
      status: "delivered",
      attempts: [],
      scheduledAttempts: 1,
      nextAttemptAt: null,
    } as const;
    const delivery = newDelivery(event, "standard", "https://example.com", "whe_1");
    return { event, deliveries: Array(deliveries).fill({ ...delivery, ...made }) };
  });
  await storeRecords(organisationId, records);
}

/** Events of an organisation of that moment (Unix milliseconds). */
export async function insertEvents(organisationId: number, count: number, at: number) {
  await insertRecords(organisationId, { count, at, deliveries: 0 });
}

/** Events of that moment with a delivery each. */
export async function insertDeliveries(organisationId: number, count: number, at: number) {
  await insertRecords(organisationId, { count, at, deliveries: 1 });
}

/** Journals, of which only D1 knows, of the day before this moment's and earlier: up to 64 a day, of this organisation and later ones. */
export async function insertOldJournals(organisationId: number, count: number, at: number) {
  await env.DB.prepare(
    `insert into journals ${NUMBERS} select ?2 + i / 640, ?3 - 1 - i / 64 % 10, i % 64 from n`,
  )
    .bind(count, organisationId, dayAt(at))
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

/**
 * Rows of sessions whose objects hold nothing: ended then, or live and due to be swept then. They are spread over
 * so many `organisations`, of which this is the first.
 */
export async function insertSessionRows(
  organisationId: number,
  count: number,
  {
    endedAt,
    sweepAt,
    organisations = 1,
  }: { organisations?: number } & (
    | { endedAt: number; sweepAt?: never }
    | { endedAt?: never; sweepAt: number }
  ),
) {
  const state = endedAt === undefined ? { status: "active" } : { status: "expired", endedAt };
  const ended = endedOf({ kind: "relay", ...state } as Session);
  const counted = `insert into session_counts (organisation_id, kind, live)
    ${NUMBERS} select ?2 + i % ?3, 'relay', iif(?4 = 0, count(*), 0) from n where true group by i % ?3
    on conflict do update set live = live + excluded.live`;
  await env.DB.batch([
    env.DB.prepare(
      `insert into sessions (organisation_id, kind, ended, created_at, id, ended_at, version, announced,
         sweep_at, state) ${NUMBERS}
       select ?2 + i % ?6, 'relay', ?3, i, printf('%04x%08x-S', ?2, i), ?4, 1, 1, ?5, '{}' from n`,
    ).bind(count, organisationId, ended, endedAt ?? null, sweepAt ?? null, organisations),
    env.DB.prepare(counted).bind(count, organisationId, organisations, ended),
  ]);
}

/** Dead letters of that moment; their bodies hold the marker. */
export async function insertDeadLetters(count: number, at: number, marker: string) {
  await env.DB.prepare(
    `insert into dead_letters ${NUMBERS} select ?2 || i, 'drawbridge-deliveries', ?3, 'a test', ?2 from n`,
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
       'device' || i, '192.0.2.1', ?6, null, '{"scopes":[],"roles":[]}', null, ?6 from n`,
  )
    .bind(count, status, application, timePart(at), id, at + 300_000)
    .run();
}

/** Events that are owed since that moment. */
export async function insertOwedEvents(organisationId: number, count: number, at: number) {
  await env.DB.prepare(
    `insert into owed_events ${NUMBERS} select ?3 || printf('-7000-8000-%012x', i), ?2,
       'connection.created', ?4, '{"connection":{"connectionId":"a","memo":""}}' from n`,
  )
    .bind(count, organisationId, timePart(at), at)
    .run();
}

/** The first 48 bits of a UUIDv7: its time. */
function timePart(at: number): string {
  const hex = at.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
