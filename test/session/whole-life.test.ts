/**
 * What the whole life of a relay session costs in rows written, exactly, until nothing of it is left but its
 * events: in D1, in the session's object and in the organisation's journal.
 */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newOrganisation, type Tenant } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { newEndpoint } from "../support/endpoints";
import { stubOf } from "../support/faults";
import { warmJournal } from "../support/journals";
import { deliveryRows, eventRows, eventually, newMailbox } from "../support/pipeline";
import { type Rows, rowsOf, settled } from "../support/rows";
import { authorize, create, list, remove } from "../support/sessions";
import { connect, createRelay, fromClient } from "../support/socket";
import { runSweep } from "../support/sweep";
import { countRows } from "../support/sweepable-rows";

beforeEach(stopClockAhead);
afterEach(() => {
  vi.useRealTimers();
});

const pair = { users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }] };

/** An organisation that has today's journal and a count of its sessions, and of which nothing is due. */
async function warmTenant(): Promise<Tenant> {
  const tenant = await newOrganisation();
  await warmJournal(tenant.id);
  const { body } = await create(tenant.key);
  await remove(tenant.key, body.session_id);
  await list(tenant.key);
  await settled();
  advance(1_500);
  await runSweep();
  return tenant;
}

/** Waits until so many events of the life are recorded, and all that was made of them has arrived. */
async function recorded(tenant: Tenant, count: number): Promise<void> {
  await eventually(async () => {
    const events = (await eventRows(tenant)).filter(({ type }) => type.startsWith("session."));
    // Two are of the session that warmed up the organisation.
    expect(events).toHaveLength(2 + count);
  });
  await settled();
  await eventually(async () => {
    const pending = (await deliveryRows(tenant)).filter(({ status }) => status === "pending");
    expect(pending).toEqual([]);
  });
}

/** The rows of a life and of its removal. Of the session nothing is left then. */
async function rowsOfLife(tenant: Tenant, life: () => Promise<string>): Promise<Rows> {
  let id = "";
  const rows = await rowsOf(async () => {
    id = await life();
    advance(1_500);
    await runSweep();
  });
  expect(await countRows("sessions", tenant.id)).toBe(0);
  const left = await runInDurableObject(stubOf(id), (_, { storage }) => [...storage.kv.list()]);
  expect(left).toEqual([]);
  return rows;
}

const writes = ({ d1Written, objectWritten }: Rows) => ({ d1: d1Written, objects: objectWritten });

/** Rows of a life: D1, the session's object, and the journal, by the step that writes them. */
const CREATE = { d1: 3, object: 2, journal: 1 };
const AUTHORIZE = { d1: 1, object: 1, journal: 1 };
const END = { d1: 2, object: 1, journal: 1 };
const REMOVE = { d1: 1, object: 1, journal: 0 };

function total(...steps: { d1: number; object: number; journal: number }[]) {
  const sum = (of: (step: (typeof steps)[number]) => number) =>
    steps.reduce((all, step) => all + of(step), 0);
  return { d1: sum(({ d1 }) => d1), objects: sum(({ object, journal }) => object + journal) };
}

test.each([
  [1, total(CREATE, AUTHORIZE, END, REMOVE)],
  [2, total(CREATE, AUTHORIZE, AUTHORIZE, END, REMOVE)],
])(
  "a life with %i users authorised writes so many rows, its removal included",
  async (users, all) => {
    const tenant = await warmTenant();
    const rows = await rowsOfLife(tenant, async () => {
      const { body } = await create(tenant.key, pair);
      for (let i = 0; i < users; i++) await authorize(tenant.key, body.session_id);
      await remove(tenant.key, body.session_id);
      await recorded(tenant, 2 + users);
      return body.session_id;
    });
    expect(writes(rows)).toEqual(all);
  },
);

test("a life in which two websockets play until its end writes no more", async () => {
  const tenant = await warmTenant();
  const rows = await rowsOfLife(tenant, async () => {
    const relay = await createRelay(tenant.key, pair);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    client.send(...fromClient(1, 2, 3));
    await host.frame();
    await remove(tenant.key, relay.id);
    await Promise.all([host.closed, client.closed]);
    await recorded(tenant, 2);
    return relay.id;
  });
  expect(writes(rows)).toEqual(total(CREATE, END, REMOVE));
});

test("a life with webhooks writes one row more for each event, when its deliveries have arrived", async () => {
  const tenant = await warmTenant();
  await newEndpoint(tenant, newMailbox());
  await settled();
  const rows = await rowsOfLife(tenant, async () => {
    const { body } = await create(tenant.key, pair);
    await recorded(tenant, 1);
    await authorize(tenant.key, body.session_id);
    await recorded(tenant, 2);
    await remove(tenant.key, body.session_id);
    await recorded(tenant, 3);
    return body.session_id;
  });
  const life = total(CREATE, AUTHORIZE, END, REMOVE);
  // The journal's row of the receiver is written once a day.
  expect(writes(rows)).toEqual({ ...life, objects: life.objects + 3 + 1 });
});

test("a life with five deliveries that arrive writes three to five rows more: attempts of an event that end together are one", async () => {
  const tenant = await warmTenant();
  const mailbox = newMailbox();
  await newEndpoint(tenant, newMailbox());
  await settled();
  const rows = await rowsOfLife(tenant, async () => {
    const { body } = await create(tenant.key, { ...pair, webhook_url: mailbox.url });
    await recorded(tenant, 1);
    await authorize(tenant.key, body.session_id);
    await recorded(tenant, 2);
    await remove(tenant.key, body.session_id);
    await recorded(tenant, 3);
    return body.session_id;
  });
  expect(await mailbox.requests()).toHaveLength(2);
  const life = total(CREATE, AUTHORIZE, END, REMOVE);
  expect(rows.d1Written).toBe(life.d1);
  // And the journal's row of the receiver, once a day.
  expect(rows.objectWritten).toBeGreaterThanOrEqual(life.objects + 3 + 1);
  expect(rows.objectWritten).toBeLessThanOrEqual(life.objects + 5 + 1);
});
