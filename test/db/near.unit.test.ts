/** How old the answers of a copy of D1 may be, whatever happens in whatever order. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { forgetPrimary, NEAR_MS, NEAR_PAUSE_MS, readNear } from "../../src/db/near";
import type { Database } from "../../src/db/open";

/** Each state of D1 is a number that rises by one, and its bookmark is that number with zeros before it. */
const toBookmark = (state: number) => String(state).padStart(8, "0");

const wait = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: NEAR_MS / 2 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 2 * NEAR_MS }) },
  { weight: 1, arbitrary: fc.constant(NEAR_PAUSE_MS) },
);

/** A copy that is often up to date, so that it is not left alone for a minute most of the time. */
const behind = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(3));

const step = fc.oneof(
  fc.record({ kind: fc.constant("wait" as const), ms: wait }),
  fc.record({ kind: fc.constant("write" as const) }),
  fc.record({ kind: fc.constant("copy" as const), behind }),
  fc.record({ kind: fc.constant("forget" as const) }),
  fc.record({ kind: fc.constant("read nothing" as const) }),
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("read" as const), knows: fc.option(fc.nat(3)) }),
  },
);

let now = 1;

/** D1 with a copy: what a batch answers is the state that it sees. */
class FakeD1 {
  state = 1;
  copy = 1;
  readonly $client = { withSession: (from: string) => this.#session(from) };

  #session(from: string) {
    let bookmark = from === "first-primary" ? null : from;
    return {
      batch: async () => {
        const isPrimary = from === "first-primary";
        if (!isPrimary && toBookmark(this.copy) < from) throw new Error("D1_ERROR: still waiting");
        const seen = isPrimary ? this.state : this.copy;
        bookmark = toBookmark(seen);
        return [{ results: [seen], meta: { served_by_primary: isPrimary } }];
      },
      getBookmark: () => bookmark,
    };
  }
}

const readState = async (db: Database) => (await db.$client.batch<number>([]))[0]?.results[0];

test("what is read is never older than it says, than five seconds, or than what the caller knows", async () => {
  let byCopy = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      now += 2 * NEAR_PAUSE_MS;
      forgetPrimary();
      const d1 = new FakeD1();
      /** Which state the primary had from when on. */
      const states = [{ state: 1, from: now }];
      const stateAt = (time: number) => states.findLast(({ from }) => from < time)?.state ?? 1;
      for (const each of steps) {
        if (each.kind === "wait") now += each.ms;
        if (each.kind === "write") states.push({ state: ++d1.state, from: now });
        if (each.kind === "copy") d1.copy = Math.max(d1.copy, d1.state - each.behind);
        if (each.kind === "forget") forgetPrimary();
        const db = d1 as unknown as Database;
        if (each.kind === "read nothing") await readNear(db, { now }, async () => null);
        if (each.kind !== "read") continue;
        const known = each.knows === null ? 0 : Math.max(0, d1.state - each.knows);
        const answer = await readNear(db, { now, atLeast: toBookmark(known) }, readState);
        if (!answer.fromPrimary) byCopy += 1;
        expect(answer.value).toBeGreaterThanOrEqual(stateAt(answer.asOf));
        expect(answer.value).toBeGreaterThanOrEqual(known);
        expect(now - answer.asOf).toBeLessThan(NEAR_MS);
        if (answer.fromPrimary) expect(answer.value).toBe(d1.state);
      }
    }),
    { numRuns: 500 },
  );
  expect(byCopy).toBeGreaterThan(500);
});
