/**
 * `npm run bench`: what the service costs, beside what the platform allows, on this machine. Builds the Worker as it
 * is deployed, and serves it with Miniflare. A whole run writes `RESULTS.md`. `README.md` says what is measured.
 */
import { parseArgs } from "node:util";
import { checkCounts, checkGrowth, checkLoad } from "./checks.mjs";
import { acceptCounts, acceptedCounts, measureCounts } from "./counts.mjs";
import { measureGrowth } from "./growth.mjs";
import { measureLoad } from "./load.mjs";
import { environment, livesTable, writeResults } from "./results.mjs";
import { buildWorker } from "./server.mjs";
import { measureSpeed } from "./speed.mjs";

const WHOLE = {
  speed: { starts: 3, rounds: 5, count: 200, warmUp: 2_000 },
  countTimes: 9,
  sizes: [1_000, 100_000, 1_000_000],
  load: { sessions: 200, seconds: 20, broadcasts: true },
};
/** To see that all of it works, and what the figures say that no machine changes. */
const QUICK = {
  speed: { starts: 1, rounds: 1, count: 8, isTrial: true },
  countTimes: 5,
  sizes: [100, 1_000],
  load: { sessions: 10, seconds: 2 },
};

const { values } = parseArgs({
  options: {
    quick: { type: "boolean" },
    accept: { type: "boolean" },
    part: { type: "string" },
    before: { type: "string" },
  },
});
const plan = values.quick ? QUICK : WHOLE;
const isAsked = (part) => values.part === undefined || values.part === part;

const before = environment();
const built = buildWorker(".");
const other = values.before === undefined ? null : buildWorker(values.before);
const checks = [];
const found = { before, sizes: plan.sizes };
try {
  if (isAsked("counts")) {
    found.counts = await measureCounts(built, plan.countTimes);
    if (values.accept) acceptCounts(found.counts);
    checks.push(...checkCounts(found.counts, acceptedCounts()));
    console.log(`${livesTable(found.counts)}\n`);
  }
  if (isAsked("growth")) {
    found.growth = await measureGrowth(built, plan.sizes);
    checks.push(...checkGrowth(found.growth));
  }
  if (isAsked("load")) {
    found.load = await measureLoad(built, plan.load);
    checks.push(...checkLoad(found.load));
  }
  if (isAsked("speed")) {
    found.speed = await measureSpeed(built, plan.speed, other);
    // It throws when a call is not answered.
    checks.push({ name: "speed: all calls are answered, and all references", problem: null });
  }
} finally {
  built.remove();
  other?.remove();
}
for (const { name, problem } of checks) if (problem !== null) console.log(`${name}: ${problem}`);
const failed = checks.filter(({ problem }) => problem !== null).length;
if (!values.quick && values.part === undefined) {
  writeResults({ ...found, after: environment() });
  console.log("bench/RESULTS.md is written.");
}
if (failed > 0 && checks.some(({ name, problem }) => problem && name.startsWith("counts"))) {
  console.log("If this change of the counts is meant: npm run bench -- --part counts --accept");
}
console.log(`${checks.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
