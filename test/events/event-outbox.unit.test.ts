/** What else follows from an event does not wait for its journal, and neither is forgotten when the other fails. */
import { expect, test, vi } from "vitest";
import type { DomainEvent } from "../../src/events/event";
import { EventOutbox, type OutboxServices } from "../../src/events/event-outbox";

const events = ["a", "b", "c"].map(
  (id) => ({ id, organisationId: 1, type: "connection.deleted", at: 1, data: {} }) as DomainEvent,
);

/** An outbox whose journals record what the test says, when it says so. */
function outboxOf(followUp: OutboxServices["followUp"]) {
  const removals = vi.fn(async () => undefined);
  const db = { delete: () => ({ where: removals }) };
  let answer = (_recorded: readonly string[]) => {};
  const recordEach = () =>
    new Promise((resolve) => {
      answer = (ids) =>
        resolve({
          recorded: events.filter(({ id }) => ids.includes(id)),
          failures: events.filter(({ id }) => !ids.includes(id)),
        });
    });
  const background: Promise<unknown>[] = [];
  const services = {
    ...{ db, journals: { recordEach }, followUp },
    ctx: { waitUntil: (work: Promise<unknown>) => void background.push(work) },
  };
  const outbox = new EventOutbox(services as unknown as OutboxServices);
  const removed = vi.spyOn(JSON, "stringify");
  return {
    outbox,
    /** Has journals record these events, and waits for the outbox. @returns the ids that are no longer owed */
    async recorded(ids: readonly string[]): Promise<unknown> {
      removed.mockClear();
      answer(ids);
      await Promise.all(background);
      const listed = removed.mock.calls.map(([value]) => value).filter(Array.isArray);
      removed.mockRestore();
      return removals.mock.calls.length === 0 ? [] : listed[0];
    },
  };
}

test("what follows from all events is done at once, while their journal has not answered", async () => {
  const followed: string[] = [];
  const followUp = async ({ id }: DomainEvent) => {
    followed.push(id);
    if (id === "a") await new Promise((resolve) => setTimeout(resolve, 1));
  };
  const { outbox, recorded } = outboxOf(followUp);
  outbox.sendAfterAnswer(events);
  expect(followed).toEqual(["a", "b", "c"]);
  expect(await recorded(["a", "b", "c"])).toEqual(["a", "b", "c"]);
});

test("what follows from hundreds of events is done for five of them at the same time at most", async () => {
  let [following, most] = [0, 0];
  const followUp = vi.fn(async () => {
    following++;
    most = Math.max(most, following);
    await Promise.resolve();
    following--;
  });
  const { outbox, recorded } = outboxOf(followUp);
  outbox.sendAfterAnswer(Array.from({ length: 160 }, () => events).flat());
  await recorded(["a", "b", "c"]);
  expect(followUp).toHaveBeenCalledTimes(480);
  expect(most).toBe(5);
});

test("an event is owed until it is recorded and what follows from it is done", async () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const followUp = async ({ id }: DomainEvent) => {
    if (id === "a") throw new Error("an object is out of reach");
  };
  const { outbox, recorded } = outboxOf(followUp);
  outbox.sendAfterAnswer(events);
  expect(await recorded(["a", "b"])).toEqual(["b"]);
  expect(log).toHaveBeenCalledTimes(1);
  log.mockRestore();
});
