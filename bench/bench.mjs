/**
 * `npm run bench`: what one process of the real runtime does on this machine. Builds the Worker as it
 * is deployed, serves it with Miniflare (not `wrangler dev`, whose proxy answers about 400 requests a
 * second), and measures over loopback. Numbers differ between machines: compare runs on one machine.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { measureBroadcast } from "./broadcast.mjs";

const REQUESTS = 1_000;
const AT_ONCE = 16;
const FRAMES = 20_000;
const PAYLOAD_BYTES = 200;
const WEBHOOKS = 500;
const ROOT = "bench-root-token-0123456789-0123456789";

/** What one participant may do is no part of what the runtime can do. */
const NO_LIMITS = {
  RELAY_BYTES_PER_SECOND: "0",
  RELAY_MESSAGES_PER_SECOND: "0",
  RELAY_UNHEARD_BYTES: "0",
};

const built = mkdtempSync(join(tmpdir(), "drawbridge-bench-"));
let mf;
try {
  execFileSync(
    process.execPath,
    ["node_modules/wrangler/bin/wrangler.js", "deploy", "--dry-run", "--outdir", built],
    { stdio: "pipe" },
  );
  mf = await serve(built, NO_LIMITS);
  await migrate(mf);
  const url = await mf.ready;
  const key = await newKey(url);
  const headers = { Authorization: `token ${key}` };
  const sessions = `${url}v1/relays/sessions`;
  const body = JSON.stringify({ users: [{ ip: "198.51.100.1" }, { ip: "198.51.100.2" }] });
  const ids = [];

  await measure("create a session of 2 users", async () => {
    const answer = await post(sessions, headers, body);
    ids.push(answer.session_id);
  });
  await measure("get a session", (i) => get(`${sessions}/${ids[i % ids.length]}`, headers));
  await measure("authorize a user", (i) =>
    post(
      `${sessions}:authorize-user`,
      headers,
      JSON.stringify({ session_id: ids[i % ids.length], user_ip: "198.51.100.3" }),
    ),
  );
  await measure("list 20 of the live sessions", () => get(sessions, headers));
  await measureFrames(await post(sessions, headers, body));
  await measureWebhooks(url, headers, () => post(sessions, headers, body));

  // This one shows what holds within the limits that a deployment has.
  await mf.dispose();
  mf = await serve(built, {});
  await migrate(mf);
  const limited = await mf.ready;
  const owner = { Authorization: `token ${await newKey(limited)}` };
  const users = Array.from({ length: 34 }, () => ({ ip: "198.51.100.1" }));
  const game = await post(`${limited}v1/relays/sessions`, owner, JSON.stringify({ users }));
  print(...(await measureBroadcast(game)));
} finally {
  await mf?.dispose();
  rmSync(built, { recursive: true, force: true });
}

function serve(folder, limits) {
  return new Miniflare({
    ...convertV4MiniflareOptions({
      // The Worker's log has a line for each request: the figures would drown in it.
      handleStructuredLogs: () => {},
      modules: true,
      rootPath: folder,
      scriptPath: "worker.js",
      compatibilityDate: "2026-10-20",
      compatibilityFlags: ["nodejs_compat", "queue_consumer_no_wait_for_wait_until"],
      d1Databases: { DB: "bench" },
      durableObjects: { SESSIONS: { className: "SessionObject", useSQLite: true } },
      queueProducers: {
        EVENTS: "drawbridge-events",
        DELIVERIES: "drawbridge-deliveries",
        CHECKS: "drawbridge-checks",
        SWEEPS: "drawbridge-sweep",
      },
      queueConsumers: {
        "drawbridge-events": { maxBatchSize: 50, maxBatchTimeout: 0 },
        "drawbridge-deliveries": { maxBatchSize: 5, maxBatchTimeout: 0 },
      },
      ratelimits: {
        KEY_LIMIT: { namespace_id: "1001", simple: { limit: 1_000_000, period: 10 } },
        ORGANISATION_LIMIT: { namespace_id: "1002", simple: { limit: 1_000_000, period: 10 } },
      },
      bindings: {
        DRAWBRIDGE_SECRET: "bench-secret-0123456789-0123456789-0123",
        DRAWBRIDGE_ROOT_TOKEN: ROOT,
        ...limits,
        ALLOW_INSECURE_WEBHOOKS: "1",
      },
    }),
  });
}

async function migrate(server) {
  const db = await server.getD1Database("DB");
  for (const file of readdirSync("migrations").filter((name) => name.endsWith(".sql"))) {
    const text = readFileSync(join("migrations", file), "utf8");
    for (const statement of text.split("--> statement-breakpoint")) {
      await db.prepare(statement).run();
    }
  }
}

async function newKey(url) {
  const answer = await post(
    `${url}v1/organisations`,
    { Authorization: `Bearer ${ROOT}` },
    '{"name":"Bench"}',
  );
  return answer.api_key.token;
}

/** Runs a call many times, some side by side, and prints rate and latencies. */
async function measure(name, work) {
  for (let i = 0; i < 50; i++) await work(i);
  const latencies = [];
  const startedAt = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < REQUESTS) {
        const i = next++;
        const from = performance.now();
        await work(i);
        latencies.push(performance.now() - from);
      }
    }),
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  latencies.sort((a, b) => a - b);
  const at = (part) => latencies[Math.floor(latencies.length * part)].toFixed(1);
  print(name, `${Math.round(REQUESTS / seconds)} /s`, `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
}

/** Sends frames from a client to the host, in bursts, and waits until all have arrived. */
async function measureFrames(session) {
  const [host, client] = session.session_users.map((user, i) => {
    const { link } = i === 0 ? session.relay.ports.server : session.relay.ports.client;
    const token = `session_token=${session.authorization_token}&user_token=${user.authorization_token}`;
    return new WebSocket(`${link}?${token}`);
  });
  host.binaryType = "arraybuffer";
  await Promise.all([opened(host), opened(client)]);
  let arrived = 0;
  const all = new Promise((resolve) => {
    host.onmessage = ({ data }) => {
      if (typeof data !== "string" && ++arrived === FRAMES) resolve();
    };
  });
  const frame = new Uint8Array(PAYLOAD_BYTES + 1).fill(7);
  frame[0] = 2;
  const startedAt = performance.now();
  for (let i = 0; i < FRAMES; i++) client.send(frame);
  await all;
  const seconds = (performance.now() - startedAt) / 1_000;
  print(
    `relay ${PAYLOAD_BYTES}-byte frames`,
    `${Math.round(FRAMES / seconds)} /s`,
    "one client to its host",
  );

  const trips = [];
  const ping = Uint8Array.of(1);
  for (let i = 0; i < 500; i++) {
    const from = performance.now();
    const answered = new Promise((resolve) =>
      client.addEventListener("message", resolve, { once: true }),
    );
    client.send(ping);
    await answered;
    trips.push(performance.now() - from);
  }
  trips.sort((a, b) => a - b);
  print(
    "ping through the relay",
    "",
    `p50 ${trips[250].toFixed(2)} ms, p99 ${trips[495].toFixed(2)} ms`,
  );
  host.close();
  client.close();
}

/** Makes events that an endpoint wants, and waits until all have arrived at its receiver. */
async function measureWebhooks(url, headers, makeEvent) {
  let arrived = 0;
  let all;
  const receiver = createServer((request, response) => {
    request.resume().on("end", () => {
      response.writeHead(204).end();
      if (++arrived === WEBHOOKS) all();
    });
  });
  await new Promise((listening) => receiver.listen(0, "127.0.0.1", listening));
  const done = new Promise((resolve) => {
    all = resolve;
  });
  try {
    const address = `http://127.0.0.1:${receiver.address().port}/`;
    const endpoint = JSON.stringify({ url: address, event_types: ["session.active"] });
    await post(`${url}v1/webhooks/endpoints`, headers, endpoint);
    const startedAt = performance.now();
    for (let made = 0; made < WEBHOOKS; made += AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, WEBHOOKS - made) }, makeEvent));
    }
    await done;
    const seconds = (performance.now() - startedAt) / 1_000;
    print("webhooks", `${Math.round(WEBHOOKS / seconds)} /s`, "from a session to its receiver");
  } finally {
    receiver.close();
    receiver.closeAllConnections();
  }
}

function opened(socket) {
  return new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("the websocket was refused"));
  });
}

async function post(url, headers, body) {
  return read(await fetch(url, { method: "POST", headers, body }));
}

async function get(url, headers) {
  return read(await fetch(url, { headers }));
}

async function read(response) {
  const answer = await response.json();
  if (!response.ok) throw new Error(`${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

function print(name, rate, rest) {
  console.log(`${name.padEnd(32)} ${rate.padStart(10)}   ${rest}`);
}
