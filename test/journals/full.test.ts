/** A journal that is full takes no more events, and goes on with those that it has. */
import { afterEach, expect, test, vi } from "vitest";
import { JournalStore } from "../../src/journals/journal-store";
import { FULL_BYTES } from "../../src/journals/object";
import { newOrganisation } from "../support/client";
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
});

const filled = (bytes: number) =>
  vi.spyOn(JournalStore.prototype, "bytes", "get").mockReturnValue(bytes);

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
  const lines: string[] = [];
  vi.spyOn(console, "log").mockImplementation((...said) => void lines.push(said.join(" ")));
  filled(FULL_BYTES + 1);
  await expect(record(event)).rejects.toThrow("is full");
  expect(lines.join("\n")).toContain("journal full");
  expect((await eventRows(tenant)).some(({ id }) => id === event.id)).toBe(false);
  vi.restoreAllMocks();
  filled(FULL_BYTES);
  await record(event);
  await mailbox.waitForRequests(1);
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
