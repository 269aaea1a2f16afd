/** Pairing with the client, in Node, against the Worker: the key in a file, the decision, the token. */
import { spawn } from "node:child_process";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PairDeviceOptions, PairingError, pairDevice } from "drawbridge-client/pairing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { startServer, type TestServer } from "../support/server";
import { startProxy, type TcpProxy } from "../support/tcp-proxy";

let server: TestServer;
let proxy: TcpProxy;
let key: string;
let application: string;
let folder: string;

beforeAll(async () => {
  server = await startServer();
  proxy = await startProxy(server.origin);
  key = (await server.newOrganisation("Devices")).api_key.token;
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "pairing-"));
  application = (await call("POST", "/v1/applications", { name: "Gateway" })).id;
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

afterAll(async () => {
  proxy?.close();
  await server?.close();
});

// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
async function call(method: string, path: string, body?: object): Promise<any> {
  const response = await fetch(`${server.origin}${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}` },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${path}: ${JSON.stringify(answer)}`);
  return answer;
}

const keyFile = (name = "device.pem") => join(folder, name);

/** What is asked for where a test does not say. */
const asked = () => ({
  url: server.origin,
  application,
  role: "operator",
  scopes: ["operator.read", "operator.write"],
  client: {
    id: "test",
    mode: "cli",
    displayName: "A test",
    platform: " Linux ",
    deviceFamily: "Server",
  },
});

/** Asks, with a key in a file. */
const pair = (options: Partial<PairDeviceOptions> = {}) =>
  pairDevice({ ...asked(), keyFile: keyFile(), ...options });

const requests = () => `/v1/applications/${application}/pairing/requests`;

async function pendingRequest() {
  const { data } = await call("GET", `${requests()}?status=pending`);
  expect(data).toHaveLength(1);
  return data[0];
}

async function decide(decision: "approve" | "reject", body: object = {}) {
  const { pair_request_id } = await pendingRequest();
  return call("POST", `${requests()}/${pair_request_id}:${decision}`, body);
}

const verify = (token: string) => call("POST", "/v1/devices:verify", { token });

/** What the promise is rejected with. */
function failureOf(promise: Promise<unknown>): Promise<PairingError> {
  return promise.then(
    () => expect.fail("it is not rejected"),
    (error) => error,
  );
}

describe("pairDevice in Node", () => {
  test("asks with a new key, shows the operator's fingerprint, and gives the token and what it carries", async () => {
    const pairing = await pair();
    expect(pairing.pending).toBe(true);
    const request = await pendingRequest();
    expect(request).toMatchObject({
      device_id: pairing.deviceId,
      fingerprint: pairing.fingerprint,
      display_name: "A test",
      platform: "linux",
      device_family: "server",
      scopes: ["operator.read", "operator.write"],
    });
    await decide("approve", { scopes: ["operator.read"] });
    const token = await pairing.token;
    expect(await pairing.scopes).toEqual(["operator.read"]);
    expect(await verify(token)).toMatchObject({ valid: true, device_id: pairing.deviceId });
  });

  test("keeps its key in a file of mode 0600, with which it comes back as the same device", async () => {
    const first = await pair();
    await decide("approve");
    const token = await first.token;
    expect(statSync(keyFile()).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(["device.pem"]);

    const again = await pair();
    expect(again).toMatchObject({ deviceId: first.deviceId, pending: false });
    const fresh = await again.token;
    const both = await Promise.all([token, fresh].map(verify));
    expect(both.map(({ code }) => code)).toEqual(["revoked", "valid"]);
  });

  test("makes a key file that OpenSSL reads, and reads one that OpenSSL made", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const pem = privateKey.export({ type: "pkcs8", format: "pem" });
    writeFileSync(keyFile("made"), pem, { mode: 0o600 });
    for (const name of ["made", "own"]) {
      await pair({ keyFile: keyFile(name), scopes: [] });
      const { public_key } = await pendingRequest();
      const key = createPublicKey(createPrivateKey(readFileSync(keyFile(name), "utf8")));
      expect(public_key).toBe(key.export({ format: "jwk" }).x);
      await decide("reject");
    }
  });

  test("of two that start at once with one file, both are the same device", async () => {
    const both = await Promise.all([pair(), pair()]);
    expect(new Set(both.map(({ deviceId }) => deviceId)).size).toBe(1);
    await decide("reject");
  });

  test("refuses a key file that others may read, and one without a key, and says what to do", async () => {
    writeFileSync(keyFile("open"), "", { mode: 0o644 });
    chmodSync(keyFile("open"), 0o644);
    const open = await failureOf(pair({ keyFile: keyFile("open") }));
    expect(open).toMatchObject({ code: "key-file-not-private" });
    expect(open.message).toContain("chmod 600");
    writeFileSync(keyFile("empty"), "not a key", { mode: 0o600 });
    const empty = await failureOf(pair({ keyFile: keyFile("empty") }));
    expect(empty).toMatchObject({ code: "unreadable-key-file" });
    expect(readFileSync(keyFile("empty"), "utf8")).toBe("not a key");
  });

  test("needs a place for its key", async () => {
    const failure = await failureOf(pairDevice(asked()));
    expect(failure).toMatchObject({ code: "no-key-store" });
    expect(failure.message).toContain("keyFile");
  });

  test("takes a key of the caller's, which it does not keep", async () => {
    const keyPair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    const pairing = await pairDevice({ ...asked(), keyPair: keyPair as CryptoKeyPair });
    expect((await pendingRequest()).device_id).toBe(pairing.deviceId);
    expect(readdirSync(folder)).toEqual([]);
    await decide("reject");
  });

  test("rejects the token when the operator rejects the device", async () => {
    const pairing = await pair();
    await decide("reject", { reason: "not ours" });
    const failure = await failureOf(pairing.token);
    expect(failure).toBeInstanceOf(PairingError);
    expect(failure).toMatchObject({ code: "rejected" });
    expect(await failureOf(pairing.scopes)).toBe(failure);
  });

  test("rejects the token of a request that a newer one took the place of", async () => {
    const older = await pair({ scopes: ["operator.read"] });
    const newer = await pair();
    expect(await failureOf(older.token)).toMatchObject({ code: "superseded" });
    await decide("approve");
    expect(await newer.token).toMatch(/^drbd_/);
  });

  test("rejects with the service's code where it refuses the request", async () => {
    const application = await failureOf(pair({ application: "pa-aaaaaaaaaaaaaaa" }));
    expect(application).toMatchObject({ code: "application-not-found", status: 404 });
    const setupCode = await failureOf(pair({ setupCode: "WRONG" }));
    expect(setupCode).toMatchObject({ code: "invalid-setup-code", status: 403 });
    const scope = await failureOf(pair({ scopes: ["operator.nothing"] }));
    expect(scope).toMatchObject({ code: "invalid-body", status: 400 });
  });

  test("is let in at once by a setup code, which it signs", async () => {
    const wanted = { role: "operator", scopes: ["operator.read"], ttl_seconds: 300 };
    const { setup_code } = await call(
      "POST",
      `/v1/applications/${application}/setup-codes`,
      wanted,
    );
    const pairing = await pair({ scopes: ["operator.read"], setupCode: setup_code });
    expect(pairing.pending).toBe(false);
    expect(await verify(await pairing.token)).toMatchObject({ valid: true });
  });

  test("is let in although the network was away while the operator decided", async () => {
    const pairing = await pair({ url: proxy.origin });
    proxy.cut();
    await decide("approve");
    const failed = vi.spyOn(globalThis, "fetch");
    const failures = () => failed.mock.settledResults.filter(({ type }) => type === "rejected");
    await expect.poll(() => failures().length, { timeout: 60_000 }).toBeGreaterThan(0);
    proxy.restore();
    expect(await verify(await pairing.token)).toMatchObject({ valid: true });
  });

  test("gets another token where the answer that had the token was lost", async () => {
    const pairing = await pair();
    await decide("approve");
    const { fetch } = globalThis;
    let lost: string | undefined;
    vi.spyOn(globalThis, "fetch").mockImplementation(async (...args) => {
      const response = await fetch(...args);
      if (lost !== undefined) return response;
      lost = ((await response.json()) as { device_token: string }).device_token;
      throw new TypeError("fetch failed");
    });
    const token = await pairing.token;
    expect(lost).toMatch(/^drbd_/);
    expect(token).not.toBe(lost);
    expect(await verify(token)).toMatchObject({ valid: true });
  });

  test("runs as the documentation shows it", async () => {
    const page = readFileSync("docs/client-pairing.md", "utf8");
    const program = /```js example\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
    const child = spawn(
      process.execPath,
      ["--input-type=module", "--eval", program.replace("device.pem", keyFile())],
      { env: { ...process.env, BASE: server.origin, APP: application }, stdio: "pipe" },
    );
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        printed += text;
      });
    }
    const ended = new Promise((done) => child.on("close", done));
    await expect.poll(() => printed, { timeout: 60_000 }).toContain("approve");
    const { fingerprint } = await pendingRequest();
    expect(printed).toBe(`Ask the operator to approve ${fingerprint}\n`);
    await decide("approve", { scopes: ["operator.read"] });
    expect(await ended, printed).toBe(0);
    const [, token = ""] = /token (drbd_\S+), good for operator\.read\n/.exec(printed) ?? [];
    expect(await verify(token)).toMatchObject({ valid: true });
  });

  test("ends when its signal is aborted", async () => {
    const ended = new AbortController();
    const pairing = await pair({ signal: ended.signal });
    ended.abort(new Error("enough"));
    await expect(pairing.token).rejects.toThrow("enough");
    await expect(pair({ signal: ended.signal })).rejects.toThrow("enough");
    await decide("reject");
  });
});
