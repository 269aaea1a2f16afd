/**
 * A delivery that fails is tried again on schedule under the same id, and ends as delivered or
 * failed.
 */
import { afterEach, describe, expect, test, vi } from "vitest";
import { newOrganisation } from "../support/client";
import { stopClock } from "../support/clock";
import {
  deliverWith,
  deliveryOf,
  deliveryRows,
  eventually,
  newMailbox,
  newOwed,
  verified,
} from "../support/pipeline";
import type { Behaviour } from "../support/receiver";
import { create } from "../support/sessions";

const status = (code: number, headers: Record<string, string> = {}): Behaviour => ({
  kind: "status",
  status: code,
  headers,
});

/**
 * A session whose receiver answers so; resolves with its delivery once that is delivered or failed.
 */
async function delivered(behaviours: Behaviour[], expected: "delivered" | "failed") {
  const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
  await mailbox.answer(...behaviours);
  await create(tenant.key, { webhook_url: mailbox.url });
  const delivery = await eventually(async () => {
    const [row] = await deliveryRows(tenant);
    expect(row).toMatchObject({ status: expected });
    if (!row) throw new Error("there is no delivery");
    return row;
  });
  const codes = delivery.attempts.map(({ statusCode }) => statusCode);
  return { tenant, mailbox, delivery, codes, requests: await mailbox.requests() };
}

describe("a receiver that fails", () => {
  test("twice gets it a third time, each under the same id with a valid signature", async () => {
    const { tenant, delivery, codes, requests } = await delivered(
      [status(500), status(503), status(204)],
      "delivered",
    );
    expect(codes).toEqual([500, 503, 204]);
    expect(delivery).toMatchObject({ attempt_count: 3, next_attempt_at: null });
    expect(requests).toHaveLength(3);
    expect(new Set(requests.map(({ headers }) => headers["webhook-id"]))).toEqual(
      new Set([delivery.event_id]),
    );
    expect(new Set(requests.map(({ body }) => body)).size).toBe(1);
    for (const request of requests) verified(request, tenant.webhookSecret);
  });

  test("each time gets no more after the last attempt of the schedule", async () => {
    const { delivery, codes, requests } = await delivered([status(400), status(500)], "failed");
    expect(codes).toEqual([400, 500, 500, 500]);
    expect(delivery).toMatchObject({ attempt_count: 4, next_attempt_at: null });
    expect(requests).toHaveLength(4);
  });

  test("with 410 gets nothing more", async () => {
    const owed = await newOwed();
    await owed.mailbox.answer(status(410));
    await deliverWith({ webhookRetrySeconds: [100] }, [owed.message]);
    expect(await deliveryOf(owed)).toMatchObject({
      status: "failed",
      next_attempt_at: null,
      attempts: [{ statusCode: 410 }],
    });
  });

  test.each([300, 304, 400, 404, 429, 599])("with %i has not taken the delivery", async (code) => {
    const owed = await newOwed();
    await owed.mailbox.answer(status(code));
    await deliverWith({ webhookRetrySeconds: [100] }, [owed.message]);
    expect(await deliveryOf(owed)).toMatchObject({
      status: "pending",
      attempts: [{ statusCode: code }],
    });
  });
});

describe("a receiver that", () => {
  test.each([200, 201, 299])("answers %i has taken the delivery", async (code) => {
    const owed = await newOwed();
    await owed.mailbox.answer(status(code));
    await deliverWith({}, [owed.message]);
    expect(await deliveryOf(owed)).toMatchObject({
      status: "delivered",
      attempts: [{ statusCode: code }],
    });
  });

  test("redirects has failed, and the address that it points to gets nothing", async () => {
    const elsewhere = newMailbox();
    const { codes } = await delivered(
      [{ kind: "redirect", to: elsewhere.url }, status(204)],
      "delivered",
    );
    expect(codes).toEqual([302, 204]);
    expect(await elsewhere.requests()).toEqual([]);
  });

  test("drops the connection has failed, and gets it again", async () => {
    const { delivery, codes } = await delivered([{ kind: "reset" }, status(204)], "delivered");
    expect(codes).toEqual([null, 204]);
    expect(delivery.attempts[0]?.error).toEqual(expect.stringMatching(/\S/));
  });

  test("is not there at all has failed, and is tried again", async () => {
    // Port 9 of this machine: nothing listens there.
    const nowhere = { ...newMailbox(), url: "http://127.0.0.1:9/hook" };
    const owed = await newOwed(nowhere);
    await deliverWith({ webhookRetrySeconds: [100] }, [owed.message]);
    const delivery = await deliveryOf(owed);
    expect(delivery).toMatchObject({ status: "pending", attempts: [{ statusCode: null }] });
    expect(delivery.next_attempt_at).toBeGreaterThan(Date.now());
  });

  test("answers a second late has answered", async () => {
    const { codes } = await delivered(
      [{ kind: "status", status: 200, delayMs: 1_000 }],
      "delivered",
    );
    expect(codes).toEqual([200]);
  });

  test("never answers has failed after 15 s, and gets nothing for at least a minute", async () => {
    const owed = await newOwed();
    await owed.mailbox.answer({ kind: "hang" });
    await deliverWith({ webhookRetrySeconds: [1, 1] }, [owed.message]);
    const delivery = await deliveryOf(owed);
    expect(delivery).toMatchObject({
      status: "pending",
      attempts: [{ statusCode: null, response: null, error: "no answer within 15 s" }],
    });
    const { at = 0, durationMs = 0 } = delivery.attempts[0] ?? {};
    expect(delivery.next_attempt_at).toBeGreaterThanOrEqual(at + durationMs + 60_000);
    expect(await owed.mailbox.requests()).toHaveLength(1);
  }, 300_000);

  test("answers at length is quoted with its first kilobyte", async () => {
    const owed = await newOwed();
    await owed.mailbox.answer({ kind: "status", status: 200, body: "x".repeat(100_000) });
    await deliverWith({}, [owed.message]);
    expect((await deliveryOf(owed)).attempts[0]?.response).toBe("x".repeat(1_024));
  });
});

describe("Retry-After", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  /** How many seconds the next attempt waits when 100 are planned and the receiver answers so. */
  async function waitAfter(answer: Behaviour): Promise<number> {
    const owed = await newOwed();
    await owed.mailbox.answer(answer);
    stopClock();
    await deliverWith({ webhookRetrySeconds: [100] }, [owed.message]);
    const { attempts, next_attempt_at } = await deliveryOf(owed);
    const [attempt] = attempts;
    if (!attempt || next_attempt_at === null) throw new Error("nothing is planned");
    return (next_attempt_at - attempt.at - attempt.durationMs) / 1_000;
  }

  test("is followed where it asks for more than was planned", async () => {
    const seconds = await waitAfter(status(503, { "Retry-After": "160" }));
    expect(seconds).toBeGreaterThanOrEqual(160);
    expect(seconds).toBeLessThanOrEqual(201);
  });

  test("is followed up to twice what was planned, and no further", async () => {
    const seconds = await waitAfter(status(503, { "Retry-After": "86400" }));
    expect(seconds).toBeGreaterThanOrEqual(199);
    expect(seconds).toBeLessThanOrEqual(201);
  });

  test("is not followed where it asks for less", async () => {
    const seconds = await waitAfter(status(503, { "Retry-After": "1" }));
    expect(seconds).toBeGreaterThanOrEqual(100);
  });
});
