/**
 * `npm start`: the whole service on this machine, from a fresh clone. Installs what is missing,
 * makes secrets, applies the migrations, serves, and prints a key to try it with.
 */

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { buildRelayNode, RELAY_NODE } from "./build-relay-node.mjs";
import {
  ensureInstalled,
  fail,
  nodePath,
  ROOT,
  readOptions,
  readOrganisation,
  runNode,
  runWrangler,
  stateFolder,
  toolEnv,
  WRANGLER,
  writeOrganisation,
} from "./setup.mjs";

/** IPv4 only: clients that try ::1 first for `localhost` fall back to it. Never all interfaces. */
const ADDRESS = "127.0.0.1";
const DEFAULT_PORT = 8787;
const READY_WITHIN_MS = 90_000;
/** Once it answers at all, it is healthy very soon or will not be: it refuses to serve. */
const HEALTHY_WITHIN_MS = 10_000;
const STOP_WITHIN_MS = 5_000;
const DEV_VARS = join(ROOT, ".dev.vars");
/** What a publishable key may do: host a session. */
const HOSTING = "relays:host";

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
/** The relay node's process, and what it is called in the API. */
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
const organisation = await findOrCreateOrganisation();
await giveGameItsKey(organisation);
await forgetRelayNode();
if (withRelayNode) await startRelayNode();
announce(organisation);
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

/** Fresh secrets, once. A file that is there is left alone: the Worker says what it lacks. */
function writeDevVars() {
  if (existsSync(DEV_VARS)) return;
  const secret = () => randomBytes(32).toString("base64url");
  writeFileSync(
    DEV_VARS,
    "# Made by `npm start` for this machine only.\n" +
      `DRAWBRIDGE_SECRET="${secret()}"\n` +
      `DRAWBRIDGE_ROOT_TOKEN="${secret()}"\n` +
      "# Webhooks may go to http:// and to this machine.\n" +
      'ALLOW_INSECURE_WEBHOOKS="1"\n',
    { mode: 0o600, flag: "wx" },
  );
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

/** The one that an earlier start made, if its key still works: the same key at every start. */
async function findOrCreateOrganisation() {
  const known = readOrganisation();
  if (known) {
    const { status, text } = await call("GET", "/v1/relays/sessions?limit=1", {
      authorization: `token ${known.api_key}`,
    });
    if (status === 200) return known;
    if (status !== 401 && status !== 403) {
      await stop(1, `The API key of the last start could not be checked: ${status} ${text}`);
    }
  }
  const newOne = JSON.stringify({ name: "Local" });
  const { status, text } = await callAsRoot("POST", "/v1/organisations", newOne);
  if (status !== 201) await stop(1, `No organisation could be made: ${status} ${text}`);
  const { id, name, webhook_secret, api_key } = JSON.parse(text);
  const organisation = { id, name, webhook_secret, api_key: api_key.token };
  writeOrganisation(organisation);
  return organisation;
}

/** The game at /play/ hosts with a publishable key of its own: the same one at every start. */
async function giveGameItsKey(organisation) {
  const authorization = `token ${organisation.api_key}`;
  const post = (path, body) => call("POST", path, { authorization }, JSON.stringify(body));
  if (organisation.game_key) {
    const asked = { token: organisation.game_key, permission: HOSTING };
    const { status, text } = await post("/v1/keys:verify", asked);
    if (status === 200 && JSON.parse(text).valid) return;
  }
  const { status, text } = await post("/api-keys", {
    name: "The game at /play/",
    emails: [],
    organizationsIds: [organisation.id],
    permissions: [HOSTING],
  });
  if (status !== 201) await stop(1, `No key could be made for the game: ${status} ${text}`);
  organisation.game_key = JSON.parse(text).token.value;
  writeOrganisation(organisation);
  await buildAssets();
  await waitUntilServed("/play/config.js", organisation.game_key);
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

/**
 * Deletes the relay node of an earlier start. While one was online in the last hour, every session is made
 * for a relay node; so one that is gone would leave a start without it with sessions that fail.
 */
async function forgetRelayNode() {
  const known = readOrganisation();
  if (!known?.relay_node) return;
  const { relay_node: id, ...rest } = known;
  const { status, text } = await callAsRoot("DELETE", `/v1/relay-nodes/${id}`);
  if (status !== 204 && status !== 404) {
    await stop(1, `The relay node of the last start could not be deleted: ${status} ${text}`);
  }
  writeOrganisation(rest);
}

/** A relay node on loopback, for all organisations: UDP works with one command. */
async function startRelayNode() {
  await buildRelayNode();
  const body = JSON.stringify({ name: "npm start" });
  const { status, text } = await callAsRoot("POST", "/v1/relay-nodes", body);
  if (status !== 201) await stop(1, `No relay node could be made: ${status} ${text}`);
  const { id, token } = JSON.parse(text);
  writeOrganisation({ ...readOrganisation(), relay_node: id });
  const args = ["--url", `http://${ADDRESS}:${port}`, "--host", ADDRESS];
  args.push("--server-port", "0", "--client-port", "0");
  relayNode = spawn(nodePath(), [RELAY_NODE, ...args], {
    cwd: ROOT,
    env: { ...process.env, RELAY_NODE_TOKEN: token },
    stdio: ["ignore", "pipe", "inherit"],
  });
  relayNode.on("exit", (code) => {
    if (!stopping) stop(1, `The relay node ended by itself (exit code ${code}): see above.`);
  });
  await new Promise((linked) => {
    createInterface({ input: relayNode.stdout }).on("line", (line) => {
      const { level, message } = JSON.parse(line);
      if (level !== "info") console.log(line);
      if (message === "linked") linked();
    });
  });
}

function callAsRoot(method, path, body) {
  return call(method, path, { authorization: `Bearer ${readRootToken()}` }, body);
}

function readRootToken() {
  const match = /^\s*DRAWBRIDGE_ROOT_TOKEN\s*=\s*(["']?)(.*?)\1\s*$/m.exec(
    readFileSync(DEV_VARS, "utf8"),
  );
  return match?.[2] ?? "";
}

function announce({ id, name, api_key, game_key }) {
  const state = process.env.DRAWBRIDGE_STATE;
  const demo = [
    ...(port === DEFAULT_PORT ? [] : [`PORT=${port}`]),
    ...(state ? [`DRAWBRIDGE_STATE="${state}"`] : []),
    "npm run demo",
  ].join(" ");
  console.log(`
Drawbridge is ready at ${baseUrl}

  organisation  ${name} (id ${id})
  API key       ${api_key}
  publishable   ${game_key} (for pages: it hosts sessions, and does nothing else)
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
