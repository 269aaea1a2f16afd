/**
 * The Worker as it is deployed, on this machine: built by wrangler, and served by Miniflare with what its
 * wrangler.toml binds. (`wrangler dev` would do, but its proxy answers about 400 requests a second.)
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { experimental_readRawConfig } from "wrangler";
import { bundleText } from "./bundled-program.mjs";
import { childProcesses } from "./processes.mjs";

const SECRET = "bench-secret-0123456789-0123456789-0123";
const ROOT_TOKEN = "bench-root-token-0123456789-0123456789";

/** What runs in the runtime in place of the Worker, and around it. */
const IN_WORKER = join(import.meta.dirname, "in-worker");

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
  execFileSync(process.execPath, args, { cwd: folder, stdio: "pipe", encoding: "utf8" });
  cpSync(IN_WORKER, built, { recursive: true });
  const { rawConfig } = experimental_readRawConfig({ config: join(folder, "wrangler.toml") });
  const remove = () => rmSync(built, { recursive: true, force: true });
  return { folder, built, config: rawConfig, remove };
}

/**
 * Serves a built Worker, with an empty database.
 * @param vars settings that differ from wrangler.toml
 * @param state the folder in which storage is kept; none: it is gone when the server stops
 * @param counted whether what it does is counted, which takes time
 */
export async function serve({ folder, built, config }, vars = {}, { state, counted = false } = {}) {
  const { queues, durable_objects: objects, ratelimits } = config;
  const entry = counted ? "counted-entry.mjs" : "entry.mjs";
  const files = [
    entry,
    ...(counted ? ["entry.mjs", "counting.mjs"] : []),
    "limits.mjs",
    "worker.js",
  ];
  const server = await startRuntime(
    {
      modules: files.map((file) => ({ type: "ESModule", path: join(built, file) })),
      modulesRoot: built,
      compatibilityDate: config.compatibility_date,
      compatibilityFlags: flagsOf(config),
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
      bindings: {
        ...config.vars,
        MEMORY_LIMITS: Object.fromEntries(ratelimits.map(({ name }) => [name, NO_LIMIT])),
        DRAWBRIDGE_SECRET: SECRET,
        DRAWBRIDGE_ROOT_TOKEN: ROOT_TOKEN,
        ALLOW_INSECURE_WEBHOOKS: "1",
        ...vars,
      },
    },
    ["Bench"],
  );
  await migrate(server.mf, join(folder, "migrations"));
  const control = String(await server.mf.unsafeGetDirectURL(undefined, "Bench"));
  return {
    ...server,
    /** Puts the clock of the Worker and of its objects so many milliseconds ahead. */
    setClockAhead: (aheadMs) => post(control, {}, { aheadMs }),
    /** One run of the cron job. */
    runCron: () => post(control, {}, { cron: true }),
    /** Makes copies of an event in an organisation's journal of today. Of a counted server. */
    copyEvents: (organisationId, range) =>
      post(`${control}copy-events`, {}, { organisationId, range }),
    /** What was counted since the start: see `in-worker/counting.mjs`. */
    counts: () => get(`${control}counts`, {}),
  };
}

/** The receivers of this bench are on the loopback address. */
function flagsOf(config) {
  return config.compatibility_flags.filter((flag) => flag !== "global_fetch_strictly_public");
}

/**
 * Starts a process of the runtime with one Worker, at a socket of the Worker's own: Miniflare's usual one has a
 * Worker of Miniflare in front, which would be measured too.
 * @param entrypoints further ones that get a socket
 */
async function startRuntime(options, entrypoints = []) {
  const before = await childProcesses();
  const mf = new Miniflare(
    convertV4MiniflareOptions({
      // The Worker's log would drown the figures.
      handleStructuredLogs: () => {},
      unsafeDirectSockets: [{}, ...entrypoints.map((entrypoint) => ({ entrypoint }))],
      ...options,
    }),
  );
  await mf.ready;
  const url = String(await mf.unsafeGetDirectURL());
  const pid = (await childProcesses()).find((child) => !before.includes(child)) ?? null;
  return { mf, url, pid, stop: () => mf.dispose() };
}

/** Serves the reference Workers of `references/`, with the tables of the Worker that they stand beside. */
export async function serveReferences({ folder, config }) {
  const script = await bundleText(join(import.meta.dirname, "references/worker.mjs"));
  const objects = ["ReferenceSession", "ReferenceJournal", "ReferenceRelay", "PartyRelay"];
  const server = await startRuntime({
    modules: [{ type: "ESModule", path: "worker.mjs", contents: script }],
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: flagsOf(config),
    d1Databases: { DB: "reference" },
    durableObjects: Object.fromEntries(
      objects.map((className) => [className, { className, useSQLite: true }]),
    ),
    bindings: {
      SECRET,
      MEMORY_LIMITS: { KEY_LIMIT: NO_LIMIT, ORGANISATION_LIMIT: NO_LIMIT },
    },
  });
  await migrate(server.mf, join(folder, "migrations"));
  return server;
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

/** The headers of the root token. */
export const rootHeaders = { Authorization: `Bearer ${ROOT_TOKEN}` };

/** The headers of a new organisation's API key. */
export async function newOrganisation(url) {
  const { api_key: key } = await post(`${url}v1/organisations`, rootHeaders, { name: "Bench" });
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
