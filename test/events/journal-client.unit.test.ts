/** Events of many organisations at once: their numbers of journals are asked for together. */
import { expect, test, vi } from "vitest";
import { type DomainEvent, newEventId } from "../../src/events/event";
import type { JournalCalls } from "../../src/events/journal-calls";
import { JournalClient } from "../../src/events/journal-client";
import { findDeliveriesToSend } from "../../src/webhooks/deliveries-to-send";

/** Reads of D1 that wait until the test answers them. */
const reads = vi.hoisted(() => [] as { organisationId: number; answer(error?: Error): void }[]);

vi.mock("../../src/events/journal-counts", () => ({
  findJournalCounts: (_: unknown, organisationId: number) =>
    new Promise((resolve, reject) =>
      reads.push({ organisationId, answer: (error) => (error ? reject(error) : resolve([])) }),
    ),
}));

function clientOf(journal: Partial<JournalCalls>) {
  return new JournalClient({ DB: {}, JOURNALS: { getByName: () => journal } } as never);
}

const eventOf = (organisationId: number): DomainEvent => ({
  ...{ id: newEventId(Date.now()), organisationId, at: Date.now() },
  ...{ type: "connection.created", data: {} },
});

test("telling journals asks for all of them at once; where that fails, the others' events are recorded", async () => {
  const record = vi.fn(async () => undefined);
  const events = [1, 2, 3].map(eventOf);
  reads.length = 0;
  const told = clientOf({ record }).recordEach(events);
  expect(reads.map(({ organisationId }) => organisationId)).toEqual([1, 2, 3]);
  for (const { organisationId, answer } of reads)
    answer(organisationId === 2 ? new Error("D1 is down") : undefined);
  const { recorded, failures } = await told;
  expect(recorded.map(({ organisationId }) => organisationId)).toEqual([1, 3]);
  expect(failures).toEqual([new Error("D1 is down")]);
  expect(record).toHaveBeenCalledTimes(2);
});

test("finding a batch's deliveries asks for all of them at once", async () => {
  const find = vi.fn(async () => []);
  const keys = [1, 2, 3].map((organisationId) => {
    const id = `whd_${newEventId(Date.now()).replaceAll("-", "")}_000000000000`;
    return { organisationId, id };
  });
  const journals = clientOf({ find });
  vi.spyOn(journals, "mayHold").mockReturnValue(true);
  reads.length = 0;
  const found = findDeliveriesToSend({ db: journals.db, journals }, keys);
  expect(reads).toHaveLength(3);
  for (const { answer } of reads) answer();
  expect((await found).found.size).toBe(0);
  expect(find).toHaveBeenCalledTimes(3);
});
