/** `npm start` as a newcomer runs it: the link that it prints signs them in to the console, once. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/eventually";

let root: string;
/** Where the service keeps its data. */
let state: string;
let service: ChildProcess | undefined;

/** A clone that has the packages: `npm start` writes secrets and static files into its folder. */
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "start-test-"));
  const left = ["node_modules", ".git", ".wrangler", ".dev.vars"];
  cpSync(".", root, { recursive: true, filter: (path) => !left.includes(basename(path)) });
  symlinkSync(resolve("node_modules"), join(root, "node_modules"));
});

beforeEach(() => {
  state = mkdtempSync(join(root, "state-"));
});

afterEach(stop);

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

async function stop() {
  if (!service || service.exitCode !== null) return;
  const ended = once(service, "exit");
  service.kill("SIGTERM");
  await ended;
}

/** Starts the service. Resolves when it is ready: to what it printed, and calls of it. */
async function start() {
  const port = await freePort();
  const env: Record<string, string | undefined> = { ...process.env };
  // Its own are those that it makes.
  delete env.DRAWBRIDGE_SECRET;
  delete env.DRAWBRIDGE_ROOT_TOKEN;
  const child = spawn(process.execPath, ["scripts/start.mjs"], {
    cwd: root,
    env: { ...env, PORT: String(port), DRAWBRIDGE_STATE: state } as unknown as NodeJS.ProcessEnv,
    stdio: ["ignore", "pipe", "pipe"],
  });
  service = child;
  const output = await outputOf(child);
  const printed = output();
  const call = async (method: string, path: string, key: string | null, body?: object) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: key === null ? {} : { Authorization: `Bearer ${key}` },
      body: body === undefined ? null : JSON.stringify(body),
    });
    // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
    return { status: response.status, body: (await response.json()) as any };
  };
  const [, apiKey = ""] = /API key +(drb_\S+)/.exec(printed) ?? [];
  const [, page = "", code = ""] = /console +(\S+?)(?:#code=(drbc_\S+))?\s/.exec(printed) ?? [];
  expect(page).toBe(`http://localhost:${port}/console`);
  return { printed, output, call, apiKey, code };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await once(probe.listen(0, "127.0.0.1"), "listening");
  const { port } = probe.address() as AddressInfo;
  await once(probe.close(), "close");
  return port;
}

/** Resolves when a process says that the log follows: to what it has printed at any time. */
function outputOf(child: ChildProcess): Promise<() => string> {
  return new Promise((done, fail) => {
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text) => {
        output += text;
        if (output.includes("The request log follows")) done(() => output);
      });
    }
    child.once("exit", (code) => fail(new Error(`npm start ended (${code}): ${output}`)));
  });
}

const SESSION_TOKENS = "/v1/auth/session-tokens";

test("prints at each start a new link that signs in once, as the same API key", async () => {
  const seen = [];
  for (let i = 0; i < 2; i++) {
    const { printed, call, apiKey, code } = await start();
    expect(printed).toContain("good once, for 10 minutes; then sign in with the API key above");
    const { body: own } = await call("GET", SESSION_TOKENS, apiKey);
    const signedIn = await call("POST", SESSION_TOKENS, null, { code });
    expect(signedIn.status).toBe(201);
    const { body: person } = await call("GET", SESSION_TOKENS, signedIn.body.session_token);
    expect(person).toMatchObject({
      key_id: own.key_id,
      signed_in: true,
      organisations: [{ name: "Local" }],
    });
    expect((await call("POST", SESSION_TOKENS, null, { code })).body).toMatchObject({
      code: "sign-in-code-used",
    });
    seen.push({ apiKey, code });
    await stop();
  }
  expect(seen[1]?.apiKey).toBe(seen[0]?.apiKey);
  expect(seen[1]?.code).not.toBe(seen[0]?.code);
});

test("shows a line for each request, and not for some of them as a deployment does", async () => {
  const { output, call, apiKey } = await start();
  for (let i = 0; i < 5; i++) await call("GET", SESSION_TOKENS, apiKey);
  await eventually(() => {
    const lines = output()
      .split("\n")
      .filter((line) => line.startsWith('{"message":"request"'))
      .map((line) => JSON.parse(line));
    const own = lines.filter(({ route }) => route === SESSION_TOKENS);
    expect(own.map(({ status, sample }) => [status, sample])).toEqual(Array(5).fill([200, 1]));
  });
  await stop();
});

test("starts without a link if the API key may sign nobody in, and says what is needed", async () => {
  const { call, apiKey } = await start();
  const { body: own } = await call("GET", SESSION_TOKENS, apiKey);
  const narrowed = await call("PATCH", `/api-keys/${own.key_id}`, apiKey, {
    permissions: ["keys:read", "relays:read"],
  });
  expect(narrowed.status).toBe(200);
  await stop();
  const again = await start();
  expect(again.apiKey).toBe(apiKey);
  expect(again.code).toBe("");
  expect(again.printed).toContain("sign in with an API key that holds operator:sign-in");
});
