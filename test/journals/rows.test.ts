/** What a journal costs beside its events: to be made, to be asked, and to be dropped. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type DomainEvent, newEventId } from "../../src/events/event";
import { DAY_MS } from "../../src/events/journal-key";
import { sweepServices } from "../../src/sweep/sweep";
import { dropJournals } from "../../src/sweep/sweep-journals";
import { newOrganisation } from "../support/client";
import { newEndpoint } from "../support/endpoints";
import { journalsOf, recordedIn, storeRecords, warmJournal } from "../support/journals";
import { deliverWith, deliveryRows, newMailbox, record } from "../support/pipeline";
import { d1CallsOf, rowsOf, settled } from "../support/rows";

afterEach(() => {
  vi.restoreAllMocks();
});

function newEvents(organisationId: number, count: number): DomainEvent[] {
  return Array.from({ length: count }, () => {
    const at = Date.now();
    const data = { connection: { connectionId: "plant-a", memo: "" } };
    return { id: newEventId(at), organisationId, type: "connection.created", at, data };
  });
}

describe("a journal", () => {
  test("costs two rows of D1 with the first event of its day: itself and its index; and none later", async () => {
    const { id } = await newOrganisation();
    await settled();
    const [first, second] = newEvents(id, 2);
    if (!first || !second) throw new Error("there are two");
    const made = await rowsOf(() => record(first));
    const later = await rowsOf(() => record(second));
    expect([made.d1Written, later.d1Written, later.objectWritten]).toEqual([2, 0, 1]);
  });

  test.each([
    [1, 32, 1],
    [500, 32, 1],
    // An event of the deleted organisation may have come in between.
    [500, 0, 2],
  ])(
    "of %i events, dropped %i days later, costs its row in D1, and %i for all it has",
    async (count, days, objectWritten) => {
      const { id } = await newOrganisation();
      await settled();
      await storeRecords(
        id,
        newEvents(id, count).map((event) => ({ event })),
      );
      const keys = await journalsOf(id);
      const services = {
        ...sweepServices(env, createExecutionContext()),
        now: Date.now() + days * DAY_MS,
      };
      const rows = await rowsOf(() => dropJournals(services, keys));
      expect(rows).toMatchObject({ d1Written: 1, objectWritten });
      expect(await recordedIn(id)).toEqual([]);
    },
  );
});

test("an event with one delivery that arrives calls D1 once: for the endpoint, before the attempt", async () => {
  const tenant = await newOrganisation();
  await warmJournal(tenant.id);
  const mailbox = newMailbox();
  await newEndpoint(tenant, mailbox, { event_types: ["connection.created"] });
  await settled();
  const [before, event] = newEvents(tenant.id, 2);
  if (!before || !event) throw new Error("there are two");
  // The test makes the attempt itself.
  vi.spyOn(Object.getPrototypeOf(env.DELIVERIES), "sendBatch").mockResolvedValue(undefined);
  // The journal has read who listens.
  await record(before);
  expect(await d1CallsOf(() => record(event))).toEqual([]);
  const delivery = (await deliveryRows(tenant)).find((row) => row.event_id === event.id);
  const message = { v: 1, organisationId: tenant.id, id: delivery?.id, attempt: 1 };
  expect(await d1CallsOf(() => deliverWith({}, [message]))).toHaveLength(1);
  expect(await mailbox.requests()).toHaveLength(1);
});
