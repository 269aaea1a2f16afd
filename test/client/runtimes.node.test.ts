/** The relay part of the client in each runtime that it is for. Chromium has a test of its own. */
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { connectRelay } from "drawbridge-client/relay";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/server";
import { startProxy, type TcpProxy } from "../support/tcp-proxy";
import { record } from "./recorder";
import { createSession, credentialsOf } from "./relay-session";

const PLAYER = resolve("test/client/player.mjs");

let server: TestServer;
let proxy: TcpProxy;
let key: string;

beforeAll(async () => {
  server = await startServer();
  proxy = await startProxy(server.origin);
  key = (await server.newOrganisation("Runtimes")).api_key.token;
});

afterAll(async () => {
  proxy?.close();
  await server?.close();
});

const run = promisify(execFile);

async function inNode(program: string, code: string) {
  const { stdout } = await run(program, [PLAYER, proxy.origin, code]);
  return JSON.parse(stdout);
}

/** As a Worker of its own. Not with wrangler's test harness: it lets no websocket out (November 2026). */
async function inWorkerd(code: string) {
  const bundle = { bundle: true, format: "esm", write: false } as const;
  const { outputFiles } = await build({ ...bundle, entryPoints: [PLAYER] });
  const script = outputFiles[0]?.text ?? "";
  const worker = { modules: true, script, compatibilityDate: "2026-10-20" };
  const workerd = new Miniflare(convertV4MiniflareOptions(worker));
  try {
    const query = new URLSearchParams({ url: proxy.origin, code });
    const answer = await workerd.dispatchFetch(`http://player.test/?${query}`);
    // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
    return (await answer.json()) as any;
  } finally {
    await workerd.dispose();
  }
}

test.each([
  [
    "Node 22",
    /^Node\.js\/22$/,
    (code: string) => inNode("client/node_modules/node/bin/node", code),
  ],
  ["Node 24", /^Node\.js\/24$/, (code: string) => inNode(process.execPath, code)],
  ["workerd", /^Cloudflare-Workers$/, inWorkerd],
])("A player in %s joins, plays, and comes back after a cut", async (_name, runtime, start) => {
  const session = await createSession(server.origin, key);
  const host = await connectRelay<unknown>({ ...credentialsOf(session, 0), codec: "json" });
  const atHost = record(host);
  const playing = start(session.join_code);
  expect((await atHost.first("message")).data).toBe("hello");
  const { connectionId } = await atHost.first("peerjoined");
  host.send("first", Number(connectionId));
  expect((await atHost.nth("message", 1)).data).toEqual({ re: "first" });
  proxy.cut();
  await atHost.first("peerleft");
  proxy.restore();
  await atHost.nth("peerjoined", 1);
  host.broadcast("second");
  expect((await atHost.nth("message", 2)).data).toEqual({ re: "second" });
  host.broadcast("enough");
  expect(await playing).toEqual({
    runtime: expect.stringMatching(runtime),
    said: ["first", "second", "enough"],
    types: ["hostjoined", "reconnecting", "reconnected", "closed"],
    measured: true,
  });
  host.close();
});
