/**
 * `drawbridge-client` is generated from openapi.json: docs/typed-client.ts compiles with it under `strict`, and
 * runs against the Worker. If the document says something else, the compiler refuses the program.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generateApi } from "../../client/generate-api.mjs";
import { startServer, type TestServer } from "../support/server";

const TSC = resolve("node_modules/typescript/bin/tsc");
const PROGRAM = resolve("docs/typed-client.ts");

/** What a user's own project may have: the strictest there is. */
const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  target: "es2024",
  module: "nodenext",
  types: ["node"],
  noEmit: true,
};

let folder: string;

beforeAll(() => {
  // Inside the repository, where its packages are found. Git ignores dist/.
  mkdirSync("dist", { recursive: true });
  folder = mkdtempSync(resolve("dist", "typed-client-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program with Node to its end. */
function run(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, args, {
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

/** Type-checks the program with these options. */
function compile(compilerOptions: object) {
  const config = join(folder, "tsconfig.json");
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [PROGRAM] }));
  return run([TSC, "--project", config]);
}

test("the package has types for each entry, which a strict project takes", async () => {
  expect(await compile(STRICT)).toEqual({ code: 0, output: "" });
});

describe("against the Worker", () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer();
  });

  afterAll(() => server?.close());

  test("the calls of docs/typed-client.ts do what they should", async () => {
    const { api_key } = await server.newOrganisation("Generated client");
    const { code, output } = await run([PROGRAM], { BASE: server.origin, KEY: api_key.token });
    expect(output.trim().split("\n")).toEqual([
      "session is READY, and listed",
      "session has 2 users",
      "session is answered 404 when it has ended: session-not-found",
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
    ["a field of an answer has another name", '"setup_code"', "setup_code"],
    ["a code of an error has another name", '"connection-exists"', "connection-exists"],
  ])("where %s", async (_what, written, name) => {
    const changed = original.replaceAll(written, written.replace(name, "renamed"));
    expect(changed).not.toBe(original);
    const document = join(folder, "openapi.json");
    writeFileSync(document, changed);
    const api = join(folder, "api");
    await generateApi(document, api);
    writeFileSync(
      join(api, "entry.ts"),
      'export * from "./index.js"; export { client } from "./client.gen.js";',
    );
    const { code, output } = await compile({
      ...STRICT,
      // Only the package's types are made for this option.
      exactOptionalPropertyTypes: false,
      noUncheckedIndexedAccess: false,
      paths: { "drawbridge-client": [join(api, "entry.ts")] },
    });
    expect(code).not.toBe(0);
    expect(output).toContain("typed-client.ts");
    expect(output).toContain(name);
    // It is the program that is wrong, and not what was generated.
    expect(output).not.toMatch(/^dist\//m);
  });
});
