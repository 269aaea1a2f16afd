/**
 * `npm run deploy`: puts Drawbridge into its owner's Cloudflare account, the first time and every
 * time after. Each step looks first and makes only what is missing. `-- --dry-run` prints the
 * commands and builds the Worker, which needs no account.
 */

import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureInstalled, fail, ROOT, runWrangler } from "./setup.mjs";

const CONFIG = join(ROOT, "wrangler.toml");
const NO_DATABASE = "00000000-0000-0000-0000-000000000000";
const DATABASE = "drawbridge";
const QUEUES = [
  "drawbridge-events",
  "drawbridge-deliveries",
  "drawbridge-checks",
  "drawbridge-sweep",
  "drawbridge-dead-letters",
];
const SECRETS = ["DRAWBRIDGE_SECRET", "DRAWBRIDGE_ROOT_TOKEN"];
/** Ends the wrangler that runs, with this script. */
const stopping = new AbortController();

process.on("exit", () => stopping.abort());
// Without these a signal ends the script at once, and what runs at its exit does not run.
for (const [signal, code] of Object.entries({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 })) {
  process.on(signal, () => process.exit(code));
}

ensureInstalled();
if (process.argv.includes("--dry-run")) {
  await dryRun();
} else {
  await requireLogin();
  await createDatabase();
  for (const queue of QUEUES) await createQueue(queue);
  await run(["d1", "migrations", "apply", DATABASE, "--remote"]);
  await deployWithSecrets(await findMissingSecrets());
}

async function dryRun() {
  console.log("These commands would run. Those in parentheses only where something is missing:\n");
  const commands = [
    "wrangler whoami",
    `(wrangler d1 create ${DATABASE}, and its id into wrangler.toml)`,
    ...QUEUES.map((queue) => `(wrangler queues create ${queue})`),
    `wrangler d1 migrations apply ${DATABASE} --remote`,
    `wrangler deploy (--secrets-file <fresh ${SECRETS.join(" and ")}>)`,
  ];
  console.log(`${commands.map((command) => `  ${command}`).join("\n")}\n`);
  await run(["deploy", "--dry-run"]);
}

/** Runs in the open, with questions if there is a terminal; ends the script if it fails. */
async function run(args) {
  console.log(`> wrangler ${args.join(" ")}`);
  const { code } = await runWrangler(args, { signal: stopping.signal });
  if (code !== 0) fail(`wrangler ${args.slice(0, 2).join(" ")} failed: see above.`);
}

function ask(args) {
  return runWrangler(args, { capture: true, stdin: "ignore", signal: stopping.signal });
}

async function requireLogin() {
  const { code, stderr } = await ask(["whoami", "--json"]);
  if (code === 0) return;
  fail(`${stderr}\nNot logged in to Cloudflare. Run \`npx wrangler login\`, then try again.`);
}

/** The id of the database is the owner's, so a clone has none until it is first deployed. */
async function createDatabase() {
  const config = readFileSync(CONFIG, "utf8");
  if (!config.includes(NO_DATABASE)) return;
  let id = await findDatabaseId();
  if (!id) {
    await run(["d1", "create", DATABASE]);
    id = await findDatabaseId();
  }
  if (!id) fail(`The D1 database ${DATABASE} does not appear in \`wrangler d1 list\`.`);
  writeFileSync(CONFIG, config.replace(NO_DATABASE, id));
  console.log(`The database's id ${id} is now in wrangler.toml: commit that change.`);
}

async function findDatabaseId() {
  const { code, stdout, stderr } = await ask(["d1", "list", "--json"]);
  if (code !== 0) fail(`${stderr}\nThe account's D1 databases could not be listed.`);
  return JSON.parse(stdout).find(({ name }) => name === DATABASE)?.uuid;
}

async function createQueue(name) {
  const { code } = await ask(["queues", "info", name]);
  if (code !== 0) await run(["queues", "create", name]);
}

/**
 * Which secrets the deployed Worker lacks. Only a certain "no such Worker" counts as all of them:
 * a new DRAWBRIDGE_SECRET in place of a live one would change every derived secret.
 */
async function findMissingSecrets() {
  const { code, stdout, stderr } = await ask(["secret", "list", "--format", "json"]);
  if (code === 0) {
    const present = JSON.parse(stdout).map(({ name }) => name);
    return SECRETS.filter((name) => !present.includes(name));
  }
  if (/Worker "[^"]+" not found/.test(stdout + stderr)) return SECRETS;
  return fail(`${stdout}${stderr}\nThe Worker's secrets could not be listed.`);
}

/**
 * Secrets go along with the code: a new Worker cannot be given any before it exists. The root token is
 * shown first: whatever then becomes of the deploy, a token that the Worker has was seen by its owner.
 */
async function deployWithSecrets(missing) {
  if (missing.length === 0) return run(["deploy"]);
  const fresh = Object.fromEntries(
    missing.map((name) => [name, randomBytes(32).toString("base64url")]),
  );
  if (fresh.DRAWBRIDGE_ROOT_TOKEN) {
    console.log(
      "\nThe root token, which makes organisations. It is shown this once, so keep it safe:\n\n" +
        `  ${fresh.DRAWBRIDGE_ROOT_TOKEN}\n\n` +
        "It works once this deploy has succeeded. If the deploy fails, run it again: it shows another\n" +
        "token if the Worker did not get this one, and none if it did.\n",
    );
  }
  const folder = mkdtempSync(join(tmpdir(), "drawbridge-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "secrets.json");
  writeFileSync(file, JSON.stringify(fresh), { mode: 0o600 });
  await run(["deploy", "--secrets-file", file]);
}
