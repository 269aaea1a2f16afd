/**
 * `npm run deploy` with a false wrangler. When it ends, in whichever way, the new secrets are
 * nowhere on the disk, and the root token was shown before a Worker could have it. An environment gets
 * what it lacks, and nothing of production's.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { experimental_readRawConfig } from "wrangler";
import { eventually } from "../support/eventually";

/** What wrangler does at its `deploy`, after it has read the secrets. */
type Deploy = "succeeds" | "fails" | "crashes" | "hangs";

/** What the account has: databases by name with their ids, and queues. */
interface Account {
  databases: { name: string; uuid: string }[];
  queues: string[];
}

/** Keeps the account in account.json, and each call with the configuration that it read in calls.json. */
const WRANGLER = `
const { existsSync, readFileSync, writeFileSync } = require("node:fs");
const args = process.argv.slice(2);
const [command, action, name] = args;
const found = process.env.FAKE_SECRETS;
const account = JSON.parse(readFileSync("account.json", "utf8"));
const calls = existsSync("calls.json") ? JSON.parse(readFileSync("calls.json", "utf8")) : [];
const file = args.includes("--config") ? args[args.indexOf("--config") + 1] : null;
calls.push({ args, config: file && JSON.parse(readFileSync(file, "utf8")) });
writeFileSync("calls.json", JSON.stringify(calls));
if (command === "d1" && action === "list") console.log(JSON.stringify(account.databases));
if (command === "d1" && action === "create") account.databases.push({ name, uuid: "id-of-" + name });
if (command === "queues" && action === "info" && !account.queues.includes(name)) process.exit(1);
if (command === "queues" && action === "create") account.queues.push(name);
writeFileSync("account.json", JSON.stringify(account));
if (command === "secret") {
  if (found === undefined) { console.error('Worker "drawbridge" not found'); process.exit(1); }
  console.log(found);
}
if (command === "deploy") {
  const file = args[args.indexOf("--secrets-file") + 1];
  const secrets = args.includes("--secrets-file") ? JSON.parse(readFileSync(file, "utf8")) : null;
  console.log("uploading");
  writeFileSync("uploaded.json", JSON.stringify({ pid: process.pid, file, secrets }));
  const how = process.env.FAKE_DEPLOY;
  if (how === "fails") process.exit(1);
  if (how === "crashes") process.kill(process.pid, "SIGKILL");
  if (how === "hangs") setTimeout(() => undefined, 60_000);
}
`;

/** Gives what the true wrangler has read beforehand: that takes it a second, each time. */
const READER = `
const { readFileSync } = require("node:fs");
exports.experimental_readRawConfig = ({ config }) => JSON.parse(readFileSync(config + ".json", "utf8"));
`;

let root: string;
let temporary: string;
let running: ChildProcess | undefined;

/** A clone with the scripts, in which only that wrangler is installed. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "deploy-test-"));
  temporary = join(root, "tmp");
  const wrangler = join(root, "node_modules/wrangler/wrangler-dist");
  for (const folder of [temporary, wrangler]) mkdirSync(folder, { recursive: true });
  for (const file of ["deploy.mjs", "environments.mjs", "setup.mjs"]) {
    cpSync(join("scripts", file), join(root, "scripts", file));
  }
  putConfig("wrangler.toml", readFileSync("wrangler.toml", "utf8"));
  writeFileSync(join(root, "package.json"), '{"type":"module"}');
  writeFileSync(join(wrangler, "package.json"), '{"type":"commonjs"}');
  writeFileSync(join(wrangler, "cli.js"), WRANGLER);
  writeFileSync(join(wrangler, "..", "package.json"), '{"main":"reader.cjs"}');
  writeFileSync(join(wrangler, "..", "reader.cjs"), READER);
  putAccount({ databases: [{ name: "drawbridge", uuid: "the-id" }], queues: [] });
});

afterEach(() => {
  running?.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

/** Starts the script. `found`: the secrets that the Worker has; undefined: there is no Worker. */
function deploy(how: Deploy, found?: string[], given: { args?: string[]; env?: object } = {}) {
  const secrets = found && JSON.stringify(found.map((name) => ({ name })));
  const env = {
    ...{ PATH: process.env.PATH, TMPDIR: temporary, FAKE_DEPLOY: how, ...given.env },
    ...(secrets === undefined ? {} : { FAKE_SECRETS: secrets }),
  };
  const child = spawn(process.execPath, ["scripts/deploy.mjs", ...(given.args ?? [])], {
    cwd: root,
    env: env as unknown as NodeJS.ProcessEnv,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running = child;
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const ended = new Promise<number | null>((done) => child.on("close", done));
  return { child, ended, output: () => output };
}

/** What wrangler was given, once it has read it. */
function uploaded(): { pid: number; file: string; secrets: Record<string, string> | null } {
  return JSON.parse(readFileSync(join(root, "uploaded.json"), "utf8"));
}

function putConfig(name: string, text: string) {
  const config = join(root, name);
  writeFileSync(config, text);
  writeFileSync(`${config}.json`, JSON.stringify(experimental_readRawConfig({ config })));
}

function putAccount(account: Account) {
  writeFileSync(join(root, "account.json"), JSON.stringify(account));
}

function account(): Account {
  return JSON.parse(readFileSync(join(root, "account.json"), "utf8"));
}

/** The calls of wrangler so far. `config` is what `--config` named. */
function calls(): { args: string[]; config: Record<string, unknown> | null }[] {
  const file = join(root, "calls.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : [];
}

function expectNoSecrets() {
  expect(readdirSync(temporary)).toEqual([]);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("a first deploy", () => {
  test.each<[Deploy, number]>([
    ["succeeds", 0],
    ["fails", 1],
    ["crashes", 1],
  ])("that %s has shown the root token before, and leaves no secret behind", async (how, code) => {
    const { ended, output } = deploy(how);
    expect(await ended, output()).toBe(code);
    const { file, secrets } = uploaded();
    const token = secrets?.DRAWBRIDGE_ROOT_TOKEN ?? "none";
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(secrets?.DRAWBRIDGE_SECRET).toMatch(/^[\w-]{43}$/);
    expect(output().split(token)).toHaveLength(2);
    expect(output().indexOf(token)).toBeLessThan(output().indexOf("uploading"));
    expect(output()).not.toContain(secrets?.DRAWBRIDGE_SECRET);
    expect(existsSync(file)).toBe(false);
    expectNoSecrets();
  });

  test.each<[NodeJS.Signals, number]>([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ])("that %s ends leaves no secret and no wrangler process behind", async (signal, code) => {
    const { child, ended, output } = deploy("hangs");
    await eventually(() => expect(output()).toContain("uploading"));
    const { pid, secrets } = await eventually(uploaded);
    expect(readdirSync(temporary)).toHaveLength(1);
    child.kill(signal);
    expect(await ended).toBe(code);
    expectNoSecrets();
    expect(output()).toContain(secrets?.DRAWBRIDGE_ROOT_TOKEN);
    await eventually(() => expect(isAlive(pid)).toBe(false));
  });
});

describe("a later deploy", () => {
  test("makes no secrets where the Worker has them", async () => {
    const { ended, output } = deploy("succeeds", ["DRAWBRIDGE_SECRET", "DRAWBRIDGE_ROOT_TOKEN"]);
    expect(await ended, output()).toBe(0);
    expect(uploaded().secrets).toBeNull();
    expect(output()).not.toContain("root token");
    expectNoSecrets();
  });

  test("makes the root token alone where only that is missing, and shows it", async () => {
    const { ended, output } = deploy("succeeds", ["DRAWBRIDGE_SECRET"]);
    expect(await ended, output()).toBe(0);
    const { secrets } = uploaded();
    expect(Object.keys(secrets ?? {})).toEqual(["DRAWBRIDGE_ROOT_TOKEN"]);
    expect(output()).toContain(secrets?.DRAWBRIDGE_ROOT_TOKEN);
    expectNoSecrets();
  });
});

describe("an environment", () => {
  const BOTH = ["DRAWBRIDGE_SECRET", "DRAWBRIDGE_ROOT_TOKEN"];
  const QUEUES = ["deliveries", "bulk-deliveries", "checks", "sweep", "dead-letters"].map(
    (end) => `drawbridge-staging-${end}`,
  );
  const CONFIG = ["--config", "wrangler.staging.generated.json"];
  const staging = { args: ["--env", "staging"] };

  /** The commands without the configuration, which every one of them must have. */
  function commands(): string[] {
    return calls().map(({ args }) => {
      expect(args.slice(-2)).toEqual(CONFIG);
      return args.slice(0, -2).join(" ");
    });
  }

  test("is made at its first deploy: a database, queues and secrets of its own", async () => {
    const before = readFileSync(join(root, "wrangler.toml"), "utf8");
    const { ended, output } = deploy("succeeds", undefined, staging);
    expect(await ended, output()).toBe(0);
    const { file, secrets } = uploaded();
    expect(commands()).toEqual([
      "whoami --json",
      "d1 list --json",
      "d1 create drawbridge-staging --update-config=false",
      "d1 list --json",
      ...QUEUES.flatMap((queue) => [`queues info ${queue}`, `queues create ${queue}`]),
      "d1 migrations apply DB --remote",
      "secret list --format json",
      `deploy --secrets-file ${file}`,
    ]);
    expect(Object.keys(secrets ?? {})).toEqual(BOTH);
    expect(output()).toContain("The root token of drawbridge-staging");
    expect(account().queues).toEqual(QUEUES);
    expect(readFileSync(join(root, "wrangler.toml"), "utf8")).toBe(before);
    expectNoSecrets();
  });

  test("is deployed under its name, onto its own database", async () => {
    const { ended, output } = deploy("succeeds", BOTH, staging);
    expect(await ended, output()).toBe(0);
    const changing = calls().filter(({ args }) =>
      ["migrations", "deploy"].some((a) => args.includes(a)),
    );
    expect(changing).toHaveLength(2);
    for (const { config } of changing) {
      expect(config).toMatchObject({
        name: "drawbridge-staging",
        d1_databases: [
          { database_name: "drawbridge-staging", database_id: "id-of-drawbridge-staging" },
        ],
      });
    }
  });

  test("is found again at its second deploy, from another clone", async () => {
    const databases = [
      { name: "drawbridge", uuid: "the-id" },
      { name: "drawbridge-staging", uuid: "staging's-id" },
    ];
    putAccount({ databases, queues: QUEUES });
    const { ended, output } = deploy("succeeds", BOTH, staging);
    expect(await ended, output()).toBe(0);
    expect(commands()).toEqual([
      "whoami --json",
      "d1 list --json",
      ...QUEUES.map((queue) => `queues info ${queue}`),
      "d1 migrations apply DB --remote",
      "secret list --format json",
      "deploy",
    ]);
    expect(calls().at(-1)?.config).toMatchObject({
      d1_databases: [{ database_id: "staging's-id" }],
    });
    expect(account()).toEqual({ databases, queues: QUEUES });
  });

  test("has the settings of the file that is named after it", async () => {
    putConfig("wrangler.staging.toml", '[vars]\nOWN_HOSTNAMES = "staging.example.com"\n');
    const { ended, output } = deploy("succeeds", BOTH, staging);
    expect(await ended, output()).toBe(0);
    expect(calls().at(-1)?.config).toMatchObject({
      vars: { OWN_HOSTNAMES: "staging.example.com", RETENTION_DAYS: "30" },
    });
  });

  test.each<Deploy>(["succeeds", "fails"])(
    "that %s leaves no configuration behind",
    async (how) => {
      const { ended } = deploy(how, BOTH, staging);
      await ended;
      expect(readdirSync(root).filter((name) => name.includes("generated"))).toEqual([]);
    },
  );

  test("is not put in the place of the Worker to which a build of Cloudflare's is connected", async () => {
    const env = { WRANGLER_CI_OVERRIDE_NAME: "drawbridge" };
    const { ended, output } = deploy("succeeds", BOTH, { ...staging, env });
    expect(await ended).toBe(1);
    expect(output()).toContain('connected to the Worker "drawbridge"');
    expect(calls()).toEqual([]);
  });

  test.each([
    ["called production", ["--env", "production"]],
    ["without a name", []],
  ])("%s is production", async (_, args) => {
    const { ended, output } = deploy("succeeds", BOTH, { args });
    expect(await ended, output()).toBe(0);
    expect(calls().at(-1)).toEqual({ args: ["deploy"], config: null });
    expect(account().databases).toHaveLength(1);
    expect(readFileSync(join(root, "wrangler.toml"), "utf8")).toContain('database_id = "the-id"');
  });
});
