/**
 * The Worker as it is deployed, on this machine: built by wrangler, and served by Miniflare with what its
 * wrangler.toml binds. (`wrangler dev` would do, but its proxy answers about 400 requests a second.)
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { experimental_readRawConfig } from "wrangler";

const ROOT_TOKEN = "bench-root-token-0123456789-0123456789";

/** Takes the Worker's place, and lets the bench put its clock forward, as if time had passed. */
const ENTRY = `
import worker from "./worker.js";
export * from "./worker.js";
const realNow = Date.now;
let ahead = 0;
Date.now = () => realNow() + ahead;
export default {
  ...worker,
  fetch(request, env, ctx) {
    const moved = request.headers.get("bench-clock-ahead");
    if (moved === null) return worker.fetch(request, env, ctx);
    ahead = Number(moved);
    return new Response();
  },
};
`;

/** What each organisation may call is no part of what the runtime can do. */
const NO_LIMIT = { limit: 1_000_000, period: 10 };

/**
 * Builds the Worker of a checkout.
 * @param folder the root of the checkout, with its packages installed
 */
export function buildWorker(folder) {
  const built = mkdtempSync(join(tmpdir(), "drawbridge-bench-"));
  const wrangler = join("node_modules", "wrangler", "bin", "wrangler.js");
  const args = [wrangler, "deploy", "--dry-run", "--outdir", built];
  execFileSync(process.execPath, args, { cwd: folder, stdio: "pipe" });
  writeFileSync(join(built, "entry.js"), ENTRY);
  const { rawConfig } = experimental_readRawConfig({ config: join(folder, "wrangler.toml") });
  const remove = () => rmSync(built, { recursive: true, force: true });
  return { folder, built, config: rawConfig, remove };
}

/**
 * Serves a built Worker, with an empty database.
 * @param vars settings that differ from wrangler.toml
 * @param state the folder in which storage is kept; none: it is gone when the server stops
 */
export async function serve({ folder, built, config }, vars = {}, state = undefined) {
  const { queues, durable_objects: objects, ratelimits } = config;
  const mf = new Miniflare(
    convertV4MiniflareOptions({
      // The Worker's log has a line for each request: the figures would drown in it.
      handleStructuredLogs: () => {},
      modules: ["entry.js", "worker.js"].map((file) => ({
        type: "ESModule",
        path: join(built, file),
      })),
      modulesRoot: built,
      compatibilityDate: config.compatibility_date,
      // The receivers of this bench are on the loopback address.
      compatibilityFlags: config.compatibility_flags.filter(
        (flag) => flag !== "global_fetch_strictly_public",
      ),
      resourcePersistencePath: state,
      d1Databases: { DB: "bench" },
      durableObjects: Object.fromEntries(
        objects.bindings.map((one) => [one.name, { className: one.class_name, useSQLite: true }]),
      ),
      queueProducers: Object.fromEntries(
        queues.producers.map(({ binding, queue }) => [binding, queue]),
      ),
      queueConsumers: Object.fromEntries(
        queues.consumers.map((one) => [
          one.queue,
          { maxBatchSize: one.max_batch_size, maxBatchTimeout: one.max_batch_timeout },
        ]),
      ),
      ratelimits: Object.fromEntries(
        ratelimits.map(({ name, namespace_id }) => [name, { namespace_id, simple: NO_LIMIT }]),
      ),
      bindings: {
        ...config.vars,
        DRAWBRIDGE_SECRET: "bench-secret-0123456789-0123456789-0123",
        DRAWBRIDGE_ROOT_TOKEN: ROOT_TOKEN,
        ALLOW_INSECURE_WEBHOOKS: "1",
        ...vars,
      },
    }),
  );
  await migrate(mf, join(folder, "migrations"));
  const url = String(await mf.ready);
  return {
    mf,
    url,
    /** Puts the clock of the Worker and of its objects so many milliseconds ahead. */
    setClockAhead: (ms) => fetch(url, { headers: { "bench-clock-ahead": String(ms) } }),
    stop: () => mf.dispose(),
  };
}

async function migrate(mf, folder) {
  const db = await mf.getD1Database("DB");
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".sql"))) {
    const text = readFileSync(join(folder, file), "utf8");
    for (const statement of text.split("--> statement-breakpoint")) {
      await db.prepare(statement).run();
    }
  }
}

/** The headers of a new organisation's API key. */
export async function newOrganisation(url) {
  const root = { Authorization: `Bearer ${ROOT_TOKEN}` };
  const { api_key: key } = await post(`${url}v1/organisations`, root, { name: "Bench" });
  return { Authorization: `token ${key.token}` };
}

export async function post(url, headers, body) {
  return read(await fetch(url, { method: "POST", headers, body: JSON.stringify(body) }));
}

export async function get(url, headers) {
  return read(await fetch(url, { headers }));
}

/** Ends a relay session, for example. The answer has no body that matters. */
export async function del(url, headers) {
  const response = await fetch(url, { method: "DELETE", headers });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
}

async function read(response) {
  const answer = await response.json();
  if (!response.ok) throw new Error(`${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

/** The value below which this part of the sorted values is. */
export function percentile(values, part) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * part)];
}

export function print(name, figure, rest = "") {
  console.log(`${name.padEnd(44)} ${figure.padStart(12)}   ${rest}`);
}
