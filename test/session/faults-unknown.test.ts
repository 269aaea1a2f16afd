/**
 * A call on an id that never existed, or that was removed, stores nothing in the object of that id.
 */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { type Answer, newOrganisation, type Tenant } from "../support/client";
import { ring, stubOf } from "../support/faults";
import { rowsOf, written } from "../support/rows";
import { authorize, create, read, remove, revoke } from "../support/sessions";
import { upgrade } from "../support/socket";

function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return `${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}-S`;
}

/** All that an object has stored: its keys, its tables, its alarm. */
async function keptIn(id: string) {
  return runInDurableObject(stubOf(id), async (_, { storage }) => ({
    keys: [...storage.kv.list()].map(([key]) => key),
    tables: storage.sql.exec("select name from sqlite_master").toArray(),
    alarm: await storage.getAlarm(),
  }));
}

const nothing = { keys: [], tables: [], alarm: null };

async function connectTo(id: string): Promise<Pick<Answer, "status">> {
  const relay = { id, key: "", sessionToken: 1, userTokens: [1, 2], stub: stubOf(id) };
  const { status, webSocket } = await upgrade(relay, 1);
  expect(webSocket).toBeNull();
  return { status };
}

const calls: [string, (tenant: Tenant, id: string) => Promise<Pick<Answer, "status">>][] = [
  ["a read", ({ key }, id) => read(key, id)],
  ["a delete", ({ key }, id) => remove(key, id)],
  ["an authorize", ({ key }, id) => authorize(key, id)],
  ["a revoke", ({ key }, id) => revoke(key, id, 1)],
  ["a websocket", (_, id) => connectTo(id)],
];

describe("an id that never existed", () => {
  test.each(calls)("finds no session for %s and stores nothing", async (_, doCall) => {
    const tenant = await newOrganisation();
    const id = newId();
    const rows = await rowsOf(async () => expect((await doCall(tenant, id)).status).toBe(404));
    expect(written(rows)).toBe(0);
    expect(await keptIn(id)).toEqual(nothing);
    await evictDurableObject(stubOf(id));
    expect((await doCall(tenant, id)).status).toBe(404);
    expect(await keptIn(id)).toEqual(nothing);
  });

  test("stores nothing either after an alarm or a call of the sweep", async () => {
    const id = newId();
    await ring(id);
    expect(await stubOf(id).reconcile()).toBe(false);
    expect(await runDurableObjectAlarm(stubOf(id))).toBe(false);
    expect(await keptIn(id)).toEqual(nothing);
  });

  test("differs from that of a session, which does store what this test looks for", async () => {
    const tenant = await newOrganisation();
    const { session_id: id } = (await create(tenant.key)).body;
    const kept = await keptIn(id);
    expect(kept.keys).toEqual(["session"]);
    expect(kept.tables.length).toBeGreaterThan(0);
    expect(kept.alarm).not.toBeNull();
  });
});

describe("the id of a session that was removed for good", () => {
  test.each(calls)("finds no session for %s and stores nothing", async (_, doCall) => {
    const tenant = await newOrganisation();
    const { session_id: id } = (await create(tenant.key)).body;
    await stubOf(id).purge();
    expect((await doCall(tenant, id)).status).toBe(404);
    expect(await keptIn(id)).toMatchObject({ keys: [], alarm: null });
  });
});
