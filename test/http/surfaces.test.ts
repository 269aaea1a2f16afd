/**
 * Each surface answers in its own format on all of its paths, also where it has no route. What is
 * the same for every route is said in that format too: a slash at the end of a path, a compressed
 * body.
 */
import { describe, expect, test } from "vitest";
import type { Surface } from "../../src/http/request-context";
import { type Answer, call, newOrganisation } from "../support/client";
import { newRelay, upgrade } from "../support/socket";
import {
  fullCredential,
  type GoodRequest,
  goodRequest,
  send,
  TESTED_OPERATIONS,
  type TestedOperation,
} from "../support/tested-operations";

/** `problem`: RFC 9457. The others are those of a vendor, by the name of the surface. */
type Format = "relay-sessions" | "source-sessions" | "device-pairs" | "problem";

/** The format of a surface's errors. */
function formatOf({ name, errors }: Surface): Format {
  return errors.mediaType === "application/problem+json" ? "problem" : (name as Format);
}

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
  switch (format) {
    case "relay-sessions":
      return expect(keys).toEqual(["message", "code"]);
    case "source-sessions":
      return expect(keys.slice(0, 2)).toEqual(["error", "message"]);
    case "device-pairs":
      return expect(keys).toEqual(["RequestId", "HostId", "Code", "Message", "Recommend"]);
    default:
      throw new Error(`say here which members an error of ${format} has`);
  }
}

const PATHS: Record<Exclude<Format, "device-pairs">, string[]> = {
  "relay-sessions": [
    "/v1/relays",
    "/v1/relays/",
    "/v1/relays:destroy",
    "/v1/relays/nowhere",
    "/v1/relays/sessions:destroy",
    "/v1/relays/sessions/0123456789ab-S/nowhere",
    "/v1/relays/join/now",
  ],
  "source-sessions": ["polls", "tasks", "results", "subscriptions"]
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
      if (format === "source-sessions") expect(answer.body.error).toBe("not-found");
    }
  });
});

test.each<[string, string, Format]>([
  ["PUT", "/v1/relays/join", "relay-sessions"],
  ["PUT", "/v1/relays/join/", "relay-sessions"],
  ["PATCH", "/users", "source-sessions"],
  ["PATCH", "/users/1/", "source-sessions"],
  ["DELETE", "/", "device-pairs"],
  ["PUT", "/api-keys/", "problem"],
  ["PATCH", "/api/v2/relay/permission/", "problem"],
  ["DELETE", "/v1/webhooks/endpoints/", "problem"],
])("the method %s that %s does not take is 405 in the format %s", async (method, path, format) => {
  const answer = await call(method, path);
  expect(answer.status).toBe(405);
  expect(answer.headers.get("Allow")).toBeTruthy();
  expectFormat(answer, format);
});

let addresses = 0;

/**
 * Makes the request of an operation with the right credential, and with what a test changes.
 */
async function sendChanged(
  at: TestedOperation,
  change: (request: GoodRequest) => { path?: string; headers?: Record<string, string> },
) {
  addresses += 1;
  const ip = `2001:db8:5::${addresses.toString(16)}`;
  const tenant = await newOrganisation();
  const request = await goodRequest(at, tenant);
  const { headers = {}, ...changed } = change(request);
  const credential = await fullCredential(at, tenant);
  const answer = await send(at, { ...request, ...changed }, credential, { ip, headers });
  return { answer, request };
}

/** The same address with a slash at the end of its path. */
function withSlash(path: string): string {
  const [bare = "", query] = path.split("?");
  return `${bare.replace(/\/$/, "")}/${query === undefined ? "" : `?${query}`}`;
}

describe.each(TESTED_OPERATIONS)("$id", (at) => {
  test("answers the same with a slash at the end of its path", async () => {
    const { answer, request } = await sendChanged(at, ({ path }) => ({ path: withSlash(path) }));
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

const withBody = TESTED_OPERATIONS.filter(({ operation }) =>
  ["POST", "PUT", "PATCH"].includes(operation.method),
);

describe.each(withBody)("$id", (at) => {
  test.each(["gzip", "br", "GZIP", "identity, gzip", "x"])(
    "refuses a body with Content-Encoding %s with 415, in its surface's format",
    async (encoding) => {
      const headers = { "Content-Encoding": encoding };
      const { answer, request } = await sendChanged(at, () => ({ headers }));
      if (request.body === undefined && answer.status === request.status) return;
      expect(answer.status, answer.text).toBe(415);
      const format = formatOf(at.surface);
      expectFormat(answer, format, "unsupported-encoding");
      if (format === "device-pairs") {
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
