/**
 * `npm run deploy`: puts Drawbridge into its owner's Cloudflare account, the first time and every
 * time after. Each step looks first and makes only what is missing. What things are called is read
 * from wrangler.toml. `-- --env staging` deploys a second Drawbridge beside production, with resources
 * of its own. `-- --dry-run` prints the commands and builds the Worker, which needs no account.
 */

import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  environmentConfig,
  NO_DATABASE,
  PRODUCTION,
  queueNames,
  requireKnownQueues,
} from "./environments.mjs";
import { ensureInstalled, fail, ROOT, readOptions, runNode, runWrangler } from "./setup.mjs";

const CONFIG = join(ROOT, "wrangler.toml");
/** Ends the wrangler that runs, with this script. */
const stopping = new AbortController();

process.on("exit", () => stopping.abort());
// Without these a signal ends the script at once, and what runs at its exit does not run.
for (const [signal, code] of Object.entries({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 })) {
  process.on(signal, () => process.exit(code));
}

const { env: environment, "dry-run": dryRun } = readOptions({
  env: {
    type: "string",
    default: PRODUCTION,
    usage: `--env <name>  which deployment: ${PRODUCTION} (the default), or another one, such as staging`,
  },
  "dry-run": {
    type: "boolean",
    usage: "--dry-run     prints the commands and builds the Worker; needs no account",
  },
});
const isProduction = environment === PRODUCTION;
/**
 * Wrangler's configuration for this environment, below the root, where the paths in it lead from. It is
 * made for each deploy and removed with it: no copy of wrangler.toml grows old.
 */
const generated = `wrangler.${environment}.generated.json`;
const target = isProduction ? [] : ["--config", generated];

ensureInstalled();
// Wrangler would look for it below `[env]`: here --env alone says which environment is meant.
process.env.CLOUDFLARE_ENV = "";
const config = await readConfig();
const database = config.d1_databases?.find(({ binding }) => binding === "DB");
if (!database) fail("wrangler.toml has no D1 database with the binding DB.");
const queues = queueNames(config);
const secretNames = config.secrets?.required ?? [];
if (!isProduction) {
  requireNoOtherName();
  writeGenerated();
  process.on("exit", () => rmSync(join(ROOT, generated), { force: true }));
}

if (dryRun) {
  await printCommands();
} else {
  await requireLogin();
  await createDatabase();
  for (const queue of queues) await createQueue(queue);
  await run(["d1", "migrations", "apply", "DB", "--remote"]);
  await deployWithSecrets(await findMissingSecrets());
}

/**
 * What wrangler.toml says. For another environment what is made of it, and of the file in which the owner
 * says what differs, if there is one.
 */
async function readConfig() {
  const production = await readToml("wrangler.toml");
  const changes = `wrangler.${environment}.toml`;
  try {
    const config = isProduction
      ? production
      : environmentConfig(
          production,
          environment,
          existsSync(join(ROOT, changes)) ? await readToml(changes) : {},
        );
    requireKnownQueues(config);
    return config;
  } catch (error) {
    return fail(error.message);
  }
}

/** A file as Wrangler itself reads it, in a process of its own: Wrangler needs the newer Node. */
async function readToml(file) {
  const program = `
    try {
      const { experimental_readRawConfig: read } = require("wrangler");
      console.log(JSON.stringify(read({ config: process.argv[1] }).rawConfig));
    } catch ({ message, location }) {
      console.error(location ? message + ", in line " + location.line : message);
      process.exit(1);
    }`;
  const args = ["--no-warnings", "-e", program, file];
  const { code, stdout, stderr } = await runNode(args, { capture: true, stdin: "ignore" });
  if (code !== 0) fail(`${file} cannot be read: ${stderr.trim()}`);
  return JSON.parse(stdout);
}

function writeGenerated() {
  writeFileSync(join(ROOT, generated), JSON.stringify(config, null, 2));
}

/** Cloudflare's own builds deploy under the name of the Worker that they are connected to. */
function requireNoOtherName() {
  const name = process.env.WRANGLER_CI_OVERRIDE_NAME;
  if (!name || name === config.name) return;
  fail(
    `This build is connected to the Worker "${name}", and would put ${environment} in its place. ` +
      `Connect it to the Worker "${config.name}", or deploy without --env.`,
  );
}

async function printCommands() {
  console.log("These steps would be taken:\n");
  const intoConfig = isProduction ? "; writes its id into wrangler.toml" : "";
  const steps = [
    ["wrangler whoami", "looks whether you are logged in"],
    [
      `wrangler d1 create ${database.database_name}`,
      `only if there is no database of this name${intoConfig}`,
    ],
    ...queues.map((queue) => [
      `wrangler queues create ${queue}`,
      "only if there is no queue of this name",
    ]),
    ["wrangler d1 migrations apply DB --remote", `in the database ${database.database_name}`],
    ["show the root token", "only if the Worker has none: a fresh one"],
    ["wrangler deploy", `the Worker ${config.name}; it keeps the secrets that it has`],
    [
      "  with --secrets-file <file>",
      `only if the Worker lacks ${secretNames.join(" or ")}: a fresh value for what it lacks`,
    ],
  ];
  const width = Math.max(...steps.map(([step]) => step.length));
  console.log(`${steps.map(([step, note]) => `  ${step.padEnd(width)}  # ${note}`).join("\n")}\n`);
  if (!isProduction) {
    console.log(`Each command with ${target.join(" ")}, which is made from wrangler.toml.\n`);
  }
  await run(["deploy", "--dry-run"]);
}

/** Runs in the open, with questions if there is a terminal; ends the script if it fails. */
async function run(args) {
  const all = [...args, ...target];
  console.log(`> wrangler ${all.join(" ")}`);
  const { code } = await runWrangler(all, { signal: stopping.signal });
  if (code !== 0) fail(`wrangler ${args.slice(0, 2).join(" ")} failed: see above.`);
}

function ask(args) {
  return runWrangler([...args, ...target], {
    capture: true,
    stdin: "ignore",
    signal: stopping.signal,
  });
}

async function requireLogin() {
  const { code, stderr } = await ask(["whoami", "--json"]);
  if (code === 0) return;
  fail(`${stderr}\nNot logged in to Cloudflare. Run \`npx wrangler login\`, then try again.`);
}

/**
 * Finds the database's id by its name, and makes the database if there is none. Production's id is then
 * written into wrangler.toml, for who calls wrangler by hand. That need not be committed: a clone without
 * it finds the same database.
 */
async function createDatabase() {
  const { database_name: name, database_id: known = NO_DATABASE } = database;
  if (known !== NO_DATABASE) return;
  let id = await findDatabaseId(name);
  if (!id) {
    // Otherwise wrangler asks whether to write the id into the configuration, and under which binding.
    await run(["d1", "create", name, "--update-config=false"]);
    id = await findDatabaseId(name);
  }
  if (!id) fail(`The D1 database ${name} does not appear in \`wrangler d1 list\`.`);
  database.database_id = id;
  if (!isProduction) return writeGenerated();
  const text = readFileSync(CONFIG, "utf8");
  if (!text.includes(NO_DATABASE)) {
    fail(
      `Write database_id = "${id}" below the database ${name} in wrangler.toml, then try again.`,
    );
  }
  writeFileSync(CONFIG, text.replace(NO_DATABASE, id));
  console.log(`The database's id ${id} is now in wrangler.toml.`);
}

async function findDatabaseId(wanted) {
  const { code, stdout, stderr } = await ask(["d1", "list", "--json"]);
  if (code !== 0) fail(`${stderr}\nThe account's D1 databases could not be listed.`);
  return JSON.parse(stdout).find(({ name }) => name === wanted)?.uuid;
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
    return secretNames.filter((name) => !present.includes(name));
  }
  if (/Worker "[^"]+" not found/.test(stdout + stderr)) return secretNames;
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
      `\nThe root token of ${config.name}, which makes organisations. It is shown this once, so keep it safe:\n\n` +
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
