/**
 * Whatever a queue does with delivery messages and whatever fails below it, no owed delivery is
 * lost or wrongly marked as done.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { JournalObject } from "../../src/journals/object";
import { AttemptRecorder } from "../../src/webhooks/attempt-recorder";
import { call } from "../support/client";
import { d1Lost, newGate, withD1 } from "../support/d1";
import {
  consume,
  deadLetters,
  deliverWith,
  deliveryOf,
  eventually,
  newOwed,
  newOwedToEndpoint,
  type Owed,
} from "../support/pipeline";

afterEach(() => {
  vi.restoreAllMocks();
});

const QUEUE = "drawbridge-deliveries";
const ACKNOWLEDGED = { acknowledged: [0], retried: [] };
const deliver = (...messages: unknown[]) => consume(QUEUE, messages);
/** The journal fails when it is told of the next attempt. */
const recordFails = () =>
  vi.spyOn(JournalObject.prototype, "recordAttempts").mockRejectedValueOnce(new Error("Gone."));
const idsSeen = async ({ mailbox }: Owed) =>
  (await mailbox.requests()).map(({ headers }) => headers["webhook-id"]);

describe("a delivery message that comes again", () => {
  test("makes no second request once the delivery is done", async () => {
    const owed = await newOwed();
    expect(await deliver(owed.message)).toEqual(ACKNOWLEDGED);
    expect(await deliver(owed.message, { ...owed.message, attempt: 2 })).toEqual({
      acknowledged: [0, 1],
      retried: [],
    });
    expect(await owed.mailbox.requests()).toHaveLength(1);
    expect(await deliveryOf(owed)).toMatchObject({ status: "delivered", attempt_count: 1 });
  });

  test("makes no second request once its attempt is recorded, while the next one is owed", async () => {
    const owed = await newOwed();
    await owed.mailbox.answer({ kind: "status", status: 500 });
    await deliverWith({ webhookRetrySeconds: [1_000] }, [owed.message]);
    expect(await deliver(owed.message)).toEqual(ACKNOWLEDGED);
    expect(await owed.mailbox.requests()).toHaveLength(1);
    expect(await deliveryOf(owed)).toMatchObject({ status: "pending", attempt_count: 1 });
  });

  test("changes nothing after the last attempt", async () => {
    const owed = await newOwed();
    await owed.mailbox.answer({ kind: "status", status: 500 });
    await deliverWith({ webhookRetrySeconds: [] }, [owed.message]);
    expect(await deliveryOf(owed)).toMatchObject({ status: "failed", attempt_count: 1 });
    expect(await deliver(owed.message, { ...owed.message, attempt: 2 })).toMatchObject({
      acknowledged: [0, 1],
    });
    expect(await owed.mailbox.requests()).toHaveLength(1);
  });

  test("twice at once is recorded once, and repeats the request at most under the same id", async () => {
    const owed = await newOwed();
    await Promise.all([deliver(owed.message), deliver(owed.message)]);
    expect(await deliveryOf(owed)).toMatchObject({ status: "delivered", attempt_count: 1 });
    expect(new Set(await idsSeen(owed)).size).toBe(1);
  });

  test("and fails where the first one succeeded does not undo the delivery", async () => {
    const owed = await newOwed();
    await owed.mailbox.answer({ kind: "status", status: 500 }, { kind: "status", status: 204 });
    const gate = newGate();
    let records = 0;
    const works = AttemptRecorder.prototype.record;
    // The failure is recorded last, though its request was the first.
    vi.spyOn(AttemptRecorder.prototype, "record").mockImplementation(async function (
      this: AttemptRecorder,
      ...args
    ) {
      if (++records === 1) await gate.wait();
      return works.apply(this, args);
    });
    const failing = deliverWith({ webhookRetrySeconds: [1_000] }, [owed.message]);
    await gate.reached;
    await deliver(owed.message);
    gate.open();
    await failing;
    expect(await deliveryOf(owed)).toMatchObject({
      status: "delivered",
      attempts: [{ statusCode: 204 }],
      next_attempt_at: null,
    });
  });
});

describe("a delivery message that comes too early", () => {
  test("waits for the record of the attempt before its own, and sends nothing", async () => {
    const owed = await newOwed();
    const second = { ...owed.message, attempt: 2 };
    const waited = await deliver(second);
    expect(waited).toEqual({ acknowledged: [], retried: [{ index: 0, delaySeconds: 5 }] });
    expect(await owed.mailbox.requests()).toEqual([]);
    expect(await deliveryOf(owed)).toMatchObject({ status: "pending", attempt_count: 0 });
  });

  test("makes its attempt when that record is there", async () => {
    const owed = await newOwed();
    await owed.mailbox.answer({ kind: "status", status: 500 }, { kind: "status", status: 204 });
    await deliverWith({ webhookRetrySeconds: [1_000] }, [owed.message]);
    expect(await deliver({ ...owed.message, attempt: 2 })).toEqual(ACKNOWLEDGED);
    expect(await deliveryOf(owed)).toMatchObject({ status: "delivered", attempt_count: 2 });
  });
});

describe("a delivery message that cannot be used", () => {
  test("is acknowledged when nothing is owed under its id", async () => {
    const owed = await newOwed();
    expect(await deliver({ ...owed.message, id: "whd_none" })).toEqual(ACKNOWLEDGED);
    expect(await owed.mailbox.requests()).toEqual([]);
  });

  test("sends nothing when its id is another organisation's", async () => {
    const [owed, other] = [await newOwed(), await newOwed()];
    await deliver({ ...owed.message, organisationId: other.tenant.id });
    expect(await owed.mailbox.requests()).toEqual([]);
    expect(await deliveryOf(owed)).toMatchObject({ status: "pending", attempt_count: 0 });
  });

  test.each([
    ["nothing", null],
    ["a text", "hello"],
    ["another version", { v: 2, organisationId: 1, id: "whd_1", attempt: 1 }],
    ["no attempt", { v: 1, organisationId: 1, id: "whd_1" }],
    ["an attempt before the first", { v: 1, organisationId: 1, id: "whd_1", attempt: 0 }],
  ])("is acknowledged when it is %s, and kept for a person to see", async (_, body) => {
    const marker = crypto.randomUUID();
    const unreadable =
      typeof body === "object" && body !== null ? { ...body, marker } : [body, marker];
    expect(await deliver(unreadable)).toEqual(ACKNOWLEDGED);
    expect(await deadLetters(marker)).toEqual([
      expect.objectContaining({ queue: QUEUE, body: JSON.stringify(unreadable) }),
    ]);
  });

  test("does not keep the others of its batch from being sent", async () => {
    const owed = await newOwed();
    expect(await deliver({ nonsense: true }, owed.message)).toMatchObject({
      acknowledged: [0, 1],
    });
    expect(await deliveryOf(owed)).toMatchObject({ status: "delivered" });
  });

  test("ends as a dead letter on the real queue", async () => {
    const marker = crypto.randomUUID();
    await env.DELIVERIES.send({ marker } as never);
    await eventually(async () => {
      expect(await deadLetters(marker)).toMatchObject([{ queue: QUEUE }]);
    });
  });
});

describe("a delivery message, when D1 or the journal fails", () => {
  test("at the start of an attempt, comes back, and nothing is sent", async () => {
    const owed = await newOwed();
    const failed = await withD1(d1Lost, () => deliver(owed.message));
    expect(failed).toEqual({ acknowledged: [], retried: [{ index: 0, delaySeconds: 10 }] });
    expect(await owed.mailbox.requests()).toEqual([]);
    expect(await deliver(owed.message)).toEqual(ACKNOWLEDGED);
    expect(await deliveryOf(owed)).toMatchObject({ status: "delivered", attempt_count: 1 });
  });

  test("at the record of a success, has its request repeated under the same id", async () => {
    const owed = await newOwed();
    recordFails();
    const failed = await deliver(owed.message);
    expect(failed).toMatchObject({ acknowledged: [], retried: [{ index: 0 }] });
    expect(await deliveryOf(owed)).toMatchObject({ status: "pending", attempt_count: 0 });
    await deliver(owed.message);
    expect(await deliveryOf(owed)).toMatchObject({ status: "delivered", attempt_count: 1 });
    const ids = await idsSeen(owed);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
  });

  test("leaves in the log nothing of the receiver's answer, which may quote the tokens", async () => {
    const owed = await newOwed();
    const answer = `quoted-${crypto.randomUUID()}`;
    await owed.mailbox.answer({ kind: "status", status: 200, body: answer });
    const logs = (["log", "warn", "error"] as const).map((level) => vi.spyOn(console, level));
    recordFails();
    await deliver(owed.message);
    const logged = logs.flatMap(({ mock }) => mock.calls.map(String)).join("\n");
    expect(logged).toContain("queue message failed");
    expect(logged).not.toContain(answer);
  });

  test("in the middle of a batch, comes back alone, and the rest is done", async () => {
    const deliveries = [await newOwed(), await newOwed(), await newOwed()];
    recordFails();
    const result = await deliver(...deliveries.map(({ message }) => message));
    expect(result.acknowledged).toHaveLength(2);
    const again = result.retried.map(({ index }) => deliveries[index]?.message);
    expect(again).toHaveLength(1);
    await deliver(...again);
    for (const owed of deliveries) {
      expect(await deliveryOf(owed)).toMatchObject({ status: "delivered", attempt_count: 1 });
    }
  });
});

describe("a delivery message, when the queue refuses", () => {
  test("its next attempt, comes back, and the attempt that failed is not recorded", async () => {
    const owed = await newOwed();
    await owed.mailbox.answer({ kind: "status", status: 500 });
    const lost = vi
      .spyOn(Object.getPrototypeOf(env.DELIVERIES), "send")
      .mockRejectedValue(new Error("Queue is overloaded"));
    const failed = await deliver(owed.message);
    lost.mockRestore();
    expect(failed).toMatchObject({ acknowledged: [], retried: [{ index: 0 }] });
    expect(await deliveryOf(owed)).toMatchObject({ status: "pending", attempt_count: 0 });
    await owed.mailbox.answer({ kind: "status", status: 204 });
    await deliver(owed.message);
    expect(await deliveryOf(owed)).toMatchObject({ status: "delivered", attempt_count: 1 });
  });
});

describe("an address with deliveries that are owed", () => {
  test("gets nothing more of a deleted organisation, and the delivery is discarded", async () => {
    const owed = await newOwed();
    await call("DELETE", `/v1/organisations/${owed.tenant.id}`, { key: env.DRAWBRIDGE_ROOT_TOKEN });
    expect(await deliver(owed.message)).toEqual(ACKNOWLEDGED);
    expect(await owed.mailbox.requests()).toEqual([]);
    expect(await deliveryOf(owed)).toMatchObject({
      status: "discarded",
      next_attempt_at: null,
      attempts: [{ statusCode: null, error: expect.stringContaining("deleted") }],
    });
  });

  test("gets nothing more for an endpoint that was deleted meanwhile, and the delivery is discarded", async () => {
    const owed = await newOwedToEndpoint();
    await owed.mailbox.answer({ kind: "status", status: 500 });
    await deliverWith({ webhookRetrySeconds: [1_000] }, [owed.message]);
    await call("DELETE", `/v1/webhooks/endpoints/${owed.endpoint.id}`, { key: owed.tenant.key });
    expect(await deliver({ ...owed.message, attempt: 2 })).toEqual(ACKNOWLEDGED);
    expect(await owed.mailbox.requests()).toHaveLength(1);
    expect(await deliveryOf(owed)).toMatchObject({
      status: "discarded",
      next_attempt_at: null,
      attempts: [
        { statusCode: 500 },
        { statusCode: null, error: "the webhook endpoint was deleted" },
      ],
    });
  });

  test("gets nothing more when we may no longer send to it, and the delivery is discarded", async () => {
    const owed = await newOwed();
    expect(await deliverWith({ allowInsecureWebhooks: false }, [owed.message])).toEqual(
      ACKNOWLEDGED,
    );
    expect(await owed.mailbox.requests()).toEqual([]);
    expect(await deliveryOf(owed)).toMatchObject({ status: "discarded" });
  });
});
