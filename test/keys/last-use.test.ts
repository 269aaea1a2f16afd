/**
 * When a key was last used: no request waits for the write, each key is written at most once a
 * minute, and the time is at most a minute old.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { openDatabase } from "../../src/db/open";
import { LastUseRecorder } from "../../src/keys/last-use";
import { call, newOrganisation } from "../support/client";
import { eventually } from "../support/eventually";
import { newKey } from "../support/keys";
import { d1CallsOf, settled } from "../support/rows";

const lastUsed = async (keyId: number) =>
  (
    await env.DB.prepare("select last_used_at from organisation_keys where key_id = ?")
      .bind(keyId)
      .first<{ last_used_at: number | null }>()
  )?.last_used_at;

/** Collects uses as an isolate does; resolves when all of them are written. */
function isolate() {
  const uses = new LastUseRecorder();
  const db = openDatabase(env);
  let work: Promise<unknown>[] = [];
  const ctx = { waitUntil: (promise: Promise<unknown>) => void work.push(promise) };
  return {
    note: (keyId: number, organisationId: number, at: number) =>
      uses.note(db, ctx, { keyId, organisationId, at }),
    async written(): Promise<number> {
      const waiting = work;
      work = [];
      vi.advanceTimersByTime(5_000);
      await Promise.all(waiting);
      return waiting.length;
    },
  };
}

/** Stops timers, once nothing runs any more that has one: moving them must not end those of other objects. */
async function stopTimers(): Promise<void> {
  await settled();
  vi.useFakeTimers({ toFake: ["setTimeout"] });
}

describe("the last use of a key", () => {
  test("is shown soon after for the key and its organisation, and no request writes it", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    await settled();
    const usedAt = Date.now();
    const calls = await d1CallsOf(async () => {
      for (let i = 0; i < 5; i++) await call("GET", "/v1/relays/sessions", { key: key.token });
    });
    expect(calls.filter((sql) => /\b(insert|update|delete)\b/i.test(sql))).toEqual([]);
    await eventually(async () => {
      const { body } = await call("GET", `/api-keys/${key.id}`, { key: tenant.key });
      expect(Date.parse(body[0].token.lastUseTimestamp)).toBeGreaterThanOrEqual(usedAt);
      expect(body[0].organizations[0].lastUseTimestamp).toBe(body[0].token.lastUseTimestamp);
    });
  });

  test("is written for many keys and uses at once, the latest of each", async () => {
    const tenant = await newOrganisation();
    const [a, b] = [await newKey(tenant), await newKey(tenant)];
    await stopTimers();
    const { note, written } = isolate();
    const now = Date.now();
    for (let i = 0; i < 100; i++) {
      note(a.id, tenant.id, now + i);
      note(b.id, tenant.id, now + 2 * i);
    }
    expect(await written()).toBe(1);
    vi.useRealTimers();
    expect([await lastUsed(a.id), await lastUsed(b.id)]).toEqual([now + 99, now + 198]);
  });

  test("is written again only after a minute, and never moves back", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    await stopTimers();
    const { note, written } = isolate();
    const now = Date.now();
    note(key.id, tenant.id, now);
    expect(await written()).toBe(1);
    note(key.id, tenant.id, now + 54_999);
    expect(await written()).toBe(0);
    note(key.id, tenant.id, now + 55_000);
    expect(await written()).toBe(1);
    const other = isolate();
    other.note(key.id, tenant.id, now + 1);
    await other.written();
    vi.useRealTimers();
    expect(await lastUsed(key.id)).toBe(now + 55_000);
  });

  test("fails no request when it cannot be written, and is written with the next use", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    await stopTimers();
    const { note, written } = isolate();
    const now = Date.now();
    const d1 = Object.getPrototypeOf(env.DB.withSession());
    const broken = vi.spyOn(d1, "_send").mockRejectedValue(new Error("D1 is down"));
    note(key.id, tenant.id, now);
    await written();
    broken.mockRestore();
    expect(log.mock.calls.join()).toContain("last uses not written");
    log.mockRestore();
    note(key.id, tenant.id, now + 1);
    expect(await written()).toBe(1);
    vi.useRealTimers();
    expect(await lastUsed(key.id)).toBe(now + 1);
  });
});
