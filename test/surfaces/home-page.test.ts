/** Who gets a page at `/`, and who the RPC. */
import { describe, expect, test } from "vitest";
import { call } from "../support/client";
import { newApplication } from "../support/devices";

/** What Chromium, Firefox and Safari send when somebody opens an address (November 2026). */
const BROWSERS = [
  "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
  "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
];
const [BROWSER = ""] = BROWSERS;

function get(path: string, accept?: string, headers: Record<string, string> = {}) {
  return call("GET", path, { headers: { ...headers, ...(accept ? { Accept: accept } : {}) } });
}

describe("GET / from a browser", () => {
  test.each([...BROWSERS, "text/html", "TEXT/HTML", "text/*", "application/json;q=0.5, text/html"])(
    "that accepts %s is a page that leads to the reference",
    async (accept) => {
      const page = await get("/", accept);
      expect(page.status).toBe(200);
      expect(page.headers.get("Content-Type")).toMatch(/^text\/html/);
      expect(page.headers.get("Vary")).toBe("Accept");
      expect(page.text).toContain('href="/docs"');
      expect(page.text).toContain('href="/openapi.json"');
    },
  );

  test("has the headers that keep a page safe, and those of every answer", async () => {
    const { headers } = await get("/", BROWSER);
    expect(headers.get("Content-Security-Policy")).toMatch(
      /^default-src 'none'; script-src 'self';/,
    );
    expect(headers.get("Content-Security-Policy")).not.toContain("unsafe");
    expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(headers.get("Referrer-Policy")).toBe("no-referrer");
    expect(headers.get("Cache-Control")).toBe("no-store");
    expect(headers.get("X-Request-Id")).toBeTruthy();
  });

  test("is the same page with parameters that name no action", async () => {
    const page = await get("/?utm_source=mail", BROWSER);
    expect(page.headers.get("Content-Type")).toMatch(/^text\/html/);
  });

  test("is the same for HEAD, without the page", async () => {
    const page = await call("HEAD", "/", { headers: { Accept: BROWSER } });
    expect(page.status).toBe(200);
    expect(page.headers.get("Content-Type")).toMatch(/^text\/html/);
    expect(page.headers.get("Vary")).toBe("Accept");
    expect(page.text).toBe("");
  });
});

describe("GET / is the RPC", () => {
  const json = [
    undefined,
    "*/*",
    "application/json",
    "application/json, text/html;q=0.9",
    "application/json, text/plain, */*",
    "text/html;q=0",
    "image/avif,image/webp,*/*",
    "nonsense",
  ];
  test.each(json)("for a caller that accepts %s", async (accept) => {
    const answer = await get("/", accept);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ Code: "MissingParameter", RequestId: expect.any(String) });
    expect(answer.headers.get("Vary")).toBe("Accept");
  });

  test("for a browser that names an action, in the query or a header", async () => {
    const inQuery = await get("/?Action=ListPolarClawDevicePairs&Version=2017-08-01", BROWSER);
    const inHeader = await get("/", BROWSER, {
      "x-acs-action": "ListPolarClawDevicePairs",
      "x-acs-version": "2017-08-01",
    });
    for (const answer of [inQuery, inHeader, await get("/?Action=", BROWSER)]) {
      expect(answer.headers.get("Content-Type")).toMatch(/^application\/json/);
      expect(answer.headers.get("Vary")).toBe("Accept");
    }
    expect([inQuery.status, inHeader.status]).toEqual([400, 400]);
    expect(inQuery.body.Code).toBe(inHeader.body.Code);
  });

  test("also when it succeeds, and the answer says that it depends on Accept", async () => {
    const { key, application } = await newApplication();
    const query = `Action=ListPolarClawDevicePairs&Version=2017-08-01&ApplicationId=${application}`;
    const answer = await call("GET", `/?${query}`, { key, headers: { Accept: BROWSER } });
    expect(answer.status, answer.text).toBe(200);
    expect(answer.body.Message).toBe("successful");
    expect(answer.headers.get("Vary")).toBe("Accept");
  });

  test("for a HEAD that prefers no HTML", async () => {
    const answer = await call("HEAD", "/");
    expect(answer.status).toBe(400);
    expect(answer.headers.get("Vary")).toBe("Accept");
  });
});

test("POST / from a browser is the RPC", async () => {
  const answer = await call("POST", "/", { headers: { Accept: BROWSER } });
  expect(answer.status).toBe(400);
  expect(answer.body.Code).toBe("MissingParameter");
  expect(answer.headers.get("Vary")).toBeNull();
});
