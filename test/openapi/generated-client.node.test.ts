/**
 * A client that is generated from openapi.json, as docs/getting-started.md says: it compiles under `strict`
 * together with docs/typed-client.ts, and that program runs against the Worker.
 */
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/server";

const OAZAPFTS = resolve("node_modules/oazapfts/dist/cli.js");
const TSC = resolve("node_modules/typescript/bin/tsc");

const TSCONFIG = {
  compilerOptions: {
    strict: true,
    target: "es2024",
    module: "nodenext",
    types: ["node"],
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    noEmit: true,
  },
  files: ["typed-client.ts"],
};

let folder: string;

beforeAll(() => {
  // Inside the repository, where its packages are found. Git ignores dist/.
  mkdirSync("dist", { recursive: true });
  folder = mkdtempSync(resolve("dist", "typed-client-"));
  copyFileSync("docs/typed-client.ts", join(folder, "typed-client.ts"));
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(TSCONFIG));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program with Node in the folder, to its end. */
function run(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  return new Promise<{ code: number | null; output: string }>((done) => {
    child.on("close", (code) => done({ code, output }));
  });
}

/** Generates the client from a document, and type-checks it together with the program. */
async function compile(document: string) {
  writeFileSync(join(folder, "openapi.json"), document);
  const generated = await run([OAZAPFTS, "openapi.json", "drawbridge.ts"]);
  expect(generated.code, generated.output).toBe(0);
  return run([TSC, "--project", "tsconfig.json"]);
}

describe("a client that is generated from openapi.json", () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer();
  });

  afterAll(() => server?.close());

  test("compiles under strict, and makes the calls of docs/typed-client.ts", async () => {
    const compiled = await compile(readFileSync("openapi.json", "utf8"));
    expect(compiled).toEqual({ code: 0, output: "" });
    const { api_key } = await server.newOrganisation("Generated client");
    const { code, output } = await run(["typed-client.ts"], {
      BASE: server.origin,
      KEY: api_key.token,
    });
    expect(output.trim().split("\n")).toEqual([
      "session is READY, and listed",
      "session has 2 users",
      "session is answered 404 when it has ended",
      "user is customer-17",
      "key is called Game server",
      "second is refused: connection-exists",
      "device token is valid",
      "devices: 1",
    ]);
    expect(code).toBe(0);
  });
});

describe("the compiler refuses the program", () => {
  const original = readFileSync("openapi.json", "utf8");

  test.each([
    ["an operation has another name", '"operationId": "listDevices"', "listDevices"],
    ["a field of an answer has another name", '"device_token"', "device_token"],
    ["a code of an error has another name", '"connection-exists"', "connection-exists"],
  ])("where %s", async (_what, written, name) => {
    const changed = original.replaceAll(written, written.replace(name, "renamed"));
    expect(changed).not.toBe(original);
    const { code, output } = await compile(changed);
    expect(code).not.toBe(0);
    expect(output).toContain("typed-client.ts");
    expect(output).toContain(name);
  });
});
