/** Which journal an event is in follows from its id, in the same way everywhere and for ever. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { uuidV7 } from "../../src/events/event";
import {
  changesSince,
  DAY_MS,
  dayAt,
  eventIdOfDelivery,
  firstDeliveryAt,
  firstEventIdAt,
  isDayOver,
  isEventId,
  journalCountAt,
  journalName,
  journalOfEvent,
  parseJournalName,
  timeOfEventId,
} from "../../src/events/journal-key";
import { newDelivery } from "../../src/webhooks/delivery";

const times = fc.integer({ min: 0, max: Date.UTC(2200, 0, 1) });
const randoms = fc.uint8Array({ minLength: 10, maxLength: 10 });
const ids = fc.tuple(times, randoms).map(([time, random]) => ({ time, id: uuidV7(time, random) }));
const counts = fc
  .array(fc.record({ from: times, count: fc.integer({ min: 1, max: 64 }) }), { maxLength: 4 })
  .map((all) => all.sort((a, b) => a.from - b.from));

test("changes of the number that no kept event is of are left out, and nothing changes for the others", () => {
  fc.assert(
    fc.property(counts, times, times, (history, since, later) => {
      const kept = changesSince(history, since);
      for (const time of [since, since + later]) {
        expect(journalCountAt(kept, time)).toBe(journalCountAt(history, time));
      }
      expect(kept.filter(({ from }) => from <= since).length).toBeLessThanOrEqual(1);
    }),
  );
});

describe("the journal of an event", () => {
  test("is of the UTC day in its id", () => {
    fc.assert(
      fc.property(ids, ({ time, id }) => {
        expect(isEventId(id)).toBe(true);
        expect(timeOfEventId(id)).toBe(time);
        expect(journalOfEvent(7, id, [])).toEqual({
          organisationId: 7,
          day: Math.floor(time / DAY_MS),
          number: 0,
        });
      }),
    );
  });

  test.each([
    ["the last millisecond of a day", Date.UTC(2026, 10, 26) - 1, "7/2026-11-25/0"],
    ["midnight", Date.UTC(2026, 10, 26), "7/2026-11-26/0"],
    ["a leap day", Date.UTC(2028, 1, 29, 12), "7/2028-02-29/0"],
  ])("at %s is named after that day", (_, time, name) => {
    expect(journalName(journalOfEvent(7, firstEventIdAt(time), []))).toBe(name);
  });

  test("has a number below the count of its own moment, whatever was set before and after", () => {
    fc.assert(
      fc.property(ids, counts, ({ time, id }, history) => {
        const { number } = journalOfEvent(7, id, history);
        expect(number).toBeGreaterThanOrEqual(0);
        expect(number).toBeLessThan(journalCountAt(history, time));
        const later = [...history.filter(({ from }) => from <= time), { from: time + 1, count: 9 }];
        expect(journalOfEvent(7, id, later).number).toBe(number);
      }),
    );
  });

  test("spreads events over all numbers", () => {
    const history = [{ from: 0, count: 8 }];
    const seen = new Map<number, number>();
    for (let i = 0; i < 4_000; i++) {
      const id = uuidV7(Date.UTC(2026, 10, 26), crypto.getRandomValues(new Uint8Array(10)));
      const { number } = journalOfEvent(1, id, history);
      seen.set(number, (seen.get(number) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    // 500 each; so far off by chance once in more than 10^12 runs.
    for (const count of seen.values()) expect(Math.abs(count - 500)).toBeLessThan(200);
  });

  test("is read back from its name", () => {
    fc.assert(
      fc.property(ids, counts, fc.integer({ min: 1 }), ({ id }, history, organisationId) => {
        const key = journalOfEvent(organisationId, id, history);
        expect(parseJournalName(journalName(key))).toEqual(key);
      }),
    );
  });

  test.each(["", "7", "7/2026-11-26", "x/2026-11-26/0", "7/2026-13-45/0", "7/2026-11-26/0/1"])(
    "is not named %j",
    (name) => {
      expect(() => parseJournalName(name)).toThrow();
    },
  );
});

test("a delivery's id has its event's id, and sorts as that does", () => {
  fc.assert(
    fc.property(ids, ids, ({ id, time }, { id: other, time: otherTime }) => {
      const event = { id, organisationId: 1, type: "key.created" } as const;
      const delivery = newDelivery(event, "standard", "https://example.com", "whe_1");
      expect(eventIdOfDelivery(delivery.id)).toBe(id);
      expect(delivery.id > firstDeliveryAt(time)).toBe(true);
      const second = newDelivery(
        { ...event, id: other },
        "ricloud",
        "https://example.org",
        "whe_2",
      );
      if (time < otherTime) expect(delivery.id < second.id).toBe(true);
    }),
  );
});

test.each([
  ["a UUID of another version", "01936a1e-7c1c-4c1e-8a51-0d9d9f6f2a10"],
  ["one in capital letters", "01936A1E-7C1C-7C1E-8A51-0D9D9F6F2A10"],
  ["a delivery", "whd_01936a1e7c1c7c1e8a510d9d9f6f2a10_0123456789ab"],
  ["nothing", ""],
])("%s is no event's id", (_, text) => {
  expect(isEventId(text)).toBe(false);
});

test("a day is over when its last moment is older than retention", () => {
  const day = dayAt(Date.UTC(2026, 10, 1));
  const end = Date.UTC(2026, 10, 2);
  expect(isDayOver(day, 30, end + 30 * DAY_MS - 1)).toBe(false);
  expect(isDayOver(day, 30, end + 30 * DAY_MS)).toBe(true);
});
