/** Many organisations at once: their numbers of journals are asked for together, and none waits for ever. */
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

test("a journal that hangs makes its deliveries unreachable after three seconds, and no others", async () => {
  vi.useFakeTimers();
  vi.spyOn(console, "log").mockImplementation(() => {});
  const [hangs, fine] = [1, 2].map((organisationId) => {
    const id = `whd_${newEventId(Date.now()).replaceAll("-", "")}_000000000000`;
    return { organisationId, id };
  });
  if (!hangs || !fine) throw new Error("there are two");
  const find = () => new Promise<never>(() => undefined);
  const getByName = (name: string) => (name.startsWith("1/") ? { find } : { find: async () => [] });
  const journals = new JournalClient({ DB: {}, JOURNALS: { getByName } } as never);
  vi.spyOn(journals, "mayHold").mockReturnValue(true);
  reads.length = 0;
  let result: Awaited<ReturnType<typeof findDeliveriesToSend>> | null = null;
  findDeliveriesToSend({ db: journals.db, journals }, [hangs, fine]).then((found) => {
    result = found;
  });
  for (const { answer } of reads) answer();
  await vi.advanceTimersByTimeAsync(2_999);
  expect(result).toBeNull();
  await vi.advanceTimersByTimeAsync(1);
  expect(result).toEqual({ found: new Map(), unreachable: new Set([`1 ${hangs.id}`]) });
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test.each([
  ["could not be reached", {}, 2, 2],
  ["was moved while it worked", { remote: true, retryable: true }, 2, 2],
  ["threw by itself", { remote: true }, 1, 2],
  ["is overloaded", { overloaded: true, retryable: true }, 1, 5],
])("a journal that %s is called so often", async (_, traits, calls, retryAfterSeconds) => {
  const find = vi.fn(() => Promise.reject(Object.assign(new Error("failed"), traits)));
  const journals = clientOf({ find });
  const key = { organisationId: 1, day: 20_783, number: 0 };
  const called = journals.call(key, (journal) => journal.find([]));
  await expect(called).rejects.toMatchObject({ retryAfterSeconds });
  expect(find).toHaveBeenCalledTimes(calls);
});

test("more events than one call takes are told in several, and one call that fails keeps back its own", async () => {
  const record = vi.fn(async (_events: readonly DomainEvent[]) => undefined);
  record.mockResolvedValueOnce(undefined).mockRejectedValueOnce({ remote: true });
  const events = Array.from({ length: 450 }, () => eventOf(1));
  reads.length = 0;
  const told = clientOf({ record }).recordEach(events);
  for (const { answer } of reads) answer();
  const { recorded, failures } = await told;
  expect(record.mock.calls.map(([some]) => some.length)).toEqual([200, 200, 50]);
  expect(recorded).toEqual([...events.slice(0, 200), ...events.slice(400)]);
  expect(failures).toHaveLength(1);
});
