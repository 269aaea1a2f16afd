/**
 * The device of docs/pairing-device.mjs, as a stranger runs it: plain Node, against the running Worker.
 * It uses nothing of the repository but what docs/pairing.md says.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fingerprint } from "../../src/pairing/device-key";
import { startServer, type TestServer } from "../support/server";

const folder = mkdtempSync(join(tmpdir(), "documented-device-"));
const running: ChildProcess[] = [];

let server: TestServer;
let key: string;
let application: string;

beforeAll(async () => {
  server = await startServer();
  key = (await server.newOrganisation("Devices")).api_key.token;
  application = (await call("POST", "/v1/applications", key, { name: "Gateway" })).id;
});

afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
type Answer = any;

async function call(method: string, path: string, token: string, body?: object): Promise<Answer> {
  const response = await fetch(`${server.origin}${path}`, {
    method,
    headers: { Authorization: `Bearer ${token}` },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${path}: ${JSON.stringify(answer)}`);
  return answer;
}

/** Starts the script. `line(name)` waits for the line that begins with this name, and gives the rest of it. */
function start(file: string) {
  const args = ["docs/pairing-device.mjs", server.origin, application, join(folder, file)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  running.push(child);
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors += text;
  });
  const ended = new Promise<number | null>((done) => child.on("close", done));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (name: string) => {
    const { value = "" } = await lines.next();
    expect(value, errors).toMatch(new RegExp(`^${name} `));
    return value.slice(name.length + 1);
  };
  return { line, ended, errors: () => errors };
}

async function pendingRequest(): Promise<Answer> {
  const path = `/v1/applications/${application}/pairing/requests?status=pending`;
  const { data } = await call("GET", path, key);
  expect(data).toHaveLength(1);
  return data[0];
}

function decide(request: Answer, decision: "approve" | "reject", body: object = {}) {
  const path = `/v1/applications/${application}/pairing/requests/${request.pair_request_id}`;
  return call("POST", `${path}:${decision}`, key, body);
}

describe("the device of the documentation", () => {
  test("makes a key, asks, waits for the approval and prints a token; it comes back even after it was given less than it asked for", async () => {
    const device = start("first.json");
    const shown = await device.line("fingerprint");
    const request = await pendingRequest();
    expect(shown).toBe(fingerprint(request.device_id));
    expect(request.fingerprint).toBe(shown);
    expect(request.scopes).toEqual(["operator.read", "operator.write"]);
    await decide(request, "approve", { scopes: ["operator.read"] });
    const token = await device.line("token");
    expect(await device.ended, device.errors()).toBe(0);
    const verified = await call("POST", "/v1/devices:verify", key, {
      token,
      scope: "operator.read",
    });
    expect(verified).toMatchObject({ valid: true, device_id: request.device_id });

    const again = start("first.json");
    const fresh = await again.line("token");
    expect(await again.ended, again.errors()).toBe(0);
    expect(fresh).not.toBe(token);
    const both = await Promise.all(
      [token, fresh].map((each) => call("POST", "/v1/devices:verify", key, { token: each })),
    );
    expect(both.map(({ code }) => code)).toEqual(["revoked", "valid"]);
  });

  test("says so when it is rejected", async () => {
    const device = start("other.json");
    await device.line("fingerprint");
    await decide(await pendingRequest(), "reject");
    expect(await device.ended).toBe(1);
    expect(device.errors()).toContain("not let in: rejected");
  });
});
