/** The commands as people type them: what they refuse, and what they print. */
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "commands-test-"));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Runs a program to its end. None of them may take long: most are refused at once. */
function run(command: string, args: string[], cwd: string, env: Record<string, string> = {}) {
  const path = [dirname(process.execPath), process.env.PATH].join(delimiter);
  const result: SpawnSyncReturns<string> = spawnSync(command, args, {
    cwd,
    env: { PATH: path, HOME: root, ...env } as unknown as NodeJS.ProcessEnv,
    encoding: "utf8",
    timeout: 100_000,
  });
  return { code: result.status, output: result.stdout + result.stderr };
}

function script(name: string, args: string[], options: { cwd?: string; env?: object } = {}) {
  const { cwd = process.cwd(), env = {} } = options;
  return run(process.execPath, [`scripts/${name}.mjs`, ...args], cwd, { ...env });
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await once(probe.listen(0, "127.0.0.1"), "listening");
  const { port } = probe.address() as AddressInfo;
  await once(probe.close(), "close");
  return port;
}

test.each([
  ["deploy", ["--env <name>", "--dry-run"]],
  ["start", ["PORT", "DRAWBRIDGE_STATE"]],
  ["demo", ["PORT", "DRAWBRIDGE_URL", "DRAWBRIDGE_KEY"]],
  ["check", ["no options"]],
  ["bench", ["--quick", "--part <name>", "--accept", "--before <folder>"]],
  ["bench-journals", ["--before <folder>", "--part <name>", "--scale <number>"]],
  ["openapi", ["--check"]],
])("npm run %s -- --help prints what the command knows, and does nothing else", (name, known) => {
  const { code, output } = script(name, ["--help"]);
  expect(code).toBe(0);
  for (const word of known) expect(output).toContain(word);
  expect(output.trim().split("\n").length).toBeLessThanOrEqual(known.length + 1);
});

test("npm run demo says where it looked when nobody listens there, and calls no step ok", async () => {
  const organisation = { id: 1, name: "Local", webhook_secret: "whsec_AAAA", api_key: "drb_x" };
  writeFileSync(join(root, "organisation.json"), JSON.stringify(organisation));
  const port = String(await freePort());
  const { code, output } = script("demo", [], { env: { PORT: port, DRAWBRIDGE_STATE: root } });
  expect(code).toBe(1);
  expect(output).toContain(`http://localhost:${port}/v1/webhooks/secret`);
  expect(output).toContain("set PORT");
  expect(output).not.toMatch(/^ *ok/m);
});

describe("a flag that a command does not know", () => {
  test.each([
    ["deploy", "--env <name>"],
    ["start", "PORT"],
    ["demo", "DRAWBRIDGE_URL"],
    ["check", "no options"],
    ["bench", "--quick"],
    ["bench-relay-node", "--workers"],
    ["bench-journals", "--before <folder>"],
    ["build-relay-node", "no options"],
    ["openapi", "--check"],
  ])("is refused by npm run %s, which says what it knows", (name, known) => {
    for (const given of ["--stagin", "stagin"]) {
      const { code, output } = script(name, [given]);
      expect(code).toBe(1);
      expect(output).toContain(given);
      expect(output).toContain(known);
      expect(output).not.toContain("    at ");
    }
  });

  test("is refused by npm test, since vitest does not know it", () => {
    const { code, output } = script("test", ["--stagin"]);
    expect(code).toBe(1);
    expect(output).toContain("Unknown option `--stagin`");
  });

  test.each([
    ["dry_run", "true", "npm run deploy -- --dry-run"],
    ["env", "staging", "npm run deploy -- --env <name>"],
  ])("is refused if npm kept it for itself: without `--` before it, %s", (name, value, advice) => {
    const env = { [`npm_config_${name}`]: value, npm_lifecycle_event: "deploy" };
    const { code, output } = script("deploy", [], { env });
    expect(code).toBe(1);
    expect(output).toContain(advice);
  });

  test("is refused by npm run relay-node, which hands on its own options only", () => {
    const env = { npm_config_url: "https://relay.example.com" };
    const { code, output } = script("relay-node", [], { env });
    expect(code).toBe(1);
    expect(output).toContain("npm run relay-node -- --url");
    const direct = script("relay-node", ["--stagin"]);
    expect(direct.code).toBe(2);
    expect(direct.output).toContain("--stagin");
    expect(direct.output).toContain("--server-port PORT");
  });

  test("is refused if its value is missing, or cannot be a name", () => {
    expect(script("deploy", ["--env"]).output).toContain("'--env <value>' argument missing");
    expect(script("deploy", ["--env="]).output).toContain("cannot be the name of an environment");
  });
});

describe("RELAY_NODE", () => {
  test("is 1 or 0 for npm start, which refuses what it does not know", () => {
    const { code, output } = script("start", [], { env: { RELAY_NODE: "yes" } });
    expect(code).toBe(1);
    expect(output).toContain('RELAY_NODE must be 1 to start a relay node, or 0, not "yes"');
  });
});

describe("npm run deploy -- --dry-run", () => {
  /** A clone that has the packages. */
  beforeEach(() => {
    const left = ["node_modules", ".git", ".wrangler"];
    cpSync(".", root, { recursive: true, filter: (path) => !left.includes(basename(path)) });
    symlinkSync(resolve("node_modules"), join(root, "node_modules"));
  });

  /** All names in the output that could be a resource of Drawbridge's. */
  function names(output: string): string[] {
    return [...new Set(output.match(/drawbridge[\w-]*/g))];
  }

  test("with --env staging names staging's resources and none of production's", () => {
    const { code, output } = script("deploy", ["--dry-run", "--env", "staging"], { cwd: root });
    expect(code, output).toBe(0);
    expect(output).toContain("Total Upload");
    expect(names(output).sort()).toEqual([
      "drawbridge-staging",
      "drawbridge-staging-bulk-deliveries",
      "drawbridge-staging-checks",
      "drawbridge-staging-dead-letters",
      "drawbridge-staging-deliveries",
      "drawbridge-staging-sweep",
    ]);
  });

  test("works with other names in wrangler.toml", () => {
    const file = join(root, "wrangler.toml");
    writeFileSync(file, readFileSync(file, "utf8").replaceAll('"drawbridge', '"acme'));
    const { code, output } = script("deploy", ["--dry-run"], { cwd: root });
    expect(code, output).toBe(0);
    expect(output).toContain("Total Upload");
    expect(output).toContain("wrangler queues create acme-deliveries");
    expect(output).toContain("wrangler d1 create acme");
    expect(output).toMatch(/^ *show the root token +# only if the Worker has none/m);
    expect(output).toMatch(/^ *with --secrets-file <file> +# only if the Worker lacks/m);
    expect(names(output)).toEqual([]);
  });
});

describe("a fresh clone on a Node that packages find too old", () => {
  /**
   * A project with our scripts whose only packages are tools that ask for a Node that nobody has. npm
   * is the true one; the packages are on this disk.
   */
  beforeEach(() => {
    cpSync("scripts", join(root, "scripts"), { recursive: true });
    cpSync(".npmrc", join(root, ".npmrc"));
    putTool("vitest", "vitest.mjs");
    putTool("wrangler", "wrangler-dist/cli.js");
    const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));
    const devDependencies = { vitest: "file:tools/vitest", wrangler: "file:tools/wrangler" };
    put("package.json", JSON.stringify({ type: "module", scripts, devDependencies }));
    const locked = run("npm", ["install", "--package-lock-only", "--offline"], root);
    expect(locked.code, locked.output).toBe(0);
  });

  function put(file: string, text: string) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }

  function putTool(name: string, program: string) {
    const engines = { node: ">=999" };
    put(`tools/${name}/package.json`, JSON.stringify({ name, version: "1.0.0", engines }));
    put(`tools/${name}/${program}`, `console.log("${name} ran"); process.exit(1);`);
  }

  test("has packages of which npm itself does warn", () => {
    expect(run("npm", ["ci", "--offline"], root).output).toContain("EBADENGINE");
  });

  test.each([
    ["start", ["Preparing the database and starting", "wrangler ran"]],
    ["test", ["vitest ran"]],
  ])("sees no engine warning of npm %s, which installs them and goes on", async (name, steps) => {
    const env = { npm_config_offline: "true", PORT: String(await freePort()) };
    const { output } = run("npm", ["run", name], root, env);
    expect(output).toContain("Installing the packages");
    for (const step of steps) expect(output).toContain(step);
    expect(output).not.toMatch(/EBADENGINE|Unsupported engine|npm warn/i);
  });
});
