/** What a journal stores is read back as it was, and takes little room. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Attempt, StoredDelivery } from "../../src/events/delivery-record";
import { pack, unpack } from "../../src/journals/compressed-json";
import {
  givenUp,
  isUnattempted,
  packDelivery,
  unattempted,
  unpackDelivery,
  withAttempt,
} from "../../src/journals/stored-delivery";
import { newDelivery } from "../../src/webhooks/delivery";
import { journalsLeft, readPlace, writePlace } from "../../src/webhooks/recovery-place";

const AT = Date.UTC(2026, 10, 26);
const delivery = newDelivery(
  { id: "01a21576-9b07-799e-bdd0-52ed60dbc868", organisationId: 1, type: "session.active" },
  "standard",
  "https://example.com/hook",
  "whe_1",
);

const attempts: fc.Arbitrary<Attempt> = fc
  .record({
    at: fc.integer({ min: AT - 1_000, max: AT + 1e9 }),
    durationMs: fc.nat(20_000),
    statusCode: fc.option(fc.integer({ min: 100, max: 599 })),
    response: fc.option(fc.string({ unit: "grapheme", maxLength: 50 })),
    error: fc.option(fc.string()),
    resend: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
  })
  .map(({ resend, ...attempt }) => (resend === undefined ? attempt : { ...attempt, resend }));

const stored: fc.Arbitrary<StoredDelivery> = fc
  .record({
    status: fc.constantFrom("pending", "delivered", "failed", "discarded" as const),
    attempts: fc.array(attempts, { maxLength: 5 }),
    nextAttemptAt: fc.option(fc.integer({ min: AT + 1, max: AT + 1e9 })),
  })
  .map((one) => ({
    ...delivery,
    ...one,
    scheduledAttempts: one.attempts.filter(({ resend }) => resend === undefined).length,
  }));

describe("a delivery", () => {
  test("is read back as it was stored", () => {
    fc.assert(
      fc.property(stored, (one) => {
        const packed = unpack(pack(packDelivery(one, 3, AT))) as ReturnType<typeof packDelivery>;
        expect(packed[0]).toBe(3);
        expect(unpackDelivery(packed, delivery, AT)).toEqual(one);
      }),
    );
  });

  test("waits for its first attempt until one of the schedule is recorded, whatever was resent", () => {
    const resent = withAttempt(unattempted(delivery), {
      kind: "resend",
      deliveryId: delivery.id,
      attempt: { ...attempt, resend: "a" },
      succeeded: false,
    });
    expect(resent && isUnattempted(resent)).toBe(true);
    const tried = withAttempt(unattempted(delivery), scheduled(0, "pending", AT + 5));
    expect(tried && isUnattempted(tried)).toBe(false);
    const arrived = withAttempt(unattempted(delivery), scheduled(0, "delivered", null));
    expect(arrived && isUnattempted(arrived)).toBe(false);
  });

  const attempt = { at: AT, durationMs: 1, statusCode: 500, response: "", error: null };
  const scheduled = (before: number, status: StoredDelivery["status"], next: number | null) => ({
    ...{ deliveryId: delivery.id, attempt, before, status, nextAttemptAt: next },
    kind: "scheduled" as const,
  });

  test("has an attempt of the schedule recorded once", () => {
    const once = withAttempt(unattempted(delivery), scheduled(0, "pending", AT + 5_000));
    expect(once).toMatchObject({
      status: "pending",
      scheduledAttempts: 1,
      nextAttemptAt: AT + 5_000,
    });
    expect(once && withAttempt(once, scheduled(0, "failed", null))).toBeNull();
    expect(once && withAttempt(once, scheduled(1, "failed", null))).toMatchObject({
      ...{ status: "failed", scheduledAttempts: 2, nextAttemptAt: null },
    });
  });

  test("stays delivered when an attempt of the schedule fails after a resend has arrived", () => {
    const resent = withAttempt(unattempted(delivery), {
      kind: "resend",
      deliveryId: delivery.id,
      attempt: { ...attempt, statusCode: 204, resend: "r1" },
      succeeded: true,
    });
    expect(resent).toMatchObject({ status: "delivered", scheduledAttempts: 0 });
    const late = resent && withAttempt(resent, scheduled(0, "pending", AT + 5_000));
    expect(late).toMatchObject({ status: "delivered", nextAttemptAt: null, scheduledAttempts: 1 });
  });

  test("has each resend recorded once, and a failed one changes nothing else", () => {
    const first = unattempted(delivery);
    const record = {
      ...{ deliveryId: delivery.id, attempt: { ...attempt, resend: "r1" }, succeeded: false },
      kind: "resend" as const,
    };
    const once = withAttempt(first, record);
    expect(once).toEqual({ ...first, attempts: [record.attempt] });
    expect(once && withAttempt(once, record)).toBeNull();
  });

  test("is given up only while it is pending, and only with the message of its next attempt", () => {
    const failed = { status: "failed", nextAttemptAt: null };
    expect(givenUp(unattempted(delivery), 1)).toMatchObject(failed);
    expect(givenUp({ ...unattempted(delivery), status: "delivered" }, 1)).toBeNull();
    const tried = withAttempt(unattempted(delivery), scheduled(0, "pending", AT + 5_000));
    if (!tried) throw new Error("the attempt was recorded before");
    expect([1, 3].map((attempt) => givenUp(tried, attempt))).toEqual([null, null]);
    expect(givenUp(tried, 2)).toMatchObject(failed);
  });
});

describe("a stored value", () => {
  test("is read back, whatever JSON it is", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(unpack(pack(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test("that a newer version wrote is refused", () => {
    expect(() => unpack(Uint8Array.of(200, 1, 2).buffer)).toThrow("unknown form: 200");
  });

  test("of the first dictionary can be read for ever", () => {
    // Written on 26 November 2026. If this fails, the dictionary was changed: add another one instead.
    const written = Buffer.from("AcOMSINUgxQzo0SLVMM0S2yRimFnLQA=", "base64");
    const session = { id: "0e0d62a8e1f9-S", kind: "relay", status: "active" };
    expect(unpack(Uint8Array.from(written).buffer)).toEqual({ session });
  });

  test("of a session takes less than half of its JSON", () => {
    const session = {
      ...{ id: "0e0d62a8e1f9-S", kind: "relay", organisationId: 1, keyId: 1, createdAt: AT },
      ...{ idleSeconds: 300, maxUsers: 8, origin: "https://relay.example.com" },
      ...{ webhookUrl: "https://example.com/hooks/drawbridge", metadata: null, region: null },
      ...{ joinCodeDraw: null, version: 3, expiresAt: AT + 3_600_000, nextUser: 2 },
      users: [0, 1].map((n) => ({
        ...{ ip: `192.0.2.${n + 1}`, connectionId: null, deviceId: null },
        ...{ n, draw: 1_234_567 + n },
      })),
      ...{ status: "expired", endedAt: AT + 60_000, reason: "organisation" },
    };
    const length = JSON.stringify({ session }).length;
    expect(pack({ session }).byteLength).toBeLessThan(length / 2);
  });
});

describe("the place of a recovery", () => {
  test("is read back", () => {
    for (const above of [null, delivery.id]) {
      const place = { day: 20_783, number: 2, above };
      expect(readPlace(writePlace(place))).toEqual(place);
    }
    expect(readPlace(null)).toBeNull();
  });

  test("says which journals are left, oldest first", () => {
    const at = (day: number, number: number) => ({ organisationId: 1, day, number });
    const all = [at(2, 1), at(2, 0), at(1, 0), at(3, 0)];
    expect(journalsLeft(all, null)).toEqual([at(1, 0), at(2, 0), at(2, 1), at(3, 0)]);
    expect(journalsLeft(all, { day: 2, number: 1, above: null })).toEqual([at(2, 1), at(3, 0)]);
  });
});
