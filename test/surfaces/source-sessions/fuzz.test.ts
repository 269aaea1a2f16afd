/**
 * Whatever is sent to source sessions, no answer is a fault of ours, and ricloud's client can read
 * every refusal.
 */
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { type Answer, call } from "../../support/client";
import {
  anyBody,
  anyQuery,
  brokenBody,
  expectOwnFormat,
  headerValue,
  newFuzz,
  rawPart,
} from "../../support/fuzz";
import { anyAddress } from "../../support/sessions";
import { type Broker, GOOD, newActive, newBroker } from "../../support/source-sessions";

const RUNS = 80;
/** For the paths in ricloud's format. */
const fuzz = newFuzz({ runs: RUNS, judge: expectReadable });
/** For the paths of `/v1`. */
const fuzzV1 = newFuzz({ runs: RUNS, judge: (answer) => expectOwnFormat(answer, "v1") });

let broker: Broker;
let active: string;

beforeAll(async () => {
  broker = await newBroker();
  active = await newActive(broker);
});

/**
 * The client reads `error`, `message` and `params` of a refusal, and `resource` of everything else.
 */
function expectReadable({ status, headers, body, text }: Answer): void {
  const what = `${status} ${text.slice(0, 300)}`;
  expect(status, what).toBeLessThan(500);
  expect(headers.get("X-Request-Id"), what).toBeTruthy();
  // Only OPTIONS answers without a body on this surface.
  if (status === 204) {
    expect([text, headers.get("Allow")], what).toEqual(["", expect.stringContaining("OPTIONS")]);
    return;
  }
  if (status < 400) {
    expect(body.resource, what).toEqual(expect.any(String));
    return;
  }
  const { error, message, params = {}, ...more } = body;
  expect(error, what).toMatch(/^[a-z]+(-[a-z]+)*$/);
  expect(message, what).toEqual(expect.any(String));
  expect(Object.values(params).every((value) => typeof value === "string")).toBe(true);
  expect(more, what).toEqual({});
  expect(text).not.toContain("\n    at ");
}

const source = { user: 1, type: "mocks.mock", identifier: "jo" };
const nested = brokenBody(source).map(
  (text) => `{"source":${text},"payload":{"password":"abcd1234"}}`,
);

test.each([
  ["POST", "/sessions", anyBody],
  ["POST", "/sessions", nested],
  ["POST", "/sessions", brokenBody({ source, payload: GOOD })],
  ["POST", "/users", fc.oneof(anyBody, brokenBody({ identifier: "ann" }))],
  ["POST", "/users/1", fc.oneof(anyBody, brokenBody({ identifier: "user-1" }))],
  ["POST", "/sources", fc.oneof(anyBody, brokenBody(source))],
  ["POST", "/sources/1", fc.oneof(anyBody, brokenBody({ state: "active" }))],
  ["POST", "/configs/webhook", fc.oneof(anyBody, brokenBody({ url: "https://10.0.0.1/" }))],
])("%s %s gets a valid answer with any body", async (method, path, bodies) => {
  await fuzz(bodies, (body) => call(method, path, { key: broker.key, body }));
});

test.each([
  ["/sessions", ["key", "user", "source", "state", "date_created", "date_expired[gt]"]],
  ["/users", ["identifier"]],
  ["/sources", ["user", "identifier", "type", "state"]],
  ["/events", ["type", "action", "state", "date_created[lte]"]],
  ["/configs/webhook", []],
])("GET %s gets a valid answer with any query", async (path, names) => {
  const query = anyQuery("limit", "after_id", "before_id", ...names);
  await fuzz(query, (text) => call("GET", `${path}?${text}`, { key: broker.key }));
});

test.each([
  "0001-01-01T00:00:00Z",
  "9999-12-31T23:59:59Z",
  "1969-12-31T23:59:59-23:59",
  "2018-08-22T10:25:05",
  "2018-08-22T10:25:05.123456789Z",
])("a date at the ends of time gets a valid answer in lists: %s", async (date) => {
  for (const list of ["sessions?date_created", "sessions?date_expired", "events?date_created"]) {
    for (const bound of ["", "[gt]", "[gte]", "[lt]", "[lte]"]) {
      const answer = await call("GET", `/${list}${bound}=${encodeURIComponent(date)}`, {
        key: broker.key,
      });
      expectReadable(answer);
      expect(answer.status).toBe(200);
    }
  }
});

test("any path of source sessions with any method gets a valid answer", async () => {
  const verb = fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS");
  const root = fc.constantFrom("/sessions/", "/users/", "/sources/", "/events/", "/keys/");
  await fuzz(fc.tuple(verb, root, rawPart, rawPart), async ([method, start, part, more]) => {
    const path = `${start}${part}${more === "" ? "" : `/${more}`}`;
    // Dots may lead out of this surface.
    fc.pre(new URL(path, "http://x").pathname.startsWith(start));
    return call(method, path, { key: broker.key });
  });
});

test("a create of a source session with any header of any value gets a valid answer", async () => {
  const name = fc.constantFrom("Ricloud-Await", "Content-Type", "Idempotency-Key", "Authorization");
  await fuzz(fc.tuple(name, headerValue), ([header, value]) =>
    call("POST", "/sessions", {
      ip: anyAddress(),
      headers: { Authorization: `Token ${broker.key}`, [header]: value },
      body: { source: { ...source, identifier: "jo+lost" }, payload: {} },
    }),
  );
});

test.each([
  ["PUT", "/v1/connectors/a.b", brokenBody({ url: "https://example.com/", timeout_seconds: 5 })],
  ["PUT", "/v1/connectors/a.b", anyBody],
  ["POST", "/v1/sessions/:id:use", anyBody],
])(
  "%s %s gets a valid answer with any body, and a problem where it is refused",
  async (method, path, of) => {
    await fuzzV1(of, (body) =>
      call(method, path.replace(":id", active), { key: broker.key, body }),
    );
  },
);

test("no session is ended by any signature under any body", async () => {
  const when = fc.oneof(headerValue, fc.constant("now"));
  await fuzzV1(
    fc.tuple(anyBody, headerValue, when, headerValue),
    ([body, id, at, signature]) => {
      const now = String(Math.floor(Date.now() / 1_000));
      return call("POST", `/v1/sessions/${active}:expire`, {
        ip: anyAddress(),
        headers: {
          "webhook-id": id,
          "webhook-timestamp": at === "now" ? now : at,
          "webhook-signature": `v1,${signature}`,
        },
        body,
      });
    },
    { check: ({ status }) => expect(status).toBe(401) },
  );
});
