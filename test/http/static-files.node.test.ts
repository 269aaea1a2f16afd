/** The files that the platform serves beside the Worker: what they are, and that they take no path of the API. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unstable_readConfig } from "wrangler";
import { filesBelow } from "../../scripts/made-folder.mjs";
import { createApp } from "../../src/app";
import { startServer, type TestServer } from "../support/server";

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
});

afterAll(() => server?.close());

function send(method: string, path: string) {
  return fetch(server.origin + path, { method, redirect: "manual" });
}

/** Only the Worker gives its answers an id. */
function isOfWorker(response: Response): boolean {
  return response.headers.has("X-Request-Id");
}

describe("a file", () => {
  test.each([
    ["/docs", "text/html; charset=utf-8"],
    ["/openapi.json", "application/json"],
    ["/docs/swagger-ui/swagger-ui.css", "text/css; charset=utf-8"],
  ])(
    "is served at %s without running the Worker, with headers that keep a page safe",
    async (path, type) => {
      for (const method of ["GET", "HEAD"]) {
        const response = await send(method, path);
        expect(response.status).toBe(200);
        expect(response.headers.get("Content-Type")).toBe(type);
        expect(isOfWorker(response)).toBe(false);
        const policy = response.headers.get("Content-Security-Policy");
        expect(policy).toMatch(/^default-src 'none'; script-src 'self';/);
        expect(policy).toContain("frame-ancestors 'none'");
        expect(policy).not.toContain("unsafe");
        expect(response.headers.get("X-Content-Type-Options")).toBe("nosniff");
        expect(response.headers.get("Referrer-Policy")).toBe("no-referrer");
      }
    },
  );

  test("is readable by pages of every origin if it is the description or the client, and no other file is", async () => {
    const files = filesBelow("dist/assets")
      .map(String)
      .filter((path) => /\.(js|json|css|svg)$/.test(path));
    expect(files).toContain("openapi.json");
    for (const path of files) {
      const { headers } = await send("HEAD", `/${path}`);
      const isShared = path === "openapi.json" || path.startsWith("client/");
      expect([path, headers.get("Access-Control-Allow-Origin")]).toEqual([
        path,
        isShared ? "*" : null,
      ]);
    }
  });

  test("takes no other method", async () => {
    expect((await send("POST", "/docs")).status).toBe(405);
  });
});

test("a slash at the end of the address of a page leads to the page", async () => {
  const response = await send("GET", "/docs/");
  expect(response.status).toBe(307);
  expect(response.headers.get("Location")).toBe("/docs");
});

test.each(["/docs/nowhere", "/docs.html/x", "/nowhere", "/_headers", "/favicon.ico"])(
  "%s is no file: the Worker answers 404",
  async (path) => {
    for (const method of ["GET", "POST"]) {
      const response = await send(method, path);
      expect(response.status).toBe(404);
      expect(response.headers.get("Content-Type")).toBe("application/problem+json");
      expect(isOfWorker(response)).toBe(true);
    }
  },
);

describe("the paths that go to the Worker first", () => {
  const rules = unstable_readConfig({ config: "./wrangler.toml" }).assets?.run_worker_first;
  const matchers = (Array.isArray(rules) ? rules : []).map(
    (rule) => new RegExp(`^${rule.replaceAll("*", ".*")}$`),
  );
  const isWorkerFirst = (path: string) => matchers.some((matcher) => matcher.test(path));

  test("are those of all routes: no file can take the place of one", () => {
    const routes = createApp().routes.filter(({ method }) => method !== "ALL");
    expect(routes.length).toBeGreaterThan(50);
    expect(routes.map(({ path }) => path).filter((path) => !isWorkerFirst(path))).toEqual([]);
  });

  test("are those of no file: nobody could see it", () => {
    const files = filesBelow("dist/assets").map((path) => `/${path}`);
    expect(files).toContain("/docs/index.html");
    expect(files.filter(isWorkerFirst)).toEqual([]);
  });
});
