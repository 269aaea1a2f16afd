/**
 * Each surface answers in its own format on all of its paths, also where it has no route. What is
 * the same for every route is said in that format too: a slash at the end of a path, a compressed
 * body.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { createApp } from "../../src/app";
import { type Answer, call, newOrganisation } from "../support/client";
import { newKey, signIn } from "../support/keys";
import { type GoodRequest, type RouteRow, routeTable } from "../support/route-table";
import { newRelay, upgrade } from "../support/socket";

type Format = "relay" | "ricloud" | "rpc" | "problem";

/** Asserts that a refusal is in this format, and names its code where the format has one. */
function expectFormat(answer: Answer, format: Format, code?: string) {
  const type = answer.headers.get("Content-Type") ?? "";
  const keys = Object.keys(answer.body ?? {});
  if (format === "problem") {
    expect(type).toBe("application/problem+json");
    expect(answer.body).toMatchObject({ status: answer.status, request_id: expect.any(String) });
    if (code) expect(answer.body.code).toBe(code);
    return;
  }
  expect(type).toMatch(/^application\/json/);
  if (format === "relay") expect(keys).toEqual(["message"]);
  if (format === "ricloud") expect(keys.slice(0, 2)).toEqual(["error", "message"]);
  if (format === "rpc")
    expect(keys).toEqual(["RequestId", "HostId", "Code", "Message", "Recommend"]);
}

const PATHS: Record<Exclude<Format, "rpc">, string[]> = {
  relay: [
    "/v1/relays",
    "/v1/relays/",
    "/v1/relays:destroy",
    "/v1/relays/nowhere",
    "/v1/relays/sessions:destroy",
    "/v1/relays/sessions/0123456789ab-S/nowhere",
    "/v1/relays/join/now",
  ],
  ricloud: ["polls", "tasks", "results", "subscriptions"]
    .flatMap((name) => [`/${name}`, `/${name}/`, `/${name}/1`, `/${name}/1/poll`])
    .concat(["/users/1/sessions", "/sessions:destroy", "/keys", "/configs", "/configs/storage"]),
  problem: [
    "/v1",
    "/v1/",
    "/nowhere",
    "/v2/relays/sessions",
    "/%00",
    "/é",
    "/v1/relays-of-mine",
    "/usersnames",
    "/sessions-of-mine",
    "/api-keys/1/tokens",
    "/api/v2/relay/nowhere",
    "/relay/nowhere",
    "/connections/definition/a/b",
  ],
};

describe("a path that does not exist", () => {
  const cases = Object.entries(PATHS).flatMap(([format, paths]) =>
    paths.map((path) => [path, format as Format] as const),
  );
  test.each(cases)("%s is 404 in the format %s, whatever the method", async (path, format) => {
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
      const answer = await call(method, path);
      expect(answer.status, method).toBe(404);
      expectFormat(answer, format, "unknown-path");
      if (format === "ricloud") expect(answer.body.error).toBe("not-found");
    }
  });
});

test.each<[string, string, Format]>([
  ["PUT", "/v1/relays/join", "relay"],
  ["PUT", "/v1/relays/join/", "relay"],
  ["PATCH", "/users", "ricloud"],
  ["PATCH", "/users/1/", "ricloud"],
  ["DELETE", "/", "rpc"],
  ["PUT", "/api-keys/", "problem"],
  ["PATCH", "/api/v2/relay/permission/", "problem"],
  ["DELETE", "/v1/webhooks/endpoints/", "problem"],
])("the method %s that %s does not take is 405 in the format %s", async (method, path, format) => {
  const answer = await call(method, path);
  expect(answer.status).toBe(405);
  expect(answer.headers.get("Allow")).toBeTruthy();
  expectFormat(answer, format);
});

const rows = [...new Set(createApp().routes)]
  .filter(({ method }) => method !== "ALL")
  .map(({ method, path }) => `${method} ${path}`)
  .flatMap((route) => {
    const row = routeTable[route];
    return row ? [{ route, method: route.split(" ")[0] ?? "", row }] : [];
  });

let addresses = 0;

/**
 * Makes the request of a row of the table with the right credential, and with what a test changes.
 */
async function send(
  { method, row }: { method: string; row: RouteRow },
  change: (request: GoodRequest) => { path?: string; headers?: Record<string, string> },
) {
  addresses += 1;
  const tenant = await newOrganisation();
  const request = await row.request(tenant);
  const { path = request.path, headers = {} } = change(request);
  const key = await credentialOf(row, tenant);
  const body = row.credential === "body" ? { ...request.body, token: key } : request.body;
  const answer = await call(method, path, {
    headers,
    ip: `2001:db8:5::${addresses.toString(16)}`,
    ...(key === null || row.credential === "body" ? {} : { key }),
    ...(body === undefined ? {} : { body }),
  });
  return { answer, request };
}

async function credentialOf(row: RouteRow, tenant: Awaited<ReturnType<typeof newOrganisation>>) {
  if (row.guard === "open") return null;
  if (row.guard === "root") return env.DRAWBRIDGE_ROOT_TOKEN;
  const { token } = await newKey(tenant, { permissions: ["*"] });
  return row.credential === "session token" ? signIn(token) : token;
}

/** The same address with a slash at the end of its path. */
function withSlash(path: string): string {
  const [bare = "", query] = path.split("?");
  return `${bare.replace(/\/$/, "")}/${query === undefined ? "" : `?${query}`}`;
}

describe.each(rows)("$route", (at) => {
  test("answers the same with a slash at the end of its path", async () => {
    const { answer, request } = await send(at, ({ path }) => ({ path: withSlash(path) }));
    expect(answer.status, answer.text).toBe(request.status);
  });
});

test("HEAD and the list of allowed methods are the same for a path with a slash at its end", async () => {
  const { key } = await newOrganisation();
  expect((await call("HEAD", "/v1/relays/sessions/", { key })).status).toBe(200);
  const refused = await call("PATCH", "/v1/relays/sessions/");
  expect(refused.headers.get("Allow")).toBe(
    (await call("PATCH", "/v1/relays/sessions")).headers.get("Allow"),
  );
});

test("a host's link with a slash at its end connects the host, and a client's connects no host", async () => {
  const relay = await newRelay(2);
  const host = await upgrade(relay, 0, { side: "server/" });
  expect(host.status).toBe(101);
  host.webSocket?.accept();
  expect((await upgrade(relay, 1, { side: "server/" })).status).toBe(403);
});

/** Which surface a path belongs to, told by the format of its refusals. */
function formatOf(path: string): Format {
  if (path.startsWith("/?") || path === "/") return "rpc";
  if (path.startsWith("/v1/relays/")) return "relay";
  return /^\/(sessions|users|sources|configs)/.test(path) ? "ricloud" : "problem";
}

const withBody = rows.filter(({ method }) => ["POST", "PUT", "PATCH"].includes(method));

describe.each(withBody)("$route", (at) => {
  test.each(["gzip", "br", "GZIP", "identity, gzip", "x"])(
    "refuses a body with Content-Encoding %s with 415, in its surface's format",
    async (encoding) => {
      const headers = { "Content-Encoding": encoding };
      const { answer, request } = await send(at, () => ({ headers }));
      if (request.body === undefined && answer.status === request.status) return;
      expect(answer.status, answer.text).toBe(415);
      expectFormat(answer, formatOf(request.path), "unsupported-encoding");
      if (formatOf(request.path) === "rpc") {
        expect(answer.body.Code).toBe("InvalidParameter");
      }
    },
  );
});

test("a body whose Content-Encoding is identity is read", async () => {
  const { key } = await newOrganisation();
  for (const encoding of ["identity", "Identity", ""]) {
    const headers = { "Content-Encoding": encoding };
    const made = await call("POST", "/v1/relays/sessions", { key, body: {}, headers });
    expect(made.status).toBe(200);
  }
});
