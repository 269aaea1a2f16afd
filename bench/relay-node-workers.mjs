/**
 * `npm run bench:relay-node -- --workers`: what a relay node does with `--workers 2` beside `--workers 1`, on a machine
 * with two cores: datagrams of 64 B, as many as it takes. The two take turns, so that what else the machine
 * does meets both. The generator (`flood.py`, Python 3 on Linux) is cheap, and has a lower priority. Where
 * other programs run, the rates depend on them: as root, run it in a session of its own with
 * `echo -15 > /proc/self/autogroup` before it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { bundleProgram } from "./bundled-program.mjs";
import { median, print, startDrawbridge } from "./relay-node-drawbridge.mjs";

const SESSIONS = 1_000;
const ROUNDS = 10;
/** A second of the kernel's accounting of CPU time. */
const TICKS = 100;
/** Workers report every second: so long after the last datagram all is counted. In milliseconds. */
const REPORTED_MS = 1_300;

const { folder, file } = await bundleProgram("../relay-node/main.ts");
const children = [];
const drawbridges = [];
try {
  const subjects = [await startSubject(1), await startSubject(2)];
  const results = subjects.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) results[i].push(await measure(subjects[i]));
  }
  for (const [i, { workers }] of subjects.entries()) {
    const perSecond = median(results[i].map(({ forwarded, seconds }) => forwarded / seconds));
    const cpu = median(
      results[i].map(({ forwarded, cpuSeconds }) => (cpuSeconds / forwarded) * 1e6),
    );
    const cores = median(results[i].map(({ cpuSeconds, seconds }) => cpuSeconds / seconds));
    print(
      `--workers ${workers}, 64 B, ${SESSIONS} sessions`,
      `${Math.round(perSecond)} /s, with ${cores.toFixed(2)} cores`,
      `${cpu.toFixed(2)} µs of CPU each`,
    );
  }
  const ratio = (of) => median(results[1].map((result, i) => of(result) / of(results[0][i])));
  print(
    "two workers beside one",
    `forwarded: × ${ratio(({ forwarded, seconds }) => forwarded / seconds).toFixed(2)}`,
    `CPU each: × ${ratio(({ forwarded, cpuSeconds }) => cpuSeconds / forwarded).toFixed(2)}`,
  );
} finally {
  for (const child of children) child.kill("SIGKILL");
  for (const drawbridge of drawbridges) drawbridge.close();
  rmSync(folder, { recursive: true, force: true });
}
process.exit();

async function startSubject(workers) {
  const drawbridge = await startDrawbridge(SESSIONS);
  drawbridges.push(drawbridge);
  const args = ["--url", drawbridge.url, "--host", "127.0.0.1", "--metrics", "127.0.0.1:0"];
  const ports = ["--server-port", "0", "--client-port", "0"];
  const node = spawn(process.execPath, [file, ...args, ...ports, "--workers", String(workers)], {
    env: { ...process.env, RELAY_NODE_TOKEN: "drbn_bench" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(node);
  node.on("exit", (code) => {
    if (code === null) return;
    console.error(`The relay node has ended (${code}).`);
    process.exit(1);
  });
  const log = [];
  createInterface({ input: node.stdout }).on("line", (line) => log.push(JSON.parse(line)));
  const logged = async (message) => {
    for (;;) {
      const found = log.find((line) => line.message === message);
      if (found) return found;
      await sleep(20);
    }
  };
  const { url } = await logged("metrics");
  const { server_port, client_port } = await logged("listening");
  while ((await readMetrics(url)).sessions < SESSIONS) await sleep(100);
  const flood = spawn(
    "python3",
    [join(import.meta.dirname, "flood.py"), server_port, client_port, SESSIONS].map(String),
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  children.push(flood);
  const lines = createInterface({ input: flood.stdout });
  await once(lines, "line");
  await sleep(REPORTED_MS);
  const pids = [node.pid, ...log.filter(({ pid }) => pid).map(({ pid }) => pid)];
  return { workers, url, flood, lines, pids };
}

async function measure({ url, flood, lines, pids }) {
  const before = { ...(await readMetrics(url)), cpu: cpuSeconds(pids), at: performance.now() };
  flood.stdin.write("\n");
  await once(lines, "line");
  const seconds = (performance.now() - before.at) / 1_000;
  await sleep(REPORTED_MS);
  const after = await readMetrics(url);
  return {
    forwarded: after.datagrams_out_total - before.datagrams_out_total,
    cpuSeconds: cpuSeconds(pids) - before.cpu,
    seconds,
  };
}

/** What these processes have used, all of their threads. */
function cpuSeconds(pids) {
  const ticks = pids.map((pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    return Number(stat[11]) + Number(stat[12]);
  });
  return ticks.reduce((sum, one) => sum + one, 0) / TICKS;
}

async function readMetrics(url) {
  const text = await (await fetch(url)).text();
  const lines = text.matchAll(/^relay_node_([a-z_]+) (\S+)$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
