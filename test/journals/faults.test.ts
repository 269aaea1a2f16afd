/**
 * Journals that die, cannot be reached or are dropped, and clocks that differ: nothing is lost, nothing is
 * marked as delivered that was not, and only the organisation that it concerns waits.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type DomainEvent, newEventId } from "../../src/events/event";
import { JournalObject } from "../../src/journals/object";
import { readConfig } from "../../src/platform/config";
import { call, newOrganisation, type Tenant } from "../support/client";
import { newEndpoint } from "../support/endpoints";
import { inJournal, journalStub, journals, journalsOf, recordedIn } from "../support/journals";
import {
  consume,
  deliveryOf,
  eventually,
  newEvent,
  newMailbox,
  newOwed,
  type Owed,
  record,
} from "../support/pipeline";
import { EVENTS, endpointWith, pagesOf, storeDelivery } from "../support/webhooks";

const DAY_MS = 86_400_000;
const DELIVERIES = "drawbridge-deliveries";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** What is logged from now on. */
function listen(): string[] {
  const lines: string[] = [];
  vi.spyOn(console, "log").mockImplementation((...said) => void lines.push(said.join(" ")));
  return lines;
}

function connectionEvent({ id: organisationId }: Tenant, at: number): DomainEvent {
  const data = { connection: { connectionId: "a", memo: "" } };
  return { id: newEventId(at), organisationId, type: "connection.created", at, data };
}

async function killJournals(organisationId: number): Promise<void> {
  for (const key of await journalsOf(organisationId)) {
    const killed = runInDurableObject(journalStub(key), (_, state) =>
      state.abort("killed by a test"),
    );
    await killed.catch(() => undefined);
  }
}

test("a journal that dies in the middle of a call is told again, and sends each message", async () => {
  const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
  const event = await newEvent(tenant, "session.active", mailbox.url);
  const stuck = vi
    .spyOn(Object.getPrototypeOf(env.DELIVERIES), "sendBatch")
    .mockImplementationOnce(() => new Promise(() => undefined));
  const told = record(event).catch(() => record(event));
  await eventually(() => expect(stuck).toHaveBeenCalledTimes(1));
  await killJournals(tenant.id);
  await told;
  await mailbox.waitForRequests(1);
  await eventually(async () => {
    const all = (await recordedIn(tenant.id)).flatMap(({ deliveries }) => deliveries);
    expect(all).toMatchObject([{ status: "delivered" }]);
  });
});

describe("a batch of deliveries, when the journal of one cannot be reached,", () => {
  test("brings the others, and that one comes back later and is not marked as delivered", async () => {
    const [lost, fine] = [await newOwed(), await newOwed()];
    const find = JournalObject.prototype.find;
    const [broken] = await journalsOf(lost.tenant.id);
    vi.spyOn(JournalObject.prototype, "find").mockImplementation(function (
      this: JournalObject,
      ids,
    ) {
      const { id } = (this as unknown as { ctx: DurableObjectState }).ctx;
      if (id.name?.startsWith(`${broken?.organisationId}/`)) throw new Error("out of reach");
      return find.call(this, ids);
    });
    const result = await consume(DELIVERIES, [lost.message, fine.message]);
    expect(result).toMatchObject({ acknowledged: [1], retried: [{ index: 0 }] });
    vi.restoreAllMocks();
    expect(await deliveryOf(fine)).toMatchObject({ status: "delivered" });
    expect(await deliveryOf(lost)).toMatchObject({ status: "pending", attempt_count: 0 });
    expect(await lost.mailbox.requests()).toEqual([]);
    expect(await consume(DELIVERIES, [lost.message])).toMatchObject({ acknowledged: [0] });
    expect(await deliveryOf(lost)).toMatchObject({ status: "delivered" });
  });

  test("is not marked as delivered when only its record fails, and is sent again", async () => {
    const owed = await newOwed();
    vi.spyOn(JournalObject.prototype, "recordAttempts").mockRejectedValueOnce(new Error("gone"));
    expect(await consume(DELIVERIES, [owed.message])).toMatchObject({ retried: [{ index: 0 }] });
    expect(await deliveryOf(owed)).toMatchObject({ status: "pending", attempts: [] });
    await consume(DELIVERIES, [owed.message]);
    expect(await deliveryOf(owed)).toMatchObject({ status: "delivered", attempt_count: 1 });
    const ids = (await owed.mailbox.requests()).map(({ headers }) => headers["webhook-id"]);
    expect([ids.length, new Set(ids).size]).toEqual([2, 1]);
  });
});

test("the test of an endpoint is answered although it cannot be recorded, and posts once", async () => {
  const tenant = await newOrganisation();
  const mailbox = newMailbox();
  const endpoint = await newEndpoint(tenant, mailbox);
  const lines = listen();
  vi.spyOn(JournalObject.prototype, "recordAttempted").mockRejectedValue(new Error("gone"));
  const path = `/v1/webhooks/endpoints/${endpoint.id}:test`;
  const { status, body } = await call("POST", path, { key: tenant.key });
  expect([status, body.status_code]).toEqual([200, 204]);
  expect(await mailbox.requests()).toHaveLength(1);
  expect(lines.join("\n")).toContain("webhook test not recorded");
});

test("a message that ran out of retries ends no schedule whose next message is another one", async () => {
  const owed = await newOwed();
  // It waited for the first attempt, which could not be recorded for long, and is made now.
  await consume("drawbridge-dead-letters", [{ ...owed.message, attempt: 2 }]);
  expect(await deliveryOf(owed)).toMatchObject({ status: "pending" });
  await consume(DELIVERIES, [owed.message]);
  expect(await deliveryOf(owed)).toMatchObject({ status: "delivered", attempt_count: 1 });
});

test("the same batch twice at once makes at most two requests, and one record of each", async () => {
  const owed: Owed[] = [await newOwed(), await newOwed()];
  const batch = owed.map(({ message }) => message);
  await Promise.all([consume(DELIVERIES, batch), consume(DELIVERIES, batch)]);
  await consume(DELIVERIES, batch);
  for (const one of owed) {
    expect(await deliveryOf(one)).toMatchObject({ status: "delivered", attempt_count: 1 });
    expect((await one.mailbox.requests()).length).toBeLessThanOrEqual(2);
  }
});

describe("a day that retention has dropped", () => {
  test("makes messages about it be discarded, and the log says so", async () => {
    const owed = await newOwed();
    for (const key of await journalsOf(owed.tenant.id)) await journalStub(key).drop();
    const lines = listen();
    expect(await consume(DELIVERIES, [owed.message])).toEqual({ acknowledged: [0], retried: [] });
    expect(lines.join("\n")).toContain(owed.message.id);
    expect(await owed.mailbox.requests()).toEqual([]);
  });

  test("takes no event any more: it is discarded, the log says so, and no journal is made", async () => {
    const tenant = await newOrganisation();
    const { retentionDays } = readConfig(env);
    const old = connectionEvent(tenant, Date.now() - (retentionDays + 1) * DAY_MS);
    const young = connectionEvent(tenant, Date.now() - (retentionDays - 1) * DAY_MS);
    const lines = listen();
    await record(old, young);
    expect(lines.join("\n")).toContain(old.id);
    const ids = (await recordedIn(tenant.id)).map(({ event }) => event.id);
    expect(ids).toEqual([young.id]);
    expect(await journalsOf(tenant.id)).toHaveLength(1);
  });
});

describe("around midnight", () => {
  const midnight = (Math.floor(Date.now() / DAY_MS) + 1) * DAY_MS;

  test.each([
    ["a minute behind", -30_000, 30_000],
    ["a minute ahead", 30_000, -30_000],
  ])("an event of a clock that is %s is recorded, found and listed", async (_, made, here) => {
    vi.useFakeTimers({ toFake: ["Date"], now: midnight + here });
    const tenant = await newOrganisation();
    const endpoint = await newEndpoint(tenant, newMailbox(), {
      event_types: ["connection.created"],
    });
    const [own, others] = [
      connectionEvent(tenant, midnight + here),
      connectionEvent(tenant, midnight + made),
    ];
    await record(own, others);
    const ids = [own.id, others.id].toSorted().toReversed();
    const pages = await pagesOf(tenant, `${EVENTS}?type=connection.created&limit=1`);
    expect(pages.flat().map(({ id }) => id)).toEqual(ids);
    for (const id of ids) {
      expect((await call("GET", `${EVENTS}/${id}`, { key: tenant.key })).status).toBe(200);
    }
    const days = new Set((await journalsOf(tenant.id)).map(({ day }) => day));
    expect(days.size).toBe(2);
    vi.useRealTimers();
    await endpoint.mailbox.waitForRequests(2);
  });
});

test("a recovery goes through all journals of 14 days, also where a day has several", async () => {
  const tenant = await newOrganisation();
  await env.DB.prepare("update organisations set journal_counts = ? where id = ?")
    .bind(JSON.stringify([{ from: 0, count: 3 }]), tenant.id)
    .run();
  const endpoint = await endpointWith(tenant, { event_types: ["connection.deleted"] });
  const now = Date.now();
  const ids: string[] = [];
  for (let day = 0; day < 14; day++) {
    for (let i = 0; i < 3; i++) {
      const at = now - day * DAY_MS - 60_000 - i;
      ids.push(await storeDelivery(tenant, endpoint, "failed", at));
    }
  }
  // Outside of the window.
  await storeDelivery(tenant, endpoint, "failed", now - 15 * DAY_MS);
  const body = {
    since: new Date(now - 14 * DAY_MS + 1).toISOString(),
    until: new Date(now).toISOString(),
  };
  const started = await call("POST", `${endpoint.path}:recover`, { key: tenant.key, body });
  expect(started.status, started.text).toBe(202);
  await eventually(async () => {
    const path = `/v1/webhooks/recoveries/${started.body.id}`;
    const recovery = await call("GET", path, { key: tenant.key });
    expect(recovery.body).toMatchObject({ status: "finished", resent: ids.length });
  });
  await endpoint.mailbox.waitForRequests(ids.length);
});

describe("an organisation whose day is spread over several journals", () => {
  async function spread(count: number): Promise<Tenant> {
    const tenant = await newOrganisation();
    await env.DB.prepare("update organisations set journal_counts = ? where id = ?")
      .bind(JSON.stringify([{ from: 0, count }]), tenant.id)
      .run();
    return tenant;
  }

  test("has its events in all of them, each found by its id, and delivered", async () => {
    const tenant = await spread(4);
    const only = { event_types: ["connection.created"] };
    const endpoint = await newEndpoint(tenant, newMailbox(), only);
    const events = Array.from({ length: 40 }, () => connectionEvent(tenant, Date.now()));
    await record(...events);
    expect((await journalsOf(tenant.id)).length).toBe(4);
    for (const { id } of events.slice(0, 5)) {
      expect((await call("GET", `${EVENTS}/${id}`, { key: tenant.key })).body.id).toBe(id);
    }
    const seen = (await endpoint.mailbox.waitForRequests(40)).map(
      ({ headers }) => headers["webhook-id"],
    );
    expect(seen.toSorted()).toEqual(events.map(({ id }) => id).toSorted());
  });

  test("is set by the root token, counts from a moment to come on, and moves nothing", async () => {
    const tenant = await newOrganisation();
    const before = connectionEvent(tenant, Date.now());
    await record(before);
    const { status, body } = await call("PATCH", `/v1/organisations/${tenant.id}`, {
      key: env.DRAWBRIDGE_ROOT_TOKEN,
      body: { event_journals: 8 },
    });
    expect([status, body]).toMatchObject([200, { id: tenant.id, event_journals: 8 }]);
    const from = Date.parse(body.counts_from);
    expect(from - Date.now()).toBeGreaterThan(120_000);
    expect((await journals.journalOf(tenant.id, before.id)).number).toBe(0);
    const later = Array.from({ length: 40 }, (_, i) => connectionEvent(tenant, from + i));
    const numbers = await Promise.all(
      later.map(async ({ id }) => (await journals.journalOf(tenant.id, id)).number),
    );
    expect(new Set(numbers).size).toBeGreaterThan(1);
    const again = await call("PATCH", `/v1/organisations/${tenant.id}`, {
      key: env.DRAWBRIDGE_ROOT_TOKEN,
      body: { event_journals: 8 },
    });
    expect(again.body).toEqual(body);
  });
});

test("an event with 100 deliveries and 50 attempts each, with long answers, can be stored and read", async () => {
  const tenant = await newOrganisation();
  const event = connectionEvent(tenant, Date.now());
  await record(event);
  const [key] = await journalsOf(tenant.id);
  if (!key) throw new Error("there is one");
  const attempt = (i: number) => ({
    ...{ at: event.at + i, durationMs: 15_000, statusCode: 500, error: null },
    // What cannot be compressed, and takes three bytes a character.
    response: Array.from({ length: 1_024 }, () =>
      String.fromCodePoint(0x4e00 + Math.floor(Math.random() * 20_000)),
    ).join(""),
  });
  const made = Array.from({ length: 100 }, (_, n) => ({
    ...{ organisationId: tenant.id, id: `whd_${event.id.replaceAll("-", "")}_${n}` },
    ...{ eventId: event.id, eventType: event.type, format: "standard", url: "https://example.com" },
    ...{ endpointId: `whe_${n}`, status: "failed", scheduledAttempts: 50, nextAttemptAt: null },
    attempts: Array.from({ length: n < 9 ? 50 : 1 }, (_item, i) => attempt(i)),
  })) as never[];
  const id = newEventId(event.at);
  await inJournal(key, (store) => store.add({ ...event, id }, made));
  const [read] = await journals.call(key, (journal) => journal.find([id]));
  expect(read?.deliveries).toHaveLength(100);
  expect(read?.deliveries.filter(({ attempts }) => attempts.length === 50)).toHaveLength(9);
});
