/** The bench measures in turns, and its ratios are those of the same rounds. */
import { describe, expect, test } from "vitest";
import { compare } from "../../bench/comparison.mjs";

/** A process that is measured in time only, and notes when it is its turn. */
function runner(name: string, turns: string[]) {
  return {
    pid: null,
    run: async (first: number, count: number) => {
      turns.push(`${name} ${first}+${count}`);
    },
  };
}

describe("compare", () => {
  test("lets all warm up, and then gives turns in one order and back, each with the numbers that follow", async () => {
    const turns: string[] = [];
    const runners = { a: runner("a", turns), b: runner("b", turns), c: runner("c", turns) };
    await compare(runners, { rounds: 1, count: 5 });
    expect(turns).toEqual([
      ...["a 0+5", "b 0+5", "c 0+5"],
      ...["a 5+5", "b 5+5", "c 5+5"],
      ...["c 10+5", "b 10+5", "a 10+5"],
    ]);
  });

  test("prepares what a turn needs before that turn", async () => {
    const turns: string[] = [];
    const prepare = async (first: number, count: number) => {
      turns.push(`made ${first}+${count}`);
    };
    await compare({ a: { ...runner("a", turns), prepare } }, { rounds: 1, count: 2 });
    expect(turns.slice(0, 4)).toEqual(["made 0+2", "a 0+2", "made 2+2", "a 2+2"]);
  });

  test("says of each what part of the limit it reaches: the limit itself reaches 1", async () => {
    const turns: string[] = [];
    const { of } = await compare(
      { a: runner("a", turns), limit: runner("limit", turns) },
      { rounds: 3, count: 1 },
    );
    expect(of("limit", "limit").wall).toBe(1);
    expect(of("a", "limit").wall * of("limit", "a").wall).toBeGreaterThan(0);
  });
});
