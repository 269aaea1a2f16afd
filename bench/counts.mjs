/**
 * The part `counts`: everything that follows from a call, counted in the runtime (`in-worker/counting.mjs`), and
 * what a million of it cost at list prices. Counts are the same on every machine. `counts.json` has those of this
 * version: a quick run compares.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { COUNTED } from "./checks.mjs";
import { countedCalls, countedCronJobs } from "./counted-calls.mjs";
import { Fixtures } from "./fixtures.mjs";
import { Receiver } from "./receiver.mjs";
import { serve } from "./server.mjs";

const FILE = join(import.meta.dirname, "counts.json");
/** A call is over when nothing was counted for so long, and nothing is under way. */
const QUIET_CHECKS = 4;
const QUIET_CHECK_MS = 15;

/**
 * Counts each call so many times, and takes the middle: a key that is read again after ten seconds, or the time of
 * its last use that is written once a minute, meets one of them.
 * @returns the counts by call
 */
export async function measureCounts(built, times) {
  const receiver = await Receiver.open();
  const found = {};
  try {
    await withServer(built, async (fixtures) => {
      await fixtures.addPendingRequests(31);
      for (let i = 0; i < 31; i++) await fixtures.createSession();
      await countCalls(fixtures.server, countedCalls(fixtures, receiver), times, found);
    });
    await withServer(built, (fixtures) =>
      countCalls(fixtures.server, countedCronJobs(fixtures), times, found),
    );
    return found;
  } finally {
    receiver.close();
  }
}

async function withServer(built, work) {
  const server = await serve(built, {}, { counted: true });
  try {
    await work(await Fixtures.make(server));
  } finally {
    await server.stop();
  }
}

async function countCalls(server, calls, times, found) {
  for (const [name, { make, less }] of Object.entries(calls)) {
    const runs = [];
    // The first run may find caches that are empty.
    for (let i = 0; i < 1 + times; i++) runs.push(await countOnce(server, await make()));
    found[name] = middleOf(runs.slice(1));
    if (less) for (const what of COUNTED) found[name][what] -= found[less][what];
  }
}

async function countOnce(server, call) {
  const before = await quietCounts(server);
  const cleanUp = await call();
  const after = await quietCounts(server);
  if (typeof cleanUp === "function") await cleanUp();
  return Object.fromEntries(COUNTED.map((what) => [what, after[what] - before[what]]));
}

/** The counts, when nothing is under way any more. */
export async function quietCounts(server) {
  let before = "";
  for (let quiet = 0; ; ) {
    const counts = await server.counts();
    const now = JSON.stringify(counts);
    quiet = now === before && counts.running === 0 && counts.queued === 0 ? quiet + 1 : 0;
    if (quiet === QUIET_CHECKS) return counts;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, QUIET_CHECK_MS));
  }
}

function middleOf(runs) {
  return Object.fromEntries(
    COUNTED.map((what) => [
      what,
      runs.map((run) => run[what]).sort((a, b) => a - b)[Math.floor((runs.length - 1) / 2)],
    ]),
  );
}

/** The counts that were accepted. */
export function acceptedCounts() {
  return JSON.parse(readFileSync(FILE, "utf8"));
}

/** Makes these the counts that later runs are compared with. */
export function acceptCounts(found) {
  writeFileSync(FILE, `${JSON.stringify(found, null, 2)}\n`);
}
