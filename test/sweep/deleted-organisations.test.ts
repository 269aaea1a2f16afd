/**
 * A deleted organisation: its sessions end, their sockets close, and nothing of it stays in any
 * store.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call, newOrganisation, type Tenant } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { whileD1Refuses } from "../support/d1-refuses";
import { newEndpoint } from "../support/endpoints";
import { breakObjects, stubOf } from "../support/faults";
import { holding, journalsOf } from "../support/journals";
import { eventRows, eventually, newMailbox } from "../support/pipeline";
import { create, list, read, remove } from "../support/sessions";
import { connect, createRelay } from "../support/socket";
import { runSweep } from "../support/sweep";
import { countRows, insertDeliveries, insertEvents } from "../support/sweepable-rows";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const TABLES = ["organisation_keys", "sessions", "journals", "events", "deliveries"];

async function deleteOrganisation({ id }: Pick<Tenant, "id">): Promise<void> {
  const path = `/v1/organisations/${id}`;
  const { status } = await call("DELETE", path, { key: env.DRAWBRIDGE_ROOT_TOKEN });
  expect(status).toBe(204);
}

/** What is left of an organisation's rows, by table. */
async function left({ id }: Pick<Tenant, "id">): Promise<Record<string, number>> {
  const counts = await Promise.all(
    TABLES.map(async (table) => [table, await countRows(table, id)] as const),
  );
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

const relayOf = ({ key }: Tenant) =>
  createRelay(key, { users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }] });

function keysOf(id: string): Promise<string[]> {
  return runInDurableObject(stubOf(id), (_, { storage }) =>
    [...storage.kv.list()].map(([key]) => key),
  );
}

/** An organisation with a live and an ended session, whose events are all recorded. */
async function inUse() {
  const tenant = await newOrganisation();
  const relay = await relayOf(tenant);
  const ended = (await create(tenant.key)).body.session_id;
  await remove(tenant.key, ended);
  await eventually(async () => expect(await eventRows(tenant)).toHaveLength(3));
  return { tenant, relay, ended };
}

describe("a deleted organisation", () => {
  test("leaves no row, no key, and nothing in the objects of its sessions and journals", async () => {
    const { tenant, relay, ended } = await inUse();
    const digests = () => env.DB.prepare("select count(*) as n from key_tokens").first("n");
    await deleteOrganisation(tenant);
    const digestsBefore = await digests();
    const journals = await journalsOf(tenant.id);
    expect(await holding(journals)).toHaveLength(1);
    await runSweep();
    expect(await left(tenant)).toEqual({});
    expect(await holding(journals)).toEqual([]);
    expect(await keysOf(relay.id)).toEqual([]);
    expect(await keysOf(ended)).toEqual([]);
    expect(await digests()).toBe(digestsBefore);
  });

  test("has its websockets closed, like a session that ended", async () => {
    const { tenant, relay } = await inUse();
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    await deleteOrganisation(tenant);
    await runSweep();
    expect((await host.closed).code).toBe(4410);
    expect((await client.closed).code).toBe(4410);
    expect(host.controls).toContainEqual(expect.objectContaining({ type: "ending" }));
  });

  test("takes nothing from another organisation", async () => {
    const [{ tenant }, other] = [await inUse(), await inUse()];
    const before = await left(other.tenant);
    await deleteOrganisation(tenant);
    await runSweep();
    expect(await holding(await journalsOf(other.tenant.id))).toHaveLength(1);
    expect(await left(other.tenant)).toEqual(before);
    expect((await read(other.tenant.key, other.relay.id)).status).toBe(200);
    expect((await list(other.tenant.key)).body.total_count).toBe(1);
  });

  test("is kept until an object that fails has been emptied too", async () => {
    const { tenant, relay } = await inUse();
    await deleteOrganisation(tenant);
    breakObjects("purge", (name) => name === relay.id);
    await runSweep();
    expect(await left(tenant)).toEqual({ sessions: 1 });
    expect(await countRows("organisations", tenant.id)).toBe(1);
    vi.restoreAllMocks();
    await runSweep();
    expect(await left(tenant)).toEqual({});
    expect(await keysOf(relay.id)).toEqual([]);
  });

  test("is kept until the failing object of an ended session has been emptied too", async () => {
    const { tenant, ended } = await inUse();
    await deleteOrganisation(tenant);
    breakObjects("purge", (name) => name === ended);
    await runSweep();
    vi.restoreAllMocks();
    await runSweep();
    expect(await keysOf(ended)).toEqual([]);
    expect(await left(tenant)).toEqual({});
  });

  test.each([
    ["events", (id: number) => insertEvents(id, 1_100, Date.now())],
    ["deliveries", (id: number) => insertDeliveries(id, 1_100, Date.now())],
  ])("with more %s than one run removes is finished by the next", async (_, insert) => {
    const tenant = await newOrganisation();
    await insert(tenant.id);
    await deleteOrganisation(tenant);
    await runSweep();
    await runSweep();
    expect(await left(tenant)).toEqual({});
  });

  test("does not keep another deleted one from being removed", async () => {
    const [broken, fine] = [await inUse(), await inUse()];
    await deleteOrganisation(broken.tenant);
    await deleteOrganisation(fine.tenant);
    breakObjects("purge", (name) => name === broken.relay.id);
    await runSweep();
    expect(await left(fine.tenant)).toEqual({});
    expect(await keysOf(fine.relay.id)).toEqual([]);
  });

  test("loses all else in the same run while one part of it cannot be removed", async () => {
    const tenant = await newOrganisation();
    const { key } = tenant;
    await call("POST", "/connections/definition", { key, body: { connectionId: "A" } });
    await call("POST", "/users", { key, body: { identifier: "jo" } });
    await newEndpoint(tenant, newMailbox());
    const parts = ["organisation_keys", "connections", "users", "webhook_endpoints"];
    const rows = () => Promise.all(parts.map((table) => countRows(table, tenant.id)));
    expect(await rows()).toEqual([1, 1, 1, 1]);
    await whileD1Refuses(/delete from "organisation_keys"/, async () => {
      await deleteOrganisation(tenant);
      await runSweep();
    });
    expect(await rows()).toEqual([1, 0, 0, 0]);
    await runSweep();
    expect(await rows()).toEqual([0, 0, 0, 0]);
  });

  test("leaves no count of its sessions, and no row of its own", async () => {
    stopClockAhead();
    const { tenant } = await inUse();
    await deleteOrganisation(tenant);
    await runSweep();
    advance(86_400);
    await runSweep();
    expect(await countRows("session_counts", tenant.id)).toBe(0);
    expect(await countRows("organisations", tenant.id)).toBe(0);
  });

  test("leaves nothing of what arrives late, such as an event that was still owed", async () => {
    stopClockAhead();
    const { tenant } = await inUse();
    await deleteOrganisation(tenant);
    await runSweep();
    await insertEvents(tenant.id, 1, Date.now());
    // Later than anything can arrive, and older than retention keeps.
    advance(40 * 86_400);
    await runSweep();
    await runSweep();
    await runSweep();
    expect(await left(tenant)).toEqual({});
    expect(await countRows("organisations", tenant.id)).toBe(0);
  });
});
