/** A minute in which nothing is due reads a handful of rows, however much there is that is not due. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newOrganisation } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { newApplication } from "../support/devices";
import { rowsOf } from "../support/rows";
import { runSweep } from "../support/sweep";
import {
  insertDeadLetters,
  insertIdempotencyKeys,
  insertJoinCodes,
  insertNonces,
  insertPairingRequests,
  insertRecoveries,
  insertSessionRows,
  insertSetupCodes,
  insertSignedOut,
} from "../support/sweepable-rows";

const MANY = 2_000;
const HOUR_MS = 3_600_000;
const NUMBERS = "with recursive n (i) as (select 1 union all select i + 1 from n where i < ?1)";

beforeEach(stopClockAhead);
afterEach(() => {
  vi.useRealTimers();
});

/** Rows of every kind that the sweep looks for, none of which is due. */
async function fill(): Promise<void> {
  const now = Date.now();
  const at = await newApplication();
  const { id } = at;
  await env.DB.prepare(
    `insert into organisations (name, created_at) ${NUMBERS} select 'idle', 0 from n`,
  )
    .bind(MANY)
    .run();
  await insertPairingRequests(at, { count: MANY, at: now, status: "pending" });
  for (const status of ["approved", "rejected", "expired", "superseded"]) {
    await insertPairingRequests(at, { count: MANY, at: now - HOUR_MS, status });
  }
  const device = JSON.stringify({ removedAt: now });
  await env.DB.prepare(
    `insert into devices ${NUMBERS} select ?2, 1, 1, printf('%064x', i), 1, null, ?3 from n`,
  )
    .bind(MANY, at.application, device)
    .run();
  await insertSessionRows(id, MANY, { sweepAt: now + HOUR_MS });
  await insertSessionRows(id, MANY, { endedAt: now });
  await env.DB.prepare(
    `insert into sessions (organisation_id, kind, ended, created_at, id, ended_at, version, announced,
       state, source_id) ${NUMBERS} select i, 'source', 1 + i % 2, 1, 's' || i, ?2, 1, 1, '{}', i from n`,
  )
    .bind(MANY, now)
    .run();
  await env.DB.prepare(`insert into journals ${NUMBERS} select i, ?2, 0 from n`)
    .bind(MANY, Math.floor(now / 86_400_000))
    .run();
  await insertRecoveries(id, MANY, now);
  await insertDeadLetters(MANY, now, "<idle>");
  await insertSetupCodes(id, MANY, now + HOUR_MS);
  await insertJoinCodes(id, MANY, now + HOUR_MS);
  await insertSignedOut(id, MANY, now + HOUR_MS);
  await insertIdempotencyKeys(id, MANY, now);
  await insertNonces("access-key/1", MANY, now + HOUR_MS);
}

test("a run of the sweep with nothing due reads a handful of rows, with thousands of rows of every kind", async () => {
  await newOrganisation();
  await runSweep();
  const empty = await rowsOf(runSweep);
  await fill();
  const full = await rowsOf(runSweep);
  // Each place in an index at which nothing is found counts as a row.
  expect(empty).toEqual({ d1Read: 43, d1Written: 0, objectRead: 0, objectWritten: 0 });
  expect(full).toEqual({ d1Read: 43, d1Written: 0, objectRead: 0, objectWritten: 0 });
});

test("a pairing request that is refreshed is looked at once in five minutes, and not in each of them", async () => {
  const at = await newApplication();
  const now = Date.now();
  await insertPairingRequests(at, { count: 50, at: now, status: "pending" });
  const sweepAts = async () => {
    const { results } = await env.DB.prepare(
      "select distinct status, sweep_at from pairing_requests where application_id = ?",
    )
      .bind(at.application)
      .all();
    return results;
  };
  advance(240);
  await env.DB.prepare("update pairing_requests set expires_at = ? where application_id = ?")
    .bind(Date.now() + 300_000, at.application)
    .run();
  expect(await sweepAts()).toEqual([{ status: "pending", sweep_at: now + 300_000 }]);
  advance(60);
  await runSweep();
  expect(await sweepAts()).toEqual([{ status: "pending", sweep_at: now + 540_000 }]);
  expect((await rowsOf(runSweep)).d1Written).toBe(0);
  advance(240);
  await runSweep();
  expect(await sweepAts()).toEqual([{ status: "expired", sweep_at: now + 540_000 }]);
});
