/** The bench measures in turns, and its ratios are those of the same rounds. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { compare, measureRounds } from "../../bench/comparison.mjs";

/** A process that is measured in time only, and notes when it is its turn. */
function runner(name: string, turns: string[]) {
  return {
    pid: null,
    run: async (first: number, count: number) => {
      turns.push(`${name} ${first}+${count}`);
    },
  };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("the bench", () => {
  test("lets all warm up, and then gives turns in one order and back, each with the numbers that follow", async () => {
    const turns: string[] = [];
    const runners = { a: runner("a", turns), b: runner("b", turns), c: runner("c", turns) };
    await measureRounds(runners, { rounds: 1, count: 5 });
    expect(turns).toEqual([
      ...["a 0+5", "b 0+5", "c 0+5"],
      ...["a 5+5", "b 5+5", "c 5+5"],
      ...["c 10+5", "b 10+5", "a 10+5"],
    ]);
  });

  test("does the work as often as it is to warm up before the first round", async () => {
    const turns: string[] = [];
    await measureRounds({ a: runner("a", turns) }, { rounds: 1, count: 5, warmUp: 15 });
    expect(turns).toEqual(["a 0+5", "a 5+5", "a 10+5", "a 15+5", "a 20+5"]);
  });

  test("prepares what a turn needs before that turn", async () => {
    const turns: string[] = [];
    const prepare = async (first: number, count: number) => {
      turns.push(`made ${first}+${count}`);
    };
    await measureRounds({ a: { ...runner("a", turns), prepare } }, { rounds: 1, count: 2 });
    expect(turns.slice(0, 4)).toEqual(["made 0+2", "a 0+2", "made 2+2", "a 2+2"]);
  });

  test("says what each costs, and what part of a limit it reaches: half of it, if it takes twice as long", async () => {
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const taking = (ms: number) => ({
      pid: null,
      run: async (_: number, count: number) => {
        now += ms * count;
      },
    });
    const runners = { a: taking(6), limit: taking(3) };
    const { costs, of } = compare(await measureRounds(runners, { rounds: 3, count: 4 }));
    expect([costs.a?.wall, costs.limit?.wall]).toEqual([6, 3]);
    expect([of("a", "limit").wall, of("limit", "a").wall]).toEqual([0.5, 2]);
    expect(of("limit", "limit").wall).toBe(1);
  });
});
