/**
 * The object of a source session goes within an hour of the session's end, and no caller notices: what it said
 * of the session is then said by its row in D1.
 */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Answer, call } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { alarmIn, journalUnreachable, ring, stubOf, withJournals } from "../support/faults";
import { rowsOf, written } from "../support/rows";
import {
  type Broker,
  eventsOf,
  idsOf,
  list,
  newActive,
  newBroker,
  read,
  remove,
  use,
} from "../support/source-sessions";
import { runSweep } from "../support/sweep";

const MINUTES = 60;

beforeEach(stopClockAhead);
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function keysOf(id: string): Promise<string[]> {
  return runInDurableObject(stubOf(id), (_, { storage }) =>
    [...storage.kv.list()].map(([key]) => key),
  );
}

/** A session that was used and has ended, with its events recorded. */
async function endedSession(): Promise<{ broker: Broker; id: string }> {
  const broker = await newBroker();
  const id = await newActive(broker);
  await use(broker, id);
  await remove(broker, id);
  await eventsOf(broker, 3);
  return { broker, id };
}

/** The object's alarm rings so many seconds later. */
async function ringAfter(id: string, seconds: number): Promise<void> {
  advance(seconds);
  await ring(id);
}

const answered = ({ status, body: { request_id: _, ...body } }: Answer) => ({ status, body });

/** What callers are told of the session. */
async function answersOf(broker: Broker, id: string) {
  const root = { key: env.DRAWBRIDGE_ROOT_TOKEN, body: { reason: "admin" } };
  return {
    read: answered(await read(broker, id)),
    listed: idsOf(await list(broker)),
    behind: answered(await list(broker, `after_id=${id}`)),
    removed: answered(await remove(broker, id)),
    used: answered(await use(broker, id)),
    expired: answered(await call("POST", `/v1/sessions/${id}:expire`, root)),
  };
}

describe("the object of a source session that has ended", () => {
  test("is emptied by its alarm within an hour, and all answers stay as they were", async () => {
    const { broker, id } = await endedSession();
    const before = await answersOf(broker, id);
    expect(before.read.body.date_last_used).not.toBeNull();
    expect(await alarmIn(id)).toBeLessThanOrEqual(45 * MINUTES);
    await ringAfter(id, 45 * MINUTES);
    expect(await keysOf(id)).toEqual([]);
    expect(await alarmIn(id)).toBeNull();
    await evictDurableObject(stubOf(id));
    expect(await answersOf(broker, id)).toEqual(before);
  });

  test("is emptied too if the session ended by itself", async () => {
    const broker = await newBroker();
    const id = await newActive(broker);
    advance(30 * 86_400);
    expect((await read(broker, id)).body.state).toBe("expired");
    expect(await alarmIn(id)).toBeLessThanOrEqual(45 * MINUTES);
    await eventsOf(broker, 3);
    await ringAfter(id, 45 * MINUTES);
    expect(await keysOf(id)).toEqual([]);
    expect((await read(broker, id)).body.state).toBe("expired");
  });

  test("stays for a quarter of an hour, and its alarm is set again", async () => {
    const { id } = await endedSession();
    await ringAfter(id, 15 * MINUTES - 1);
    expect(await keysOf(id)).toContain("session");
    expect(await alarmIn(id)).toBeGreaterThan(0);
  });

  test("stays until its events are recorded", async () => {
    const broker = await newBroker();
    const id = await newActive(broker);
    await eventsOf(broker, 2);
    await withJournals(journalUnreachable, async () => {
      await remove(broker, id);
      await ringAfter(id, 45 * MINUTES);
    });
    expect(await keysOf(id)).toContain("session");
    await ringAfter(id, 5 * MINUTES);
    await eventsOf(broker, 3);
    await ring(id);
    expect(await keysOf(id)).toEqual([]);
  });

  test("is emptied once: after that nothing is written, also by the sweep", async () => {
    const { broker, id } = await endedSession();
    await ringAfter(id, 45 * MINUTES);
    await runSweep();
    const rows = await rowsOf(async () => {
      await ring(id);
      await stubOf(id).purge();
      await runSweep();
      await read(broker, id);
    });
    expect(written(rows)).toBe(0);
    expect(await keysOf(id)).toEqual([]);
  });

  test("leaves its row, which no other organisation sees", async () => {
    const { id } = await endedSession();
    await ringAfter(id, 45 * MINUTES);
    const stranger = await newBroker();
    expect((await read(stranger, id)).status).toBe(404);
    expect((await remove(stranger, id)).status).toBe(404);
    expect((await use(stranger, id)).status).toBe(404);
  });
});

test("an id that is in neither place is found by one read of D1", async () => {
  const { broker } = await endedSession();
  const rows = await rowsOf(() => read(broker, `ses_${"A".repeat(22)}`));
  expect(rows.d1Read).toBeLessThanOrEqual(1);
  expect(written(rows)).toBe(0);
});
