/**
 * What happened leaves nothing in D1: an hour after lives of relay sessions, no table has a row more than
 * before them. (`npm run bench:journals` does it with a thousand.)
 */
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { newOrganisation, type Tenant } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { newEndpoint } from "../support/endpoints";
import { deliveryRows, eventRows, eventually, newMailbox } from "../support/pipeline";
import { settled } from "../support/rows";
import { authorize, create, list, remove } from "../support/sessions";
import { runSweep } from "../support/sweep";

const LIVES = 20;

afterEach(() => {
  vi.useRealTimers();
});

/** How many rows each table of D1 has. */
async function rowsOfD1(): Promise<Record<string, number>> {
  const { results } = await env.DB.prepare(
    "select name from sqlite_master where type = 'table' and name not like '\\_cf%' escape '\\'",
  ).all<{ name: string }>();
  const names = results.map(({ name }) => name);
  const counts = await env.DB.batch<{ n: number }>(
    names.map((name) => env.DB.prepare(`select count(*) as n from ${name}`)),
  );
  return Object.fromEntries(names.map((name, i) => [name, counts[i]?.results[0]?.n ?? 0]));
}

/** A life with three events: one delivery each for the endpoint, and two for the `webhook_url`. */
async function live({ key }: Tenant, webhook_url: string, fields: object): Promise<void> {
  const users = [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }];
  const { body } = await create(key, { users, webhook_url, ...fields });
  await authorize(key, body.session_id);
  await remove(key, body.session_id);
}

/** Waits until so many lives are recorded and all that they owe has arrived. */
async function arrived(tenant: Tenant, lives: number): Promise<void> {
  await eventually(async () => {
    const events = (await eventRows(tenant)).filter(({ type }) => type.startsWith("session."));
    const deliveries = (await deliveryRows(tenant)).filter(({ event_type }) =>
      event_type.startsWith("session."),
    );
    expect([events.length, deliveries.length]).toEqual([3 * lives, 5 * lives]);
    expect(deliveries.filter(({ status }) => status !== "delivered")).toEqual([]);
  });
  await settled();
}

/** The cron job runs every minute of an hour. */
async function anHour(): Promise<void> {
  for (let minute = 1; minute <= 60; minute++) {
    advance(60);
    await runSweep();
  }
}

test("an hour after 20 lives of relay sessions with webhooks, every table of D1 is as it was before", async () => {
  stopClockAhead();
  const tenant = await newOrganisation();
  const mailbox = newMailbox();
  await newEndpoint(tenant, mailbox, { event_types: ["session.*"] });
  // The organisation has a journal of today, and counts.
  await live(tenant, mailbox.url, {});
  await list(tenant.key);
  await arrived(tenant, 1);
  await anHour();
  const before = await rowsOfD1();
  expect(before).toMatchObject({ sessions: 0, owed_events: 0, journals: 1 });
  for (let i = 0; i < LIVES; i++) {
    await live(tenant, mailbox.url, { join_code: i % 2 === 0 });
  }
  await arrived(tenant, 1 + LIVES);
  expect((await rowsOfD1()).sessions).toBe(LIVES);
  await anHour();
  expect(await rowsOfD1()).toEqual(before);
});
