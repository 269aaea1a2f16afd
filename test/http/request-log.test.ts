/**
 * Which requests have a line in the log where LOG_REQUESTS is `some`, which is the default: each one that fails
 * or is slow, refusals of credentials up to a bound, and a sample of all others. (The other tests run with
 * `all`.)
 */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createApp } from "../../src/app";
import { LOGGED_REFUSALS, SAMPLE, SLOW_MS } from "../../src/http/request-log";
import { newToken } from "../../src/keys/key-token";
import { newOrganisation, ORIGIN } from "../support/client";
import { d1Lost, withD1 } from "../support/d1";
import { anyAddress, SESSIONS } from "../support/sessions";

const app = createApp();
let lines: Record<string, unknown>[] = [];
/** A minute of its own for each test: what the others were refused does not count in it. */
let now = Date.now();

beforeEach(() => {
  now += 600_000;
  vi.useFakeTimers({ toFake: ["Date"], now });
  vi.spyOn(console, "log").mockImplementation((line) => void lines.push(JSON.parse(line)));
  // Nothing is in the sample, unless a test says so.
  draws(0.999);
  lines = [];
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Makes every draw of the sample come out so: from 0 to 1. */
function draws(value: number): void {
  vi.spyOn(Math, "random").mockReturnValue(value);
}

async function ask(
  method: string,
  path: string,
  {
    key,
    vars,
    body,
    headers: more = {},
  }: {
    key?: string;
    vars?: Record<string, unknown>;
    body?: string;
    headers?: Record<string, string>;
  } = {},
) {
  const headers = new Headers({ "CF-Connecting-IP": anyAddress(), ...more });
  if (key !== undefined) headers.set("Authorization", `token ${key}`);
  const answer = await app.fetch(
    new Request(ORIGIN + path, { method, headers, body: body ?? null }),
    { ...env, LOG_REQUESTS: "some", ...vars },
    createExecutionContext(),
  );
  await answer.text();
  return { status: answer.status, id: answer.headers.get("X-Request-Id") };
}

const requestLines = () => lines.filter(({ message }) => message === "request");

describe("a request that succeeds", () => {
  test("has no line, and an id all the same", async () => {
    const { key } = await newOrganisation();
    lines = [];
    for (const [method, path, body] of [
      ["GET", "/v1/ip"],
      ["GET", SESSIONS],
      ["POST", SESSIONS, "{}"],
    ] as const) {
      const { status, id } = await ask(method, path, { key, ...(body ? { body } : {}) });
      expect([status, id]).toEqual([200, expect.stringMatching(/^[0-9a-f-]{36}$/)]);
    }
    expect(lines).toEqual([]);
  });

  test("has one if it is drawn, which says for how many requests it stands", async () => {
    draws(1 / SAMPLE - 0.001);
    const { id } = await ask("GET", "/v1/ip");
    expect(requestLines()).toEqual([
      {
        message: "request",
        request_id: id,
        organisation: null,
        surface: "v1",
        method: "GET",
        route: "/v1/ip",
        status: 200,
        duration_ms: 0,
        sample: SAMPLE,
      },
    ]);
    draws(1 / SAMPLE);
    await ask("GET", "/v1/ip");
    expect(requestLines()).toHaveLength(1);
  });

  test.each([
    [SLOW_MS, 1],
    [SLOW_MS - 1, 0],
  ])("and takes %i ms has so many lines: %i", async (milliseconds, count) => {
    const { key } = await newOrganisation();
    lines = [];
    const slowly = async () => {
      vi.setSystemTime(now + milliseconds);
    };
    const { id } = await withD1(slowly, () => ask("GET", SESSIONS, { key }));
    const expected = { request_id: id, status: 200, duration_ms: milliseconds, sample: 1 };
    expect(requestLines()).toEqual(Array(count).fill(expect.objectContaining(expected)));
  });

  test("has none if it is a preflight, which is answered without the settings", async () => {
    const headers = { Origin: "https://a.example", "Access-Control-Request-Method": "GET" };
    expect((await ask("OPTIONS", "/v1/ip", { headers })).status).toBe(204);
    expect(lines).toEqual([]);
    await ask("OPTIONS", "/v1/ip", { headers, vars: { LOG_REQUESTS: "all" } });
    await ask("OPTIONS", "/v1/ip", { headers, vars: { RETENTION_DAYS: "soon" } });
    expect(requestLines().map(({ status, sample }) => [status, sample])).toEqual([
      [204, 1],
      [204, 1],
    ]);
  });

  test("has one where LOG_REQUESTS is all", async () => {
    for (let i = 0; i < 3; i++) await ask("GET", "/v1/ip", { vars: { LOG_REQUESTS: "all" } });
    expect(requestLines().map(({ sample }) => sample)).toEqual([1, 1, 1]);
  });

  test("has none where LOG_REQUESTS is not set", async () => {
    await ask("GET", "/v1/ip", { vars: { LOG_REQUESTS: undefined } });
    expect(lines).toEqual([]);
  });
});

describe("a request that fails on our side has a line with its id, whatever the sample:", () => {
  const expectLine = (status: number, id: string | null) =>
    expect(requestLines()).toEqual([
      expect.objectContaining({ request_id: id, status, sample: 1, duration_ms: 0 }),
    ]);

  test("D1 is not reached", async () => {
    const { status, id } = await withD1(d1Lost, () => ask("GET", SESSIONS, { key: newToken() }));
    expect(status).toBe(503);
    expectLine(503, id);
    expect(lines).toContainEqual(
      expect.objectContaining({ message: "request failed", request_id: id }),
    );
  });

  test("the code has a fault", async () => {
    const fault = () => Promise.reject(new Error("a fault"));
    const { key } = await newOrganisation();
    await ask("GET", SESSIONS, { key });
    lines = [];
    // The key is known to this isolate: what fails is the list.
    vi.spyOn(env.KEY_LIMIT, "limit").mockImplementation(fault);
    const { status, id } = await ask("GET", SESSIONS, { key });
    expect(status).toBe(500);
    expectLine(500, id);
    expect(lines).toContainEqual(
      expect.objectContaining({
        message: "request failed",
        request_id: id,
        error: expect.stringContaining("a fault"),
      }),
    );
  });

  test.each([{ RETENTION_DAYS: "soon" }, { LOG_REQUESTS: "none" }])(
    "the settings are wrong: %j",
    async (vars) => {
      const { status, id } = await ask("GET", "/v1/ip", { vars });
      expect(status).toBe(503);
      expectLine(503, id);
    },
  );
});

describe("a request that is refused", () => {
  test("for what it asks has no line: its answer says what is wrong", async () => {
    const { key } = await newOrganisation();
    lines = [];
    const asked = [
      await ask("POST", SESSIONS, { key, body: "[" }),
      await ask("GET", `${SESSIONS}/0123456789ab-S`, { key }),
      await ask("GET", "/nowhere"),
      await ask("PUT", SESSIONS, { key }),
      await ask("POST", SESSIONS, { key, body: "x".repeat(65_537) }),
    ];
    expect(asked.map(({ status }) => status)).toEqual([400, 404, 404, 405, 413]);
    expect(asked.every(({ id }) => id !== null)).toBe(true);
    expect(lines).toEqual([]);
  });

  test("for its credential has a line, up to a number in a minute, and then only if it is drawn", async () => {
    const refuse = () => ask("GET", SESSIONS, { key: "nonsense" });
    const first = await refuse();
    expect(first.status).toBe(401);
    expect(requestLines()).toEqual([
      expect.objectContaining({ request_id: first.id, status: 401, sample: 1 }),
    ]);
    // A well-formed key that nobody has is 403 on this surface.
    expect((await ask("GET", SESSIONS, { key: newToken() })).status).toBe(403);
    expect(requestLines().at(-1)).toMatchObject({ status: 403, sample: 1 });
    for (let i = 2; i < LOGGED_REFUSALS + 20; i++) await refuse();
    expect(requestLines()).toHaveLength(LOGGED_REFUSALS);

    draws(0);
    await refuse();
    expect(requestLines().at(-1)).toMatchObject({ status: 401, sample: SAMPLE });
    draws(0.999);

    vi.setSystemTime(now + 60_000);
    await refuse();
    expect(requestLines()).toHaveLength(LOGGED_REFUSALS + 2);
    expect(requestLines().at(-1)).toMatchObject({ status: 401, sample: 1 });
  });

  test("for a limit has a line", async () => {
    const { key } = await newOrganisation();
    lines = [];
    vi.spyOn(env.KEY_LIMIT, "limit").mockResolvedValue({ success: false });
    const { status, id } = await ask("GET", SESSIONS, { key });
    expect(status).toBe(429);
    expect(requestLines()).toEqual([
      expect.objectContaining({ request_id: id, status: 429, sample: 1 }),
    ]);
  });
});
