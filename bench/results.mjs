/** Writes `RESULTS.md`: the figures of one whole run, with its date, machine and versions. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { arch, cpus, loadavg, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { COUNTED, LOSSES } from "./checks.mjs";
import { dollarsOf, dollarsOfLives, PRICES, PRICES_FILE } from "./costs.mjs";

const FILE = join(import.meta.dirname, "RESULTS.md");

const HEADERS = {
  requests: "requests",
  objectCalls: "calls of objects",
  socketMessages: "messages",
  d1Calls: "calls of D1",
  d1Read: "D1 read",
  d1Written: "D1 written",
  objectRead: "objects read",
  objectWritten: "objects written",
  queueOperations: "queues",
  logLines: "log lines",
};

/** The machine and the versions, as they are now. */
export function environment() {
  const version = (name) =>
    JSON.parse(
      readFileSync(join(import.meta.dirname, `../node_modules/${name}/package.json`), "utf8"),
    ).version;
  const [{ model }] = cpus();
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    machine: `${cpus().length} × ${model}, ${Math.round(totalmem() / 2 ** 30)} GB, ${type()} ${release()} ${arch()}`,
    versions: `Node ${process.versions.node}, ${["workerd", "miniflare", "hono", "partyserver"].map((name) => `${name} ${version(name)}`).join(", ")}`,
    commit: commit(),
    load: loadavg().map((value) => value.toFixed(2)),
  };
}

function commit() {
  try {
    const git = (...args) => execFileSync("git", args, { encoding: "utf8" }).trim();
    const changed = git("status", "--porcelain") === "" ? "" : ", with changes";
    return git("rev-parse", "--short", "HEAD") + changed;
  } catch {
    return "unknown";
  }
}

/** @param found the results of the four parts, and `before` and `after`: the machine then */
export function writeResults({ before, after, speed, counts, growth, sizes, load }) {
  const parts = [
    "# Results",
    "Written by `npm run bench`, and by nobody by hand. [What is measured, and how](README.md).",
    table(
      ["", ""],
      [
        ["date", `${before.date} UTC`],
        ["commit", before.commit],
        ["machine", before.machine],
        ["versions", before.versions],
        [
          "load of the machine, 1, 5 and 15 minutes",
          `${before.load.join(", ")} before; ${after.load.join(", ")} after`,
        ],
      ],
    ),
    "## Beside the limit",
    "1.00: it costs as much as the reference. 0.50: twice as much. The control is the first reference of a call beside itself, in another process: how far from 1.00 it is, so far every figure may be off.",
    speedTable(speed),
    "## What follows from a call",
    "Counted in the runtime, and the same on every machine. [counts.json](counts.json) is what later runs are compared with.",
    countsTable(counts),
    `At the list prices of ${PRICES.read} ([${PRICES_FILE}](${PRICES_FILE})), above what is included, without CPU time and storage:`,
    livesTable(counts),
    "## Growth",
    "Rows read by one call, in D1 and in objects, with so many rows of the kind in the tables.",
    table(
      ["", ...sizes.map((size) => size.toLocaleString("en"))],
      growth.map(({ name, read }) => [name, ...read]),
    ),
    "## Load and memory",
    loadTable(load),
  ];
  writeFileSync(FILE, `${parts.join("\n\n")}\n`);
}

function speedTable(rows) {
  const hasBefore = rows.some(({ before }) => before);
  const figure = ({ cpu, wall }) => [cpu.toFixed(2), wall.toFixed(2)];
  return table(
    [
      "call",
      "beside",
      ...(hasBefore ? ["before, by CPU"] : []),
      "by CPU",
      "by time",
      "aim",
      "control, by CPU",
      "CPU of a call",
      "CPU of the reference",
    ],
    rows.map((row) => [
      row.name,
      row.limit,
      ...(hasBefore ? [row.before?.cpu.toFixed(2) ?? ""] : []),
      ...figure(row.reached),
      row.aim === null ? "" : row.aim.toFixed(2),
      row.control.cpu.toFixed(2),
      ...[row.cost, row.limitCost].map(({ cpu }) => `${(cpu * 1_000).toFixed(0)} µs`),
    ]),
  );
}

function countsTable(counts) {
  return table(
    ["", ...COUNTED.map((what) => HEADERS[what]), "a million"],
    Object.entries(counts).map(([name, one]) => [
      name,
      ...COUNTED.map((what) => one[what]),
      `$${dollarsOf(one).total.toFixed(2)}`,
    ]),
  );
}

/** What a million lives cost. */
export function livesTable(counts) {
  const { frames, rest, rows, awake } = dollarsOfLives(counts);
  const parts = Object.entries(rest.parts).filter(([, dollars]) => dollars > 0);
  return table(
    ["a million lives", "dollars"],
    [
      ["the frames, a twentieth of a request each", frames.toFixed(2)],
      [`the rest, of which ${rows} rows written`, rest.total.toFixed(2)],
      ...parts.map(([what, dollars]) => [`… ${what}`, dollars.toFixed(2)]),
      ["**together**", `**${(frames + rest.total).toFixed(2)}**`],
      ["the objects are awake while frames flow: ten minutes each", awake.toFixed(2)],
    ],
  );
}

function loadTable(found) {
  const { sessions, users, seconds, frames, tripMs, endMs, memory, broadcast, ...losses } = found;
  const ms = (value) => `${value.toFixed(1)} ms`;
  const mb = (value) => (value === null ? "unknown" : `${value.toFixed(0)} MB`);
  return table(
    ["", ""],
    [
      ["sessions, users", `${sessions}, ${users}`],
      ["frames that went to the host and back", `${frames} in ${seconds} s`],
      ["from a client to its host and back", `p50 ${ms(tripMs.p50)}, p99 ${ms(tripMs.p99)}`],
      ["all ended at once: answered after", ms(endMs.answered)],
      ["… all told by webhook after", ms(endMs.told)],
      ...Object.entries(losses).map(([what, count]) => [LOSSES[what], count]),
      ["memory of the process at the start", mb(memory.start)],
      ["… with all connected", mb(memory.connected)],
      ["… when all had talked", mb(memory.talking)],
      ["… when all had ended", mb(memory.ended)],
      ...(broadcast ? [[broadcast.name, broadcast.text]] : []),
    ],
  );
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
