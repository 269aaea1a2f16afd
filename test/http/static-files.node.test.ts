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
    ["/console", "text/html; charset=utf-8"],
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

describe("of the console", () => {
  const assets = filesBelow("dist/assets/console/assets").map((path) => `/console/assets/${path}`);

  test("each asset is safe too, and is kept: its name has a hash of its content", async () => {
    expect(assets.filter((path) => /-[\w-]{8}\.(js|css)$/.test(path))).toEqual(assets);
    expect(assets.length).toBeGreaterThan(5);
    for (const path of assets) {
      const { status, headers } = await send("GET", path);
      expect([path, status]).toEqual([path, 200]);
      expect(headers.get("Cache-Control")).toBe("public, max-age=31536000, immutable");
      expect(headers.get("Referrer-Policy")).toBe("no-referrer");
      expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
      expect(headers.get("Content-Security-Policy")).toContain("frame-ancestors 'none'");
    }
  });

  test("the page itself is asked for again each time: it names the assets of this deployment", async () => {
    const page = await send("GET", "/console");
    expect(page.headers.get("Cache-Control")).toBe("public, max-age=0, must-revalidate");
    const known = await fetch(`${server.origin}/console`, {
      headers: { "If-None-Match": page.headers.get("ETag") ?? "" },
    });
    expect(known.status).toBe(304);
    const named = [...(await page.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map(
      ([, path]) => path,
    );
    expect(named.length).toBeGreaterThan(2);
    for (const path of named)
      expect([path, (await send("GET", path ?? "")).status]).toEqual([path, 200]);
  });

  test("the page lets no text become markup, and has no script or style in it", async () => {
    const page = await send("GET", "/console");
    const policy = page.headers.get("Content-Security-Policy");
    expect(policy).toContain("require-trusted-types-for 'script'; trusted-types 'none'");
    const html = await page.text();
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/i);
  });

  test.each(["/console/assets/nothing.js", "/console/devices"])(
    "%s is no file, and no answer to keep",
    async (path) => {
      const { status, headers } = await send("GET", path);
      expect(status).toBe(404);
      expect(headers.get("Cache-Control")).toBe("no-store");
    },
  );
});

test.each(["/docs", "/console"])("a slash at the end of %s leads to the page", async (path) => {
  const response = await send("GET", `${path}/`);
  expect(response.status).toBe(307);
  expect(response.headers.get("Location")).toBe(path);
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
