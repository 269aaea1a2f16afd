/** A journal that is full takes no more events, and goes on with those that it has. It warns before that. */
import { afterEach, expect, test, vi } from "vitest";
import { DAY_MS, dayAt } from "../../src/events/journal-key";
import { JournalStore } from "../../src/journals/journal-store";
import { FULL_BYTES } from "../../src/journals/object";
import { newOrganisation } from "../support/client";
import { advance, stopClock } from "../support/clock";
import { recordedIn } from "../support/journals";
import {
  consume,
  deliveryOf,
  eventRows,
  eventually,
  newEvent,
  newMailbox,
  newOwed,
  record,
} from "../support/pipeline";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const filled = (bytes: number) =>
  vi.spyOn(JournalStore.prototype, "bytes", "get").mockReturnValue(bytes);

/** The lines that are logged from now on. */
function logged(): string[] {
  const lines: string[] = [];
  vi.spyOn(console, "log").mockImplementation((...said) => void lines.push(said.join(" ")));
  return lines;
}

test("a journal knows its size", async () => {
  const tenant = await newOrganisation();
  const bytes = vi.spyOn(JournalStore.prototype, "bytes", "get");
  await record(await newEvent(tenant, "session.active", newMailbox().url));
  const sizes = bytes.mock.results.map(({ value }) => value);
  expect(sizes.length).toBeGreaterThan(0);
  for (const size of sizes) expect(size).toBeLessThan(1_000_000);
});

test("an event is refused and the log says so; it is recorded when there is room", async () => {
  const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
  const event = await newEvent(tenant, "session.active", mailbox.url);
  const lines = logged();
  filled(FULL_BYTES + 1);
  await expect(record(event)).rejects.toThrow("is full");
  expect(lines.join("\n")).toContain("journal full");
  expect((await eventRows(tenant)).some(({ id }) => id === event.id)).toBe(false);
  vi.restoreAllMocks();
  filled(FULL_BYTES);
  await record(event);
  await mailbox.waitForRequests(1);
});

test("it warns from 80 % on, once in ten minutes, and says what helps", async () => {
  const tenant = await newOrganisation();
  const lines = logged();
  const warnings = () => lines.filter((line) => line.includes("journal nearly full"));
  const recordOne = async () => record(await newEvent(tenant, "session.active", newMailbox().url));
  // Noon: the journal stays that of the same day.
  stopClock((dayAt(Date.now()) + 1.5) * DAY_MS);
  filled(0.8 * FULL_BYTES);
  await recordOne();
  expect(warnings()).toEqual([]);
  filled(0.8 * FULL_BYTES + 1);
  await recordOne();
  await recordOne();
  advance(599);
  await recordOne();
  expect(warnings()).toHaveLength(1);
  expect(warnings()[0]).toContain(`event_journals of organisation ${tenant.id}`);
  advance(1);
  await recordOne();
  expect(warnings()).toHaveLength(2);
});

test("attempts of what is recorded go on, and an event that is recorded may be told again", async () => {
  const owed = await newOwed();
  filled(FULL_BYTES + 1);
  const [recorded] = (await recordedIn(owed.tenant.id)).filter(({ deliveries }) =>
    deliveries.some(({ id }) => id === owed.message.id),
  );
  if (!recorded) throw new Error("it is recorded");
  await record(recorded.event);
  await consume("drawbridge-deliveries", [owed.message]);
  await eventually(async () =>
    expect(await deliveryOf(owed)).toMatchObject({ status: "delivered" }),
  );
});
