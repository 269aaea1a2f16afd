/** A slow receiver gets one request, and delays no other. */
import { expect, test } from "vitest";
import { newGate, withD1 } from "../support/d1";
import { type Consumed, consume, deliveryOf, eventually, newOwed } from "../support/pipeline";

const deliver = (...messages: unknown[]): Promise<Consumed> =>
  consume("drawbridge-deliveries", messages);
/** After how long a message comes back whose request goes on. */
const BACK = 45;

test("the message of a slow request comes back later, and finds the delivery done by that request", async () => {
  const owed = await newOwed();
  await owed.mailbox.answer({ kind: "status", status: 204, delayMs: 2_500 });
  expect(await deliver(owed.message)).toEqual({
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
    { kind: "status", status: 204, delayMs: 1_500 },
    { kind: "status", status: 204 },
  );
  const lost = await withD1(
    (sql) => {
      if (sql.startsWith("update")) throw new Error("the isolate is gone");
    },
    () => deliver(owed.message),
  );
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
  await slow.mailbox.answer({ kind: "status", status: 204, delayMs: 3_000 });
  const gate = newGate();
  let records = 0;
  const batch = withD1(
    // The slow one's record waits until the quick delivery is done.
    (sql) => (sql.startsWith("update") && ++records > 1 ? gate.wait() : undefined),
    () => deliver(slow.message, quick.message),
  );
  await eventually(async () => {
    expect(await deliveryOf(quick)).toMatchObject({ status: "delivered" });
  });
  expect(await deliveryOf(slow)).toMatchObject({ status: "pending", attempt_count: 0 });
  gate.open();
  expect(await batch).toEqual({
    acknowledged: [1],
    retried: [{ index: 0, delaySeconds: BACK }],
  });
  expect(await deliveryOf(slow)).toMatchObject({ status: "delivered" });
});
