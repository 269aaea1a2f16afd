/**
 * `npm start`: the whole service on this machine, from a fresh clone. Installs what is missing,
 * makes secrets, applies the migrations, serves, and prints a key to try it with.
 */

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { findOrCreateOrganisation, giveGameItsKey, newSignInCode } from "./local-organisation.mjs";
import { forgetRelayNode, startRelayNode } from "./local-relay-node.mjs";
import { readRootToken, writeDevVars } from "./local-secrets.mjs";
import {
  ensureInstalled,
  fail,
  nodePath,
  ROOT,
  readOptions,
  runNode,
  runWrangler,
  stateFolder,
  toolEnv,
  WRANGLER,
} from "./setup.mjs";

/** IPv4 only: clients that try ::1 first for `localhost` fall back to it. Never all interfaces. */
const ADDRESS = "127.0.0.1";
const DEFAULT_PORT = 8787;
const READY_WITHIN_MS = 90_000;
/** Once it answers at all, it is healthy very soon or will not be: it refuses to serve. */
const HEALTHY_WITHIN_MS = 10_000;
const STOP_WITHIN_MS = 5_000;

readOptions(
  {},
  "The variables of the environment PORT and DRAWBRIDGE_STATE set the port and the folder of the data; RELAY_NODE=1 starts a relay node beside the service.",
);
const port = readPort();
const withRelayNode = readRelayNode();
const baseUrl = `http://localhost:${port}`;
/** Where this service's static files are put. They hold what is not deployed: the game, with its key. */
const assets = `dist/assets-${port}`;
let server;
/** The relay node's process. */
let relayNode;
let stopping = false;
/** Marks this script's own requests, so that they can be left out of the log. */
const ownRequestId = `start-${randomBytes(6).toString("hex")}`;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => stop(0));
stopWithNpm();

ensureInstalled();
await requireFreePort();
console.log("Preparing the database and starting …");
writeDevVars();
await applyMigrations();
await buildAssets();
server = serve();
await waitUntilHealthy();
const service = { call, callAsRoot, stop };
const organisation = await findOrCreateOrganisation(service);
if (await giveGameItsKey(service, organisation)) {
  await buildAssets();
  await waitUntilServed("/play/config.js", organisation.game_key);
}
await forgetRelayNode(service);
if (withRelayNode) {
  const onStarted = (child) => {
    relayNode = child;
  };
  await startRelayNode(service, { address: ADDRESS, port, onStarted });
}
announce(organisation, await newSignInCode(service, organisation));
runCronEveryMinute();

function readPort() {
  const value = process.env.PORT || String(DEFAULT_PORT);
  if (/^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= 65_535) {
    return Number(value);
  }
  return fail(`PORT must be a number from 1 to 65535, not "${value}".`);
}

function readRelayNode() {
  const value = process.env.RELAY_NODE || "0";
  if (value === "1" || value === "0") return value === "1";
  return fail(`RELAY_NODE must be 1 to start a relay node, or 0, not "${value}".`);
}

/** Asked beforehand, because wrangler would say so less clearly, and late. */
async function requireFreePort() {
  await new Promise((free) => {
    const probe = createServer();
    probe.once("error", (error) => {
      if (error.code === "EADDRINUSE") {
        fail(
          `Port ${port} is in use, perhaps by another \`npm start\`. Stop that one, or choose ` +
            `another port:\n\n  PORT=${port === 65_535 ? port - 1 : port + 1} npm start`,
        );
      }
      fail(`Cannot listen on ${ADDRESS}:${port}: ${error.message}`);
    });
    probe.listen(port, ADDRESS, () => probe.close(free));
  });
}

async function applyMigrations() {
  const { code, stdout, stderr } = await runWrangler(
    ["d1", "migrations", "apply", "DB", "--local", "--persist-to", stateFolder()],
    // Without a terminal wrangler does not ask before it applies them.
    { capture: true, stdin: "ignore", env: localEnv() },
  );
  if (code !== 0) fail(`${stdout}${stderr}\nThe D1 migrations could not be applied: see above.`);
}

/** Keeps wrangler's registry of running Workers out of the home folder, and it off the network. */
function localEnv() {
  return {
    WRANGLER_REGISTRY_PATH: join(stateFolder(), "registry"),
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    X_LOCAL_EXPLORER: "false",
    X_LOCAL_OBSERVABILITY: "false",
    DRAWBRIDGE_ASSETS: assets,
  };
}

/** Makes the static files. wrangler does so too, but looks for their folder before. */
async function buildAssets() {
  const options = { capture: true, env: localEnv() };
  const { code, stdout, stderr } = await runNode(["scripts/build-pages.mjs"], options);
  if (code !== 0) fail(`${stdout}${stderr}\nThe static files could not be made: see above.`);
}

function serve() {
  const args = ["dev", "--local", "--ip", ADDRESS, "--port", String(port), "--assets", assets];
  args.push("--persist-to", stateFolder(), "--inspector-port", "0");
  // "log" is the first level that shows what the Worker itself writes; relayOutput drops the rest.
  args.push("--log-level", "log", "--show-interactive-dev-session=false");
  // People watch it at work: a line for each request, and not for some of them.
  args.push("--var", "LOG_REQUESTS:all");
  // Only to keep wrangler from warning that crons do not run by themselves: here they do.
  args.push("--test-scheduled");
  const child = spawn(nodePath(), ["--no-warnings", WRANGLER, ...args], {
    cwd: ROOT,
    env: toolEnv(localEnv()),
    stdio: ["ignore", "pipe", "inherit"],
  });
  relayOutput(child.stdout);
  child.on("exit", (code) => {
    if (!stopping) fail(`wrangler dev ended by itself (exit code ${code}).`);
  });
  return child;
}

/** Lets through the Worker's log lines (JSON) and errors with their stacks, and nothing else. */
function relayOutput(stream) {
  let inError = false;
  createInterface({ input: stream }).on("line", (line) => {
    inError = /^\[wrangler:(error|warn)\]/.test(line) || (inError && /^\s/.test(line));
    if (inError || (line.startsWith("{") && !line.includes(ownRequestId))) console.log(line);
  });
}

async function waitUntilHealthy() {
  let deadline = Date.now() + READY_WITHIN_MS;
  let last;
  while (Date.now() < deadline) {
    try {
      const { status, text } = await call("GET", "/v1/health", {}, undefined, 5_000);
      if (status === 200) return;
      if (!last) deadline = Math.min(deadline, Date.now() + HEALTHY_WITHIN_MS);
      last = `GET /v1/health answers ${status}: ${text}`;
    } catch {
      // Nobody listens yet, or it is still building.
    }
    await new Promise((next) => setTimeout(next, 100));
  }
  await stop(1, `The Worker does not serve. ${last ?? "It did not answer: see above."}`);
}

async function call(method, path, headers = {}, body = undefined, timeoutMs = 30_000) {
  const response = await fetch(`http://${ADDRESS}:${port}${path}`, {
    method,
    headers: { ...headers, "x-request-id": ownRequestId },
    body,
    signal: AbortSignal.timeout(timeoutMs),
  });
  return { status: response.status, text: await response.text() };
}

/** wrangler serves a file that has changed a moment later. */
async function waitUntilServed(path, part) {
  const deadline = Date.now() + HEALTHY_WITHIN_MS;
  while (Date.now() < deadline) {
    const { text } = await call("GET", path).catch(() => ({ text: "" }));
    if (text.includes(part)) return;
    await new Promise((next) => setTimeout(next, 100));
  }
  await stop(1, `${path} is not served as it was written.`);
}

function callAsRoot(method, path, body) {
  return call(method, path, { authorization: `Bearer ${readRootToken()}` }, body);
}

/** @param signInCode null: the API key may sign nobody in */
function announce({ id, name, api_key, game_key }, signInCode) {
  const state = process.env.DRAWBRIDGE_STATE;
  const demo = [
    ...(port === DEFAULT_PORT ? [] : [`PORT=${port}`]),
    ...(state ? [`DRAWBRIDGE_STATE="${state}"`] : []),
    "npm run demo",
  ].join(" ");
  const consoleLink =
    signInCode === null
      ? `${baseUrl}/console (sign in with an API key that holds operator:sign-in)`
      : `${baseUrl}/console#code=${signInCode}
                (good once, for 10 minutes; then sign in with the API key above)`;
  console.log(`
Drawbridge is ready at ${baseUrl}

  organisation  ${name} (id ${id})
  API key       ${api_key}
  publishable   ${game_key} (for pages: it hosts sessions, and does nothing else)
  console       ${consoleLink}
  reference     ${baseUrl}/docs
  a game        ${baseUrl}/play/

Try it:

  curl -s -X POST ${baseUrl}/v1/relays/sessions -H "Authorization: token ${api_key}" -d '{"users":[{"ip":"198.51.100.1"},{"ip":"198.51.100.2"}]}'

Or watch it work, in another terminal: ${demo}. Ctrl-C stops it. The request log follows.
${
  withRelayNode
    ? `
A relay node runs beside it: sessions are reached over UDP, and over websockets at relay.websocket.
`
    : ""
}`);
}

/** Locally nothing fires the cron of wrangler.toml, so this does: expiry and retries depend on it. */
function runCronEveryMinute() {
  const path = `/cdn-cgi/local/scheduled?cron=${encodeURIComponent("* * * * *")}`;
  let running = false;
  const run = async () => {
    if (running || stopping) return;
    running = true;
    try {
      const { status, text } = await call("GET", path, {}, undefined, 300_000);
      if (status !== 200) console.error(`The scheduled handler failed: ${status} ${text}`);
    } catch (error) {
      if (!stopping) console.error(`The scheduled handler failed: ${error.message}`);
    } finally {
      running = false;
    }
  };
  setInterval(run, 60_000);
  run();
}

/**
 * A signal sent to npm alone ends npm and the shell between it and us, but never reaches us. That
 * shell is our parent, so we are orphaned then, and would keep the port.
 */
function stopWithNpm() {
  if (!process.env.npm_lifecycle_event) return;
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || stop(0), 500).unref();
}

/** Ends the children that this script started, then itself. */
async function stop(code, message) {
  if (stopping) return;
  stopping = true;
  if (message) console.error(`\n${message}\n`);
  // It would drain. Its sessions end with the service, and the next start deletes it.
  relayNode?.kill("SIGKILL");
  if (server && server.exitCode === null && server.signalCode === null) {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGTERM");
    const impatience = setTimeout(() => server.kill("SIGKILL"), STOP_WITHIN_MS);
    await ended;
    clearTimeout(impatience);
  }
  rmSync(join(ROOT, assets), { recursive: true, force: true });
  process.exit(code);
}
