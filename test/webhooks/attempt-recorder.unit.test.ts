/** What came of the attempts of a batch is told to each journal by itself. */
import { expect, test } from "vitest";
import type { AttemptRecord } from "../../src/events/delivery-record";
import type { JournalCalls } from "../../src/events/journal-calls";
import type { JournalClient } from "../../src/events/journal-client";
import { firstDeliveryAt, type JournalKey } from "../../src/events/journal-key";
import { AttemptRecorder } from "../../src/webhooks/attempt-recorder";

const AT = Date.UTC(2026, 10, 26, 12);

function recordOf(n: number): AttemptRecord {
  const attempt = { at: AT, durationMs: 1, statusCode: 204, response: "", error: null };
  const how = { kind: "scheduled", before: 0, status: "delivered", nextAttemptAt: null } as const;
  return { ...how, deliveryId: `${firstDeliveryAt(AT + n)}_000000000000`, attempt };
}

/** Each thing in a journal of its own, of which the first cannot be reached. */
function journalsWithoutFirst(recorded: string[]): JournalClient {
  const groupByJournal = async (organisationId: number, items: readonly unknown[]) =>
    items.map((item, number) => ({ key: { organisationId, day: 1, number }, items: [item] }));
  const call = async (key: JournalKey, work: (journal: JournalCalls) => Promise<void>) => {
    if (key.number === 0) throw new Error("out of reach");
    const recordAttempts = async (records: readonly AttemptRecord[]) =>
      void recorded.push(...records.map(({ deliveryId }) => deliveryId));
    await work({ recordAttempts } as unknown as JournalCalls);
  };
  return { groupByJournal, call } as unknown as JournalClient;
}

test("a journal that cannot be reached keeps no attempt out of the day's other journals", async () => {
  const recorded: string[] = [];
  const recorder = new AttemptRecorder(journalsWithoutFirst(recorded));
  const records = [0, 1, 2].map(recordOf);
  for (const { deliveryId } of records) recorder.expect({ organisationId: 1, id: deliveryId });
  const told = await Promise.allSettled(records.map((record) => recorder.record(1, record)));
  expect(told.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
  expect(recorded).toEqual(records.slice(1).map(({ deliveryId }) => deliveryId));
});
