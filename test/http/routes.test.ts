/** Every route that the app has is behind the guard, but for those that are open on purpose. */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { createApp } from "../../src/app";
import { newToken } from "../../src/keys/token";
import { call, newOrganisation } from "../support/client";
import { insertKey } from "../support/keys";
import { anyAddress } from "../support/sessions";

/** Open on purpose: they show nothing of anyone, or take a credential of their own. */
const OPEN = [
  "GET /v1/health",
  "GET /v1/ip",
  "POST /v1/relays/join",
  "GET /v1/relays/sessions/:id/server",
  "GET /v1/relays/sessions/:id/client",
];
const ROOT = ["GET /v1/organisations", "POST /v1/organisations", "DELETE /v1/organisations/:id"];

const routes = createApp()
  .routes.filter(({ method }) => method !== "ALL")
  .map(({ method, path }) => `${method} ${path}`);
const guarded = routes.filter((route) => !OPEN.includes(route));

/** Calls a route from an address of its own, with something in the place of each parameter. */
function callRoute(route: string, key?: string) {
  const [method = "", pattern = ""] = route.split(" ");
  const path = pattern.replaceAll(/\/:[a-z_]+/gi, "/0123456789ab-S");
  return call(method, path, {
    ip: anyAddress(),
    ...(method === "POST" ? { body: {} } : {}),
    ...(key === undefined ? {} : { key }),
  });
}

test("the routes that are open or the root token's exist", () => {
  for (const route of [...OPEN, ...ROOT]) expect(routes).toContain(route);
});

describe.each(guarded)("%s", (route) => {
  test("without a credential is not served", async () => {
    expect((await callRoute(route)).status).toBe(401);
  });

  test("with an unknown key is not served", async () => {
    expect([401, 403]).toContain((await callRoute(route, newToken())).status);
  });

  test("with a key of no permission is not served", async () => {
    const { id } = await newOrganisation();
    const { token } = await insertKey(id, { permissions: [] });
    expect((await callRoute(route, token)).status).toBe(ROOT.includes(route) ? 401 : 403);
  });

  test("with the root token is served only where that is meant", async () => {
    const { status } = await callRoute(route, env.DRAWBRIDGE_ROOT_TOKEN);
    if (ROOT.includes(route)) expect([200, 400, 404]).toContain(status);
    else expect(status).toBe(401);
  });
});

test("with every permission a key is served everything but what is the root token's", async () => {
  const { key } = await newOrganisation();
  for (const route of guarded) {
    const { status } = await callRoute(route, key);
    if (ROOT.includes(route)) expect(status).toBe(401);
    else expect([200, 400, 404]).toContain(status);
  }
});
