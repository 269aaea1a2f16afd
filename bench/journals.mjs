/**
 * `npm run bench:journals`: what events and their deliveries cost and how long they take, on this machine.
 * With `--before <folder>` it measures another checkout as well, in turns, so that what else the machine does
 * meets both. All of it runs in one process of the runtime, which has one thread: on the platform each journal
 * and each session has one of its own. Compare runs on one machine.
 *
 * Rows are not measured here: tests assert them (`test/session/whole-life.test.ts`, `test/journals/rows.test.ts`).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Burst } from "./burst.mjs";
import { percentile, print } from "./figures.mjs";
import { Receiver } from "./receiver.mjs";
import { buildWorker, del, get, newOrganisation, post, serve } from "./server.mjs";
import { journalSizes, tableSizes } from "./stored-sizes.mjs";

const { values } = parseArgs({
  options: {
    before: { type: "string" },
    part: { type: "string" },
    scale: { type: "string", default: "1" },
  },
});
const isAsked = (part) => values.part === undefined || values.part === part;
const scale = Number(values.scale);
const LIVES = Math.ceil(1_000 * scale);
const AT_ONCE = 8;
const BURST_EVENTS = 2 * Math.ceil(10_000 * scale);
const DELAY_ROUNDS = Math.ceil(40 * scale);
const DELAYS_A_ROUND = 25;
const QUIET_SAMPLES = Math.max(100, 300 * scale);

/** A life has 3 events and 5 deliveries: the endpoint wants all events, the `webhook_url` gets two of them. */
const DELIVERIES_OF_A_LIFE = 5;
const MINUTE_MS = 60_000;
/** From so many bytes on a journal is full (`FULL_BYTES` of `src/journals/object.ts`). */
const JOURNAL_BYTES = 9.5e9;
/** The calls that a Durable Object takes (its limits, November 2026). */
const JOURNAL_CALLS_A_SECOND = 1_000;
/** Calls of its journal for a life, if nothing is done together: 3 events; 5 attempts, found and recorded. */
const CALLS_OF_A_LIFE = 3 + 2 * DELIVERIES_OF_A_LIFE;
const DAY_S = 86_400;

const subjects = [{ name: "now", built: buildWorker(".") }];
if (values.before) subjects.unshift({ name: "before", built: buildWorker(values.before) });
const receiver = await Receiver.open();
printLoad();
try {
  if (isAsked("sizes")) for (const subject of subjects) await measureSizes(subject);
  if (isAsked("delays")) await measureDelays();
  for (const listens of isAsked("burst") ? [false, true] : []) {
    for (const subject of subjects) await measureBurst(subject, listens);
  }
} finally {
  receiver.close();
  for (const { built } of subjects) built.remove();
}
printLoad();
process.exit();

/** What lives leave behind: at once, and in D1 an hour later. */
async function measureSizes({ name, built }) {
  const state = mkdtempSync(join(tmpdir(), "drawbridge-bench-state-"));
  const server = await serve(built, {}, { state });
  try {
    const headers = await newOrganisation(server.url);
    const arrived = receiver.count("lives");
    await post(`${server.url}v1/webhooks/endpoints`, headers, { url: receiver.url("lives") });
    for (let i = 0; i < LIVES; i += AT_ONCE) {
      const count = Math.min(AT_ONCE, LIVES - i);
      await Promise.all(Array.from({ length: count }, () => live(server.url, headers)));
    }
    await until(() => receiver.count("lives") - arrived >= LIVES * DELIVERIES_OF_A_LIFE);
    await until(async () => (await countPending(server.url, headers)) === 0);
    const db = await server.mf.getD1Database("DB");
    const left = await rowsOf(db);
    // The next hour: the cron job runs every minute.
    for (let minute = 1; minute <= 60; minute++) {
      await server.setClockAhead(minute * MINUTE_MS);
      await server.runCron();
    }
    // What one run cannot finish goes on over a queue.
    let before = await rowsOf(db);
    for (let same = 0; same < 5; ) {
      await pause(1_000);
      const now = await rowsOf(db);
      same = now === before ? same + 1 : 0;
      before = now;
    }
    await server.stop();
    print(`${name}: a journal, for a life`, `${perLife(journalSizes(state))} B`);
    print(`${name}: rows in D1, for ${LIVES} lives`, "", `at their end: ${left}`);
    print("", "", `an hour later: ${before}`);
    print(`${name}: D1, for a life, an hour later`, `${perLife(tableSizes(state))} B`);
    const bytes = journalSizes(state);
    if (bytes > 0) printCapacity(bytes / LIVES);
  } finally {
    await server.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

function perLife(bytes) {
  return String(Math.round(bytes / LIVES));
}

function printCapacity(bytesOfALife) {
  const bySize = JOURNAL_BYTES / bytesOfALife;
  const byCalls = (JOURNAL_CALLS_A_SECOND * DAY_S) / CALLS_OF_A_LIFE;
  const millions = (count) => `${(count / 1e6).toFixed(1)} M`;
  print(
    "lives a day that one journal can hold",
    millions(Math.min(bySize, byCalls)),
    `by its size ${millions(bySize)}; by its calls ${millions(byCalls)}, evenly over the day`,
  );
}

/** A relay session that is made, gets a user, and is ended. */
async function live(url, headers) {
  const sessions = `${url}v1/relays/sessions`;
  const { session_id } = await post(sessions, headers, {
    users: [{ ip: "198.51.100.1" }, { ip: "198.51.100.2" }],
    webhook_url: receiver.url("lives"),
  });
  await post(`${sessions}:authorize-user`, headers, { session_id, user_ip: "198.51.100.3" });
  await del(`${sessions}/${session_id}`, headers);
}

async function countPending(url, headers) {
  let count = 0;
  let cursor = "";
  do {
    const query = `status=pending&limit=100${cursor && `&cursor=${cursor}`}`;
    const page = await get(`${url}v1/webhooks/deliveries?${query}`, headers);
    count += page.data.length;
    cursor = page.next_cursor ?? "";
  } while (cursor);
  return count;
}

/** The rows of the tables to which lives add some, as text. */
async function rowsOf(db) {
  const tables = ["sessions", "owed_events", "events", "deliveries"];
  const { results } = await db
    .prepare("select name from sqlite_master where type = 'table' order by name")
    .all();
  const there = results.map((row) => row.name).filter((table) => tables.includes(table));
  const counts = [];
  for (const table of there) {
    counts.push(`${table} ${await db.prepare(`select count(*) as n from ${table}`).first("n")}`);
  }
  return counts.join(", ");
}

/** From a command to the request of its webhook, one at a time. */
async function measureDelays() {
  const running = [];
  for (const { name, built } of subjects) {
    const server = await serve(built);
    running.push({ name, server, burst: await Burst.prepare(server.url, receiver), delays: [] });
  }
  try {
    for (const { burst } of running) await burst.sampleOneByOne(DELAYS_A_ROUND);
    for (let round = 0; round < DELAY_ROUNDS; round++) {
      for (const { burst, delays } of running) {
        delays.push(...(await burst.sampleOneByOne(DELAYS_A_ROUND)));
      }
    }
    for (const { name, delays } of running) {
      printDelays(`${name}: from the answer to the webhook`, delays, "fromAnswer");
      printDelays(`${name}: from the command to the webhook`, delays, "fromCommand");
    }
  } finally {
    for (const { server } of running) await server.stop();
  }
}

/** The delay of an organisation's webhooks while another one bursts, beside that of a quiet service. */
async function measureBurst({ name, built }, listens) {
  const server = await serve(built);
  try {
    const burst = await Burst.prepare(server.url, receiver);
    const makeEvents = await burst.prepareOther(listens);
    await burst.sample(() => burst.samples < QUIET_SAMPLES / 5);
    const quiet = await burst.sample((count) => count < QUIET_SAMPLES);
    let isOver = false;
    const startedAt = performance.now();
    const bursting = makeEvents(BURST_EVENTS).finally(() => {
      isOver = true;
    });
    const loud = await burst.sample(() => !isOver);
    const { commandsMs } = await bursting;
    const seconds = (performance.now() - startedAt) / 1_000;
    const what = listens ? "burst with deliveries" : "burst";
    print(
      `${name}: ${what} of ${BURST_EVENTS} events`,
      `${Math.round(BURST_EVENTS / (commandsMs / 1_000))} /s`,
      `all done after ${seconds.toFixed(0)} s; ${loud.length} samples of the other organisation`,
    );
    for (const [from, which] of Object.entries({ command: "fromCommand", answer: "fromAnswer" })) {
      printDelays(`${name}: the other one, quiet, from the ${from}`, quiet, which);
      printDelays(`${name}: … during the ${what}`, loud, which);
    }
  } finally {
    await server.stop();
  }
}

function printDelays(name, delays, which) {
  const all = delays.map((delay) => delay[which]);
  const at = (part) => `${percentile(all, part).toFixed(1)} ms`;
  print(name, at(0.5), `p90 ${at(0.9)}, p99 ${at(0.99)}, longest ${at(1)}`);
}

function printLoad() {
  const load = loadavg().map((value) => value.toFixed(1));
  print(
    "load of the machine",
    load.join(" "),
    `${availableParallelism()} cores, ${new Date().toISOString()}`,
  );
}

async function until(condition) {
  while (!(await condition())) await pause(200);
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
