/**
 * The scripts of docs/getting-started.md, run as the page says, against the running Worker: a session
 * with a host and a client, and a receiver of webhooks.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { createServer } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { eventually } from "./support/eventually";
import { startServer, type TestServer } from "./support/server";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

let server: TestServer;
let running: ChildProcess | undefined;

beforeAll(async () => {
  server = await startServer();
});

afterEach(() => {
  running?.kill("SIGKILL");
});

afterAll(() => server?.close());

/** Runs a script of docs/. `output()` is what it has printed so far. */
function run(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env } });
  running = child;
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const ended = new Promise<number | null>((done) => child.on("close", done));
  return { ended, output: () => output };
}

async function newKey(): Promise<string> {
  return (await server.newOrganisation("Getting started")).api_key.token;
}

test("first-session.mjs lets a host and a client talk, and ends the session", async () => {
  const { ended, output } = run(["docs/first-session.mjs"], {
    BASE: server.origin,
    KEY: await newKey(),
  });
  expect(await ended, output()).toBe(0);
  const lines = output().trim().split("\n");
  expect(lines[0]).toMatch(/^session [0-9a-f]{12}-S is READY$/);
  expect(lines).toEqual(
    expect.arrayContaining([
      'host is told {"type":"ready","connection_id":0,"role":"host"}',
      'client is told {"type":"ready","connection_id":1,"role":"client"}',
      'host gets "hello" from client 1',
      'client gets "welcome"',
      'host is told {"type":"ending","reason":"organisation"}',
      "host is closed with 4410",
      "client is closed with 4410",
    ]),
  );
});

test("webhook-receiver.mjs takes what is signed with its secret, once for each id, and nothing else", async () => {
  const port = await freePort();
  const { output } = run(["docs/webhook-receiver.mjs", SECRET, String(port)]);
  await eventually(() => expect(output()).toContain(`listens on ${port}`));
  const body = JSON.stringify({
    type: "session.active",
    timestamp: "2026-11-26T05:00:00.000Z",
    data: { id: "a168ab3f51e0-S" },
  });
  const now = Math.floor(Date.now() / 1000);
  const post = (id: string, at: number, signature: string) =>
    fetch(`http://127.0.0.1:${port}/hooks`, {
      method: "POST",
      headers: {
        "webhook-id": id,
        "webhook-timestamp": String(at),
        "webhook-signature": signature,
      },
      body,
    }).then(({ status }) => status);
  const old = now - 3_600;
  expect(await post("1", now, sign("1", now, body))).toBe(200);
  expect(await post("1", now, sign("1", now, body))).toBe(200);
  expect(await post("2", now, sign("2", now, `${body} `))).toBe(401);
  expect(await post("3", old, sign("3", old, body))).toBe(401);
  expect(await post("4", now, "v1,")).toBe(401);
  const other = sign("5", now, `${body} `);
  expect(await post("5", now, `${other} ${sign("5", now, body)}`)).toBe(200);
  await eventually(() => expect(output().match(/^session\.active at /gm)).toHaveLength(2));
});

function sign(id: string, at: number, body: string): string {
  const key = Buffer.from(SECRET.replace("whsec_", ""), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${at}.${body}`).digest("base64")}`;
}

function freePort(): Promise<number> {
  return new Promise((found) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = address !== null && typeof address === "object" ? address.port : 0;
      probe.close(() => found(port));
    });
  });
}
