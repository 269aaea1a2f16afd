/**
 * What the sweep does for pairing: it records events that were owed, and removes what is no longer needed.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { isNonceUsed, useNonce } from "../../src/once/nonces";
import { removeOldPairingData } from "../../src/pairing/retention";
import { call } from "../support/client";
import {
  ask,
  decide,
  domainDeps,
  findRequest,
  newApplication,
  newDevice,
  pair,
  request,
  type TestApplication,
  verify,
} from "../support/devices";
import { eventually } from "../support/eventually";
import { journalUnreachable, withJournals } from "../support/faults";
import { settledIn } from "../support/journals";
import { runSweep } from "../support/sweep";

const DAY = 86_400_000;

afterEach(() => {
  vi.useRealTimers();
});

async function count(table: string, column: string, value: unknown): Promise<number> {
  const row = await env.DB.prepare(`select count(*) n from ${table} where ${column} = ?`)
    .bind(value)
    .first<{ n: number }>();
  return row?.n ?? -1;
}

const left = async (at: TestApplication) => ({
  requests: await count("pairing_requests", "application_id", at.application),
  devices: await count("devices", "application_id", at.application),
  tokens: await count("device_tokens", "application_id", at.application),
});

describe("the sweep of pairing", () => {
  test("sends an event that the Worker did not send when it was due", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const at = await newApplication();
    await withJournals(journalUnreachable, async () => {
      await request(at, await newDevice());
    });
    await eventually(async () => {
      expect(await count("owed_events", "organisation_id", at.id)).toBe(1);
    });
    await runSweep();
    expect(await count("owed_events", "organisation_id", at.id)).toBe(1);
    vi.setSystemTime(Date.now() + 61_000);
    await runSweep();
    expect(await count("owed_events", "organisation_id", at.id)).toBe(0);
    expect(await settledIn(at.id)).toHaveLength(1);
  });

  test("removes nonces after 30 minutes, and not before", async () => {
    const { db } = domainDeps();
    const owner = crypto.randomUUID();
    // One at the end of a half hour, one at its beginning.
    const start = Math.floor(Date.now() / 1_800_000) * 1_800_000;
    for (const usedAt of [start - 1, start]) {
      vi.useFakeTimers({ toFake: ["Date"], now: usedAt });
      const use = { owner, nonce: String(usedAt) };
      expect(await useNonce(db, owner, use.nonce, usedAt)).toBe(true);
      for (const after of [0, 1, 1_799_999]) {
        vi.setSystemTime(usedAt + after);
        await runSweep();
        expect(await isNonceUsed(db, use, usedAt + after)).toBe(true);
        expect(await useNonce(db, owner, use.nonce, usedAt + after)).toBe(false);
      }
      expect(await isNonceUsed(db, use, usedAt + 1_800_000)).toBe(false);
    }
    vi.setSystemTime(start + 3_600_000);
    await runSweep();
    expect(await count("used_nonces", "owner", owner)).toBe(0);
  });

  test("removes setup codes whose time is over", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const at = await newApplication();
    const body = { role: "operator", scopes: [], ttl_seconds: 60 };
    await call("POST", `${at.path}/setup-codes`, { key: at.key, body });
    const codes = () => env.DB.prepare("select count(*) n from setup_codes").first("n");
    await runSweep();
    expect(await codes()).toBe(1);
    vi.setSystemTime(Date.now() + 60_000);
    await runSweep();
    expect(await codes()).toBe(0);
  });

  test("removes history and removed devices after the retention, and nothing that is in use", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const at = await newApplication();
    const [kept, removed] = [await newDevice(), await newDevice()];
    const { token } = await pair(at, kept);
    await pair(at, removed);
    await call("DELETE", `${at.path}/devices/${removed.id}`, { key: at.key });
    vi.setSystemTime(Date.now() + 29 * DAY);
    await runSweep();
    expect(await left(at)).toEqual({ requests: 2, devices: 2, tokens: 2 });
    const late = await request(at, await newDevice());
    vi.setSystemTime(Date.now() + 2 * DAY);
    await runSweep();
    expect(await left(at)).toEqual({ requests: 1, devices: 1, tokens: 1 });
    expect((await findRequest(at, late.id)).status).toBe("expired");
    expect((await verify(at, token)).valid).toBe(true);
  });

  test("keeps what a device has asked for within the hour, however short retention is", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const at = await newApplication();
    const asked = await request(at, await newDevice());
    await decide(at, asked.id, "reject");
    const { db } = domainDeps();
    vi.setSystemTime(Date.now() + 3_599_000);
    await removeOldPairingData(db, { cutoff: Date.now() - 1_000, limit: 100 }, Date.now());
    expect(await left(at)).toMatchObject({ requests: 1 });
    vi.setSystemTime(Date.now() + 2_000);
    await removeOldPairingData(db, { cutoff: Date.now() - 1_000, limit: 100 }, Date.now());
    expect(await left(at)).toMatchObject({ requests: 0 });
  });

  test("removes everything of a deleted organisation, whose applications disappear at once", async () => {
    const at = await newApplication();
    const device = await newDevice();
    await pair(at, device);
    await request(at, await newDevice());
    await call("DELETE", `/v1/organisations/${at.id}`, { key: env.DRAWBRIDGE_ROOT_TOKEN });
    const gone = await call("POST", `${at.path}/pairing/challenges`);
    expect([gone.status, gone.body.code]).toEqual([404, "application-not-found"]);
    await runSweep();
    expect(await left(at)).toEqual({ requests: 0, devices: 0, tokens: 0 });
    expect(await count("applications", "organisation_id", at.id)).toBe(0);
  });

  test("keeps the rows of a token few, however often a device collects another", async () => {
    const at = await newApplication();
    const device = await newDevice();
    await pair(at, device);
    for (let i = 0; i < 5; i++) expect((await ask(at, device)).status).toBe(200);
    const asked = await request(at, device, { scopes: ["operator.write"] });
    await decide(at, asked.id, "approve");
    expect((await left(at)).tokens).toBe(2);
  });
});
