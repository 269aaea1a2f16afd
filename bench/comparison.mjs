/**
 * Measures several servers in turns: A B C, then C B A, and again. What else the machine does meets all of them,
 * and a machine that becomes slower or faster does so for all. The figures are medians over the rounds.
 */

import { percentile } from "./figures.mjs";
import { send, sideBySide } from "./http-client.mjs";
import { cpuMs } from "./processes.mjs";

/** A process is idle when it has used less than this in a check, in milliseconds of CPU. */
const IDLE_CPU_MS = 0.3;
const IDLE_CHECK_MS = 10;
/** A service that never rests is not waited for. */
const MOST_IDLE_CHECKS = 50;

/**
 * Measures some runners in turns.
 * @param runners by name: the process (`pid`); `run(first, count)`, which does the work so many times, where `first`
 *   says how often it was done before; and `prepare(first, count)`, if something has to be made for that
 * @param plan how many `rounds`, and how often the work is done in a turn (`count`). Before that, it is done `warmUp`
 *   times: until then the runtime still compiles it
 * @returns by name, for each round: CPU and time for each piece of work, in milliseconds
 */
export async function measureRounds(runners, { rounds, count, warmUp = count }) {
  const names = Object.keys(runners);
  const done = Object.fromEntries(names.map((name) => [name, 0]));
  const costs = Object.fromEntries(names.map((name) => [name, []]));
  const turn = async (name) => {
    const cost = await measure(runners[name], done[name], count);
    done[name] += count;
    return cost;
  };
  for (const name of names) while (done[name] < warmUp) await turn(name);
  for (let round = 0; round < rounds; round++) {
    const sums = Object.fromEntries(names.map((name) => [name, { cpu: 0, wall: 0 }]));
    for (const name of [...names, ...names.toReversed()]) {
      const { cpu, wall } = await turn(name);
      sums[name].cpu += cpu / (2 * count);
      sums[name].wall += wall / (2 * count);
    }
    for (const name of names) costs[name].push(sums[name]);
  }
  return costs;
}

/**
 * Compares what was measured.
 * @param rounds by name, from `measureRounds`: of one start of the processes, or of several one after another
 * @returns by name: the medians. `of(name, limit)` is the part of the limit that this one reaches: 1, if it costs as
 *   much; 0.5, if it costs twice as much. It compares only what was measured in the same round
 */
export function compare(rounds) {
  const median = (name, what) =>
    percentile(
      rounds[name].map((cost) => cost[what]),
      0.5,
    );
  const of = (name, limit, what) =>
    percentile(
      rounds[name].map((cost, round) => rounds[limit][round][what] / cost[what]),
      0.5,
    );
  return {
    costs: Object.fromEntries(
      Object.keys(rounds).map((name) => [
        name,
        { cpu: median(name, "cpu"), wall: median(name, "wall") },
      ]),
    ),
    of: (name, limit) => ({ cpu: of(name, limit, "cpu"), wall: of(name, limit, "wall") }),
  };
}

/** One turn. What the process does after its last answer counts as CPU, and not as time. */
async function measure({ pid, prepare, run }, first, count) {
  await prepare?.(first, count);
  await untilIdle(pid);
  const before = await cpuMs(pid);
  const startedAt = performance.now();
  await run(first, count);
  const wall = performance.now() - startedAt;
  await untilIdle(pid);
  return { wall, cpu: before === null ? Number.NaN : (await cpuMs(pid)) - before };
}

async function untilIdle(pid) {
  let before = await cpuMs(pid);
  for (let i = 0; before !== null && i < MOST_IDLE_CHECKS; i++) {
    await new Promise((resolve) => setTimeout(resolve, IDLE_CHECK_MS));
    const now = await cpuMs(pid);
    if (now - before < IDLE_CPU_MS) return;
    before = now;
  }
}

/** A runner that sends the requests of a call to a server: see `comparedCalls`. */
export function sender(server, { toRequest, prepare }, atOnce = 8) {
  const next = toRequest(server);
  return {
    pid: server.pid,
    prepare: prepare && ((first, count) => prepare(server, first, count)),
    run: (first, count) => sideBySide(count, atOnce, (i) => send(next(i)), first),
  };
}
