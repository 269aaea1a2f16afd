/**
 * Which pages of other origins may call what: those of every origin what is open to all, those of the
 * origins in CORS_ORIGINS everything, and no other page anything.
 */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import document from "../../openapi.json";
import { createApp } from "../../src/app";
import { ANSWER_HEADERS, REQUEST_HEADERS } from "../../src/http/cors";
import { HEADER_PARAMETERS } from "../../src/openapi/header-parameters";
import { OPERATIONS } from "../../src/surfaces/all";
import { call, newOrganisation, ORIGIN } from "../support/client";
import { withD1 } from "../support/d1";
import { OPEN_TO_EVERY_ORIGIN } from "../support/permissions-of-operations";
import { d1CallsOf } from "../support/rows";
import { anyAddress, create, createOnce, SESSIONS } from "../support/sessions";

/** The origin of a page that nobody has listed. */
const STRANGER = "https://stranger.example";
const LISTED = "https://game.example.com";

const app = createApp();

/** A call of a deployment whose CORS_ORIGINS are these. */
async function ask(method: string, path: string, headers: Record<string, string>, origins: string) {
  const context = createExecutionContext();
  const answer = await app.fetch(
    new Request(ORIGIN + path, { method, headers }),
    { ...env, CORS_ORIGINS: origins },
    context,
  );
  await waitOnExecutionContext(context);
  return answer;
}

function preflight(path: string, method: string, origin: string, origins: string) {
  const headers = {
    Origin: origin,
    "Access-Control-Request-Method": method,
    "Access-Control-Request-Headers": "authorization,content-type",
  };
  return ask("OPTIONS", path, headers, origins);
}

/** The names of the headers of CORS that an answer has. */
function corsHeaders(headers: Headers): string[] {
  return [...headers.keys()].filter((name) => name.startsWith("access-control-"));
}

const listOf = (headers: Headers, name: string) => headers.get(name)?.split(",") ?? [];

describe.each(OPERATIONS)("$id", (operation) => {
  const isOpen = OPEN_TO_EVERY_ORIGIN.includes(operation.id);
  const { method } = operation;
  const path = operation.path.replace(/\{\w+\}/g, "x");

  test(`answers a preflight of ${isOpen ? "any page" : "pages of listed origins only"}`, async () => {
    for (const origins of ["", LISTED]) {
      const { status, headers } = await preflight(path, method, STRANGER, origins);
      expect(status).toBe(204);
      if (isOpen) {
        expect(headers.get("Access-Control-Allow-Origin")).toBe("*");
        expect(listOf(headers, "Access-Control-Allow-Methods")).toContain(method);
        expect(headers.get("Vary") ?? "").not.toContain("Origin");
      } else {
        expect(corsHeaders(headers)).toEqual([]);
        expect(headers.get("Allow")).toContain(method);
        expect(headers.get("Vary")?.includes("Origin") ?? false).toBe(origins !== "");
      }
    }
    const { status, headers } = await preflight(
      path,
      method,
      LISTED,
      `https://a.example,${LISTED}`,
    );
    expect(status).toBe(204);
    expect(headers.get("Access-Control-Allow-Origin")).toBe(isOpen ? "*" : LISTED);
    expect(listOf(headers, "Access-Control-Allow-Methods")).toContain(method);
    expect(listOf(headers, "Access-Control-Allow-Headers")).toEqual(REQUEST_HEADERS);
    expect(headers.get("Access-Control-Max-Age")).toBe("7200");
    expect(headers.get("Access-Control-Allow-Credentials")).toBeNull();
    expect(headers.get("Vary")?.includes("Origin") ?? false).toBe(!isOpen);
  });
});

test("what is open to every origin takes no secret, and says so in the description of the API", () => {
  const declared = OPERATIONS.filter(({ origins }) => origins === "any").map(({ id }) => id);
  expect(declared.sort()).toEqual([...OPEN_TO_EVERY_ORIGIN].sort());
  const described = Object.values(document.paths)
    .flatMap((path) => Object.values(path) as { operationId: string; description?: string }[])
    .filter(({ description = "" }) => description.includes("Pages of every origin may call it."))
    .map(({ operationId }) => operationId);
  expect(described.sort()).toEqual([...OPEN_TO_EVERY_ORIGIN].sort());
});

test("pages may send every header that an operation takes", () => {
  const taken = Object.values(HEADER_PARAMETERS).map(({ name }) => name);
  expect(taken.filter((name) => !REQUEST_HEADERS.includes(name))).toEqual([]);
});

test("a preflight reads nothing from D1", async () => {
  const calls = await d1CallsOf(async () => {
    await preflight("/v1/relays/join", "POST", STRANGER, "");
    await preflight(SESSIONS, "POST", LISTED, LISTED);
    await preflight(`${SESSIONS}/0123456789ab-S`, "DELETE", STRANGER, LISTED);
  });
  expect(calls).toEqual([]);
});

describe("an answer of an open operation can be read by every page", () => {
  const from = (method: string, path: string, body?: unknown, ip = anyAddress()) =>
    call(method, path, { body, ip, headers: { Origin: STRANGER } });

  function expectReadable(headers: Headers) {
    expect(headers.get("Access-Control-Allow-Origin")).toBe("*");
    expect(listOf(headers, "Access-Control-Expose-Headers")).toEqual(ANSWER_HEADERS);
    expect(headers.get("Access-Control-Allow-Credentials")).toBeNull();
    expect(headers.get("X-Request-Id")).toBeTruthy();
  }

  test("where it succeeds", async () => {
    const { key } = await newOrganisation();
    const { join_code } = (await create(key, { join_code: true })).body;
    const joined = await from("POST", "/v1/relays/join", { join_code });
    expect(joined.status).toBe(200);
    expectReadable(joined.headers);
    const ip = await from("GET", "/v1/ip");
    expectReadable(ip.headers);
    const head = await from("HEAD", "/v1/ip");
    expectReadable(head.headers);
  });

  test("where its credential is wrong or missing, or there is no such thing", async () => {
    const path = "/v1/applications/pa-00000000000000/pairing/requests/pr-1";
    for (const [method, url, body, status] of [
      ["GET", path, undefined, 401],
      ["POST", "/v1/relays/join", { join_code: "AAAA-AAAA" }, 404],
      ["POST", "/v1/relays/join/", { join_code: "AAAA-AAAA" }, 404],
      ["POST", "/v1/relays/join", {}, 400],
      ["GET", "/v1/relays/join", undefined, 405],
    ] as const) {
      const refused = await from(method, url, body);
      expect([refused.status, method, url]).toEqual([status, method, url]);
      expectReadable(refused.headers);
    }
  });

  test("where it is over a limit, with the time to wait", async () => {
    const ip = anyAddress();
    const guess = () => from("POST", "/v1/relays/join", { join_code: "AAAA-AAAA" }, ip);
    for (let i = 0; i < 30; i++) await guess();
    const refused = await guess();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(0);
    expectReadable(refused.headers);
  });

  test("where D1 fails, and where the deployment is not configured", async () => {
    const fail = () => Promise.reject(new Error("D1_ERROR: no"));
    const broken = await withD1(fail, () =>
      from("POST", "/v1/relays/join", { join_code: "AAAA-AAAA" }),
    );
    expect(broken.status).toBe(503);
    expectReadable(broken.headers);
    const unset = await app.fetch(
      new Request(`${ORIGIN}/v1/ip`, { headers: { Origin: STRANGER } }),
      { ...env, CORS_ORIGINS: "*" },
      createExecutionContext(),
    );
    expect(unset.status).toBe(503);
    expectReadable(unset.headers);
  });
});

describe("an answer of any other operation", () => {
  const read = (origin: string, origins: string, key = "none", path = SESSIONS) =>
    ask("GET", path, { Origin: origin, Authorization: `token ${key}` }, origins);

  test("can be read by pages of a listed origin, errors too, and by no other page", async () => {
    const { key } = await newOrganisation();
    for (const [path, credential, status] of [
      [SESSIONS, key, 200],
      [SESSIONS, "nonsense", 401],
      [`${SESSIONS}/0123456789ab-S`, key, 404],
      ["/v1/nowhere", key, 404],
    ] as const) {
      const own = await read(LISTED, `${LISTED},https://b.example`, credential, path);
      expect([own.status, path]).toEqual([status, path]);
      expect(own.headers.get("Access-Control-Allow-Origin")).toBe(LISTED);
      expect(listOf(own.headers, "Access-Control-Expose-Headers")).toEqual(ANSWER_HEADERS);
      expect(own.headers.get("Access-Control-Allow-Credentials")).toBeNull();
      expect(own.headers.get("Vary")).toContain("Origin");

      const foreign = await read(STRANGER, LISTED, credential, path);
      expect([foreign.status, corsHeaders(foreign.headers)]).toEqual([status, []]);
      expect(foreign.headers.get("Vary")).toContain("Origin");
    }
  });

  test.each([
    "https://game.example.com.evil.example",
    "https://xgame.example.com",
    "http://game.example.com",
    "https://game.example.com:8443",
    "null",
  ])("cannot be read from %s, which only looks like the listed origin", async (origin) => {
    expect(corsHeaders((await read(origin, LISTED)).headers)).toEqual([]);
  });

  test("does not depend on the origin where none is listed", async () => {
    const { headers } = await read(STRANGER, "");
    expect(corsHeaders(headers)).toEqual([]);
    expect(headers.get("Vary")).toBeNull();
  });

  test("says nothing of CORS to a program, which sends no origin", async () => {
    const { headers } = await ask("GET", SESSIONS, {}, LISTED);
    expect(corsHeaders(headers)).toEqual([]);
    expect(headers.get("Vary")).toBe("Origin");
  });
});

test("an answer that is kept for an Idempotency-Key is given to each page with its own headers", async () => {
  const { key } = await newOrganisation();
  const both = `${LISTED},https://b.example`;
  const again = async (origin: string) => {
    const context = createExecutionContext();
    const answer = await app.fetch(
      new Request(ORIGIN + SESSIONS, {
        method: "POST",
        headers: { Origin: origin, Authorization: `token ${key}`, "Idempotency-Key": "one" },
        body: "{}",
      }),
      { ...env, CORS_ORIGINS: both },
      context,
    );
    await waitOnExecutionContext(context);
    return answer.headers;
  };
  expect((await again(LISTED)).get("Access-Control-Allow-Origin")).toBe(LISTED);
  const second = await again("https://b.example");
  expect(second.get("Idempotent-Replayed")).toBe("true");
  expect(second.get("Access-Control-Allow-Origin")).toBe("https://b.example");
  // Nothing of it is kept: a caller without a listed origin gets none of it.
  const third = await createOnce(key, "one");
  expect(third.headers.get("Idempotent-Replayed")).toBe("true");
  expect(corsHeaders(third.headers)).toEqual([]);
});

describe("an OPTIONS that is no preflight", () => {
  test.each([
    ["without an origin", {}],
    ["without a method", { Origin: STRANGER }],
  ])("%s is answered with the methods of the path, open or not", async (_, headers) => {
    for (const path of ["/v1/relays/join", SESSIONS]) {
      const answer = await ask("OPTIONS", path, headers, "");
      expect([answer.status, answer.headers.get("Allow")]).toEqual([
        204,
        expect.stringContaining("POST"),
      ]);
      expect(corsHeaders(answer.headers)).toEqual([]);
    }
    expect((await ask("OPTIONS", "/v1/nowhere", headers, "")).status).toBe(404);
  });
});

test.each(["POST\u00e9", "*", "x".repeat(4_000)])(
  "a preflight for the method %j does no harm",
  async (method) => {
    for (const path of ["/v1/relays/join", SESSIONS]) {
      for (const origin of [STRANGER, LISTED]) {
        const { status } = await preflight(path, method, origin, LISTED);
        expect(status).toBe(204);
      }
    }
  },
);
