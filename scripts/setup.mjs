/**
 * What the other scripts share. Each of them may be the first thing that runs on a fresh clone, on
 * a machine with Node 20 and npm only, so nothing here imports a package: it installs the packages,
 * finds the Node that came with them, and starts the rest with it.
 */

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/**
 * Wrangler's program itself. Its `bin/wrangler.js` only checks the Node version and starts this in
 * a second process, which a signal to the first one would not reach.
 */
export const WRANGLER = "node_modules/wrangler/wrangler-dist/cli.js";

/** What wrangler asks for; it also has the global WebSocket that the demo needs. */
const OLDEST_NODE = [22, 12];

/** Tools run quietly and keep to this folder: no telemetry, no update check, no logs at home. */
const QUIET = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  WRANGLER_WRITE_LOGS: "false",
  WRANGLER_NO_SKILLS_UPDATE_PROMPTS: "true",
};

/** Ends the script with a message that says what to do, and no stack trace. */
export function fail(message) {
  console.error(`\n${message}\n`);
  process.exit(1);
}

/**
 * The options of the command line. `options` is what `parseArgs` takes, each with a `usage` line. `also` is
 * one more line of the list that `--help` prints; after that the script ends with 0. An option or argument
 * that is not in the list ends the script, with the list: a flag that is passed over in silence would do
 * something else than its user meant.
 */
export function readOptions(options = {}, also = "") {
  const usage = Object.values(options).map((option) => option.usage);
  const known = usage.length > 0 ? "The options are:" : "This command has no options.";
  const list = [known, ...usage, also].filter(Boolean).join("\n  ");
  const refuse = (problem) => fail(`${problem}. ${list}`);
  for (const [name, option] of Object.entries(options)) {
    // npm knows some of them too, and warns at most: the script would never hear of `--dry-run`.
    if (process.env[`npm_config_${name.replaceAll("-", "_")}`] === undefined) continue;
    const command = `npm run ${process.env.npm_lifecycle_event} -- ${option.usage.split("  ")[0]}`;
    refuse(`npm took --${name} for an option of its own. Write \`--\` before it: ${command}`);
  }
  try {
    const all = { ...options, help: { type: "boolean" } };
    const { help, ...values } = parseArgs({ options: all, allowPositionals: false }).values;
    if (!help) return values;
    console.log(list);
    return process.exit(0);
  } catch (error) {
    if (!error.code?.startsWith("ERR_PARSE_ARGS_")) throw error;
    return refuse(error.message.split(/\.\s/)[0].replace(/\.$/, ""));
  }
}

/** Installs the packages of package-lock.json unless they are all there, then checks Node. */
export function ensureInstalled() {
  if (!isInstalled()) {
    console.log("Installing the packages of package-lock.json (npm ci) …");
    // NODE_ENV=production would leave out the development packages, which are all of the tools.
    const { status, error } = runNpm(["ci", "--include=dev", "--loglevel=error"]);
    if (status !== 0) {
      fail(`npm ci failed${error ? ` (${error.message})` : ""}: see above. Then try again.`);
    }
  }
  nodePath();
}

/**
 * Compares npm's own record of what is in node_modules with the lock file, so that packages
 * installed by hand count as well. Optional ones may be absent: they are for other platforms.
 */
export function isInstalled() {
  const installed = readPackages("node_modules/.package-lock.json");
  const locked = readPackages("package-lock.json");
  return Object.entries(locked).every(
    ([path, { version, optional }]) =>
      path === "" || (installed[path] ? installed[path].version === version : optional),
  );
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(join(ROOT, file), "utf8")).packages ?? {};
  } catch (error) {
    if (error.code === "ENOENT") return {};
    throw error;
  }
}

/** Under `npm run` npm says where it and its Node are; otherwise it is looked up in the PATH. */
function runNpm(args) {
  const options = { cwd: ROOT, stdio: "inherit" };
  const { npm_execpath: npm, npm_node_execpath: node } = process.env;
  if (npm && basename(npm) === "npm-cli.js") {
    return spawnSync(node ?? process.execPath, [npm, ...args], options);
  }
  // On Windows npm is a .cmd file, which only a shell can start.
  return spawnSync("npm", args, { ...options, shell: process.platform === "win32" });
}

let foundNode;

/** The Node that the npm package `node` installed, or this one where that is missing but ours will do. */
export function nodePath() {
  foundNode ??= findNode();
  return foundNode;
}

function findNode() {
  const bundled = join(
    ROOT,
    "node_modules/node/bin",
    process.platform === "win32" ? "node.exe" : "node",
  );
  for (const path of [bundled, process.execPath]) {
    const { status, stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
    if (status === 0 && isNewEnough(stdout)) return path;
  }
  return fail(
    `The Node that the project brings along does not run (${bundled}), and this one is ` +
      `${process.version}, older than ${OLDEST_NODE.join(".")}.\n` +
      "It is put there by the install script of the npm package `node`: if npm is set to ignore " +
      "install scripts,\nallow them and run `npm ci` again, or use a newer Node.",
  );
}

function isNewEnough(version) {
  const [major, minor] = version.replace("v", "").split(".").map(Number);
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
}

/** The environment of a child process: ours, quiet, and with whatever the caller adds. */
export function toolEnv(extra = {}) {
  return { ...QUIET, ...extra, ...process.env };
}

/**
 * Runs a program (a path below the root) under that Node; resolves when it ends, never rejects. An abort of
 * `signal` ends it.
 */
export function runNode(args, { capture = false, env, stdin = "inherit", signal } = {}) {
  return new Promise((done) => {
    const output = capture ? "pipe" : "inherit";
    const child = spawn(nodePath(), args, {
      cwd: ROOT,
      env: toolEnv(env),
      stdio: [stdin, output, output],
      signal,
    });
    const chunks = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"]) {
      child[name]?.setEncoding("utf8").on("data", (text) => {
        chunks[name] += text;
      });
    }
    child.on("error", (error) => done({ code: 1, ...chunks, stderr: error.message }));
    child.on("close", (code) => done({ code: code ?? 1, ...chunks }));
  });
}

export function runWrangler(args, options) {
  return runNode(["--no-warnings", WRANGLER, ...args], options);
}

/** Where the local D1, the Durable Objects and the first organisation are kept. */
export function stateFolder() {
  return resolve(ROOT, process.env.DRAWBRIDGE_STATE || ".wrangler/state");
}

/** The organisation that the first `npm start` made in this state folder, or undefined. */
export function readOrganisation() {
  const file = organisationFile();
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
}

/** It holds a working API key: for the owner's eyes only. */
export function writeOrganisation(organisation) {
  mkdirSync(stateFolder(), { recursive: true });
  writeFileSync(organisationFile(), `${JSON.stringify(organisation, null, 2)}\n`, { mode: 0o600 });
}

function organisationFile() {
  return join(stateFolder(), "organisation.json");
}
