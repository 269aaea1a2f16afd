/** Event ids are UUIDs of version 7, in the order of time. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newEventId, uuidV7 } from "../../src/events/event";
import { firstEventIdAt } from "../../src/events/journal-key";

const times = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const randoms = fc.uint8Array({ minLength: 10, maxLength: 10 });

describe("an event id", () => {
  test("equals the example of RFC 9562 for the example's time and bits", () => {
    const random = Uint8Array.of(0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f);
    expect(uuidV7(0x017f22e279b0, random)).toBe("017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  });

  test("has version 7, the variant of the RFC, and its time, whatever the random bits", () => {
    fc.assert(
      fc.property(times, randoms, (now, random) => {
        const id = uuidV7(now, random);
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(Number.parseInt(id.replace("-", "").slice(0, 12), 16)).toBe(now);
      }),
    );
  });

  test("sorts after all earlier ones when it was made at a later moment", () => {
    fc.assert(
      fc.property(times, times, randoms, randoms, (one, other, first, second) => {
        fc.pre(one < other);
        expect(uuidV7(one, first) < uuidV7(other, second)).toBe(true);
        expect(uuidV7(one, first) < firstEventIdAt(other)).toBe(true);
        expect(firstEventIdAt(one) <= uuidV7(one, first)).toBe(true);
      }),
    );
  });

  test("differs from every other, also in the same millisecond", () => {
    const ids = Array.from({ length: 1_000 }, () => newEventId(1_790_000_000_000));
    expect(new Set(ids).size).toBe(1_000);
  });
});
