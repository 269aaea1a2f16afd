/**
 * Which headers of a request are read: each one is a call from JavaScript into the platform. Written down so
 * that whoever reads one more at every request sees it.
 */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { createApp } from "../../src/app";
import { newOrganisation, ORIGIN } from "../support/client";
import { newKey } from "../support/keys";

const app = createApp();

/** The names of the headers that are read of a call that is answered 200, in lower case and in order. */
async function headersRead(
  path: string,
  { key, body, vars }: { key?: string; body?: object; vars?: Record<string, string> } = {},
): Promise<string[]> {
  const headers = new Headers({ Origin: "https://game.example.com" });
  if (key !== undefined) headers.set("Authorization", `token ${key}`);
  const sent = body ? JSON.stringify(body) : null;
  if (sent !== null) {
    headers.set("Content-Type", "application/json");
    // As every client does that knows the length before it sends.
    headers.set("Content-Length", String(sent.length));
  }
  const request = new Request(ORIGIN + path, {
    method: body ? "POST" : "GET",
    headers,
    body: sent,
  });
  const read = vi.spyOn(request.headers, "get");
  const answer = await app.fetch(request, { ...env, ...vars }, createExecutionContext());
  const names = read.mock.calls.map(([name]) => name.toLowerCase());
  expect(answer.status).toBe(200);
  return names;
}

test("an operation that is open to all reads the id, and what it asks for itself", async () => {
  expect(await headersRead("/v1/ip")).toEqual(["x-request-id", "cf-connecting-ip"]);
});

test("an operation with an API key and a body reads each header once, and no origin", async () => {
  const tenant = await newOrganisation();
  const { token } = await newKey(tenant);
  const verify = { key: tenant.key, body: { token } };
  const always = ["x-request-id", "authorization", "x-organisation-id", "idempotency-key"];
  const ofBody = ["content-type", "content-length", "content-encoding"];
  const ofChange = "x-d1-bookmark";
  expect(await headersRead("/v1/keys:verify", verify)).toEqual([...always, ...ofBody, ofChange]);
  const listed = { ...verify, vars: { CORS_ORIGINS: "https://game.example.com" } };
  expect(await headersRead("/v1/keys:verify", listed)).toEqual([
    ...always,
    ...ofBody,
    "origin",
    ofChange,
  ]);
});

test("the address is read for a key that is bound to addresses; a bookmark, for a list", async () => {
  const tenant = await newOrganisation();
  const bound = await newKey(tenant, { ipAllowlist: ["127.0.0.1"], permissions: ["relays:read"] });
  const read = await headersRead("/v1/relays/sessions", { key: bound.token });
  const ofCaller = ["authorization", "cf-connecting-ip", "x-organisation-id"];
  expect(read).toEqual(["x-request-id", ...ofCaller, "x-d1-bookmark"]);
});
