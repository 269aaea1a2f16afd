/** A slow receiver gets one request, and delays no other. */
import { afterEach, expect, test, vi } from "vitest";
import { JournalObject } from "../../src/journals/object";
import { type Consumed, consume, deliveryOf, newOwed, type Owed } from "../support/pipeline";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const deliver = (...messages: unknown[]): Promise<Consumed> =>
  consume("drawbridge-deliveries", messages);
/** After how long a message comes back whose request goes on. */
const BACK = 45;
/** How long the consumer waits for the receivers of a batch. */
const PATIENCE_MS = 1_000;

/** Stops all clocks of the Worker: only `answerLate` moves them. */
function stopTime() {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
}

/** Has the receiver answer once the consumer waits for it no longer. */
async function answerLate({ mailbox }: Owed) {
  await mailbox.waitForRequests(1);
  await vi.advanceTimersByTimeAsync(PATIENCE_MS);
  await mailbox.release();
}

test("the message of a slow request comes back later, and finds the delivery done by that request", async () => {
  const owed = await newOwed();
  await owed.mailbox.answer({ kind: "status", status: 204, held: true });
  stopTime();
  const consumed = deliver(owed.message);
  await answerLate(owed);
  expect(await consumed).toEqual({
    acknowledged: [],
    retried: [{ index: 0, delaySeconds: BACK }],
  });
  expect(await deliveryOf(owed)).toMatchObject({ status: "delivered", attempt_count: 1 });
  expect(await deliver(owed.message)).toEqual({ acknowledged: [0], retried: [] });
  expect(await owed.mailbox.requests()).toHaveLength(1);
});

test("the message of a slow request repeats it when its Worker died before the record", async () => {
  const owed = await newOwed();
  await owed.mailbox.answer(
    { kind: "status", status: 204, held: true },
    { kind: "status", status: 204 },
  );
  stopTime();
  const recording = vi
    .spyOn(JournalObject.prototype, "recordAttempts")
    .mockRejectedValue(new Error("the isolate is gone"));
  const consumed = deliver(owed.message);
  await answerLate(owed);
  const lost = await consumed;
  recording.mockRestore();
  expect(lost).toMatchObject({ acknowledged: [], retried: [{ index: 0 }] });
  expect(await deliveryOf(owed)).toMatchObject({ status: "pending", attempt_count: 0 });
  await deliver(owed.message);
  expect(await deliveryOf(owed)).toMatchObject({ status: "delivered", attempt_count: 1 });
  const ids = (await owed.mailbox.requests()).map(({ headers }) => headers["webhook-id"]);
  expect(ids).toHaveLength(2);
  expect(new Set(ids).size).toBe(1);
});

test("the other deliveries of a batch are done and recorded while a slow receiver still answers", async () => {
  const [slow, quick] = [await newOwed(), await newOwed()];
  await slow.mailbox.answer({ kind: "status", status: 204, held: true });
  stopTime();
  const recorded = Promise.withResolvers<void>();
  const works = JournalObject.prototype.recordAttempts;
  vi.spyOn(JournalObject.prototype, "recordAttempts").mockImplementation(async function (
    this: JournalObject,
    records,
  ) {
    await works.call(this, records);
    recorded.resolve();
  });
  const batch = deliver(slow.message, quick.message);
  await recorded.promise;
  expect(await deliveryOf(quick)).toMatchObject({ status: "delivered" });
  expect(await deliveryOf(slow)).toMatchObject({ status: "pending", attempt_count: 0 });
  await answerLate(slow);
  expect(await batch).toEqual({
    acknowledged: [1],
    retried: [{ index: 0, delaySeconds: BACK }],
  });
  expect(await deliveryOf(slow)).toMatchObject({ status: "delivered" });
});
