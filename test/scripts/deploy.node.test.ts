/**
 * `npm run deploy` with a false wrangler. When it ends, in whichever way, the new secrets are
 * nowhere on the disk, and the root token was shown before a Worker could have it.
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
import { eventually } from "../support/eventually";

/** What wrangler does at its `deploy`, after it has read the secrets. */
type Deploy = "succeeds" | "fails" | "crashes" | "hangs";

const WRANGLER = `
const { readFileSync, writeFileSync } = require("node:fs");
const [command, action] = process.argv.slice(2);
const found = process.env.FAKE_SECRETS;
if (command === "d1" && action === "list") console.log('[{"name":"drawbridge","uuid":"the-id"}]');
if (command === "secret") {
  if (found === undefined) { console.error('Worker "drawbridge" not found'); process.exit(1); }
  console.log(found);
}
if (command === "deploy") {
  const file = process.argv[process.argv.indexOf("--secrets-file") + 1];
  const secrets = process.argv.includes("--secrets-file") ? JSON.parse(readFileSync(file, "utf8")) : null;
  console.log("uploading");
  writeFileSync("uploaded.json", JSON.stringify({ pid: process.pid, file, secrets }));
  const how = process.env.FAKE_DEPLOY;
  if (how === "fails") process.exit(1);
  if (how === "crashes") process.kill(process.pid, "SIGKILL");
  if (how === "hangs") setTimeout(() => undefined, 60_000);
}
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
  for (const file of ["deploy.mjs", "setup.mjs"]) {
    cpSync(join("scripts", file), join(root, "scripts", file));
  }
  cpSync("wrangler.toml", join(root, "wrangler.toml"));
  writeFileSync(join(root, "package.json"), '{"type":"module"}');
  writeFileSync(join(wrangler, "package.json"), '{"type":"commonjs"}');
  writeFileSync(join(wrangler, "cli.js"), WRANGLER);
});

afterEach(() => {
  running?.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

/** Starts the script. `found`: the secrets that the Worker has; undefined: there is no Worker. */
function deploy(how: Deploy, found?: string[]) {
  const secrets = found && JSON.stringify(found.map((name) => ({ name })));
  const env = {
    ...{ PATH: process.env.PATH, TMPDIR: temporary, FAKE_DEPLOY: how },
    ...(secrets === undefined ? {} : { FAKE_SECRETS: secrets }),
  };
  const child = spawn(process.execPath, ["scripts/deploy.mjs"], {
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
