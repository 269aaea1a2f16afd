/** A journal uses what it has read of an organisation's endpoints for ten seconds, or until it is told of a change. */
import { expect, test } from "vitest";
import type { Database } from "../../src/db/open";
import { Listeners } from "../../src/journals/listeners";
import type { ListeningEndpoint } from "../../src/webhooks/fan-out";

const endpoint = (id: string): ListeningEndpoint => ({
  ...{ id, url: "https://example.com/", format: "standard", eventTypes: null },
});
const OLD = [endpoint("whe_old")];
const NEW = [endpoint("whe_new")];
const START = 1_000_000;

/** What a journal knows, and the reads of D1 that wait until the test answers them. */
function listenersOf() {
  const reads: ((endpoints: readonly ListeningEndpoint[]) => void)[] = [];
  const where = () => new Promise((resolve) => reads.push(resolve));
  const db = { select: () => ({ from: () => ({ where }) }) } as unknown as Database;
  return { listeners: new Listeners(db, 1), reads };
}

/** A journal that has read `OLD` at `START`. */
async function known() {
  const { listeners, reads } = listenersOf();
  const first = listeners.current(START);
  reads[0]?.(OLD);
  await first;
  return { listeners, reads };
}

test("what it has read is used for ten seconds, and then read again, also if nobody told it of a change", async () => {
  const { listeners, reads } = await known();
  expect(await listeners.current(START + 9_999)).toEqual(OLD);
  expect(reads).toHaveLength(1);
  const later = listeners.current(START + 10_000);
  expect(reads).toHaveLength(2);
  reads[1]?.(NEW);
  expect(await later).toEqual(NEW);
});

test("a change makes it read again at once", async () => {
  const { listeners, reads } = await known();
  listeners.changed();
  const later = listeners.current(START + 1);
  expect(reads).toHaveLength(2);
  reads[1]?.(NEW);
  expect(await later).toEqual(NEW);
});

test("what was read before a change is not for events that come after it, whichever read ends first", async () => {
  const { listeners, reads } = listenersOf();
  const before = listeners.current(START);
  listeners.changed();
  const after = listeners.current(START + 1);
  expect(reads).toHaveLength(2);
  reads[1]?.(NEW);
  expect(await after).toEqual(NEW);
  reads[0]?.(OLD);
  expect(await before).toEqual(OLD);
  expect(await listeners.current(START + 2)).toEqual(NEW);
});

test("a clock that goes back makes it read again", async () => {
  const { listeners, reads } = await known();
  const later = listeners.current(START - 1);
  expect(reads).toHaveLength(2);
  reads[1]?.(NEW);
  expect(await later).toEqual(NEW);
});
