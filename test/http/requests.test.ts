/** What every request goes through on any route: its body, its id, its path and its method. */
import { createExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { createApp } from "../../src/app";
import { call, newOrganisation, ORIGIN } from "../support/client";
import { create, list, SESSIONS } from "../support/sessions";

const LARGEST = 65_536;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Sends these bytes unchanged, and without a Content-Type unless one is named. */
async function send(path: string, key: string, body: BodyInit, contentType?: string) {
  const headers = new Headers({ Authorization: `token ${key}` });
  if (contentType !== undefined) headers.set("Content-Type", contentType);
  const request = new Request(ORIGIN + path, { method: "POST", headers, body });
  const answer = await exports.default.fetch(request);
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

const bytes = (text: string) => new TextEncoder().encode(text);

/** JSON of exactly so many bytes. */
function bodyOf(size: number, character = "x"): string {
  const frame = '{"pad":""}';
  const wide = bytes(character).length;
  const room = size - frame.length;
  return `{"pad":"${character.repeat(Math.floor(room / wide))}${"y".repeat(room % wide)}"}`;
}

/** The same bytes in small pieces, without a Content-Length. */
function streamed(text: string): ReadableStream<Uint8Array> {
  let rest = bytes(text);
  return new ReadableStream({
    pull(controller) {
      if (rest.length === 0) return controller.close();
      controller.enqueue(rest.slice(0, 5_000));
      rest = rest.slice(5_000);
    },
  });
}

describe("a body of 64 KB", () => {
  test.each<[string, (size: number) => BodyInit]>([
    ["in ASCII", (size) => bodyOf(size)],
    ["in characters of four bytes", (size) => bodyOf(size, "😀")],
    ["with no length declared", (size) => streamed(bodyOf(size))],
  ])("is read %s, and one with a byte more is not", async (_, make) => {
    const { key } = await newOrganisation();
    expect((await send(SESSIONS, key, make(LARGEST))).status).toBe(200);
    const refused = await send(SESSIONS, key, make(LARGEST + 1));
    expect(refused.status).toBe(413);
    expect(Object.keys(refused.body)).toEqual(["message", "code"]);
    expect((await list(key)).body.total_count).toBe(1);
  });

  test.each(["text/plain", "application/json"])(
    "is not exceeded where the length that is declared is too small, as %s",
    async (type) => {
      const { key } = await newOrganisation();
      const app = createApp();
      const ask = async (body: string, length: string) => {
        const headers = {
          Authorization: `token ${key}`,
          "Content-Length": length,
          "Content-Type": type,
        };
        const request = new Request(ORIGIN + SESSIONS, { method: "POST", headers, body });
        expect(request.headers.get("Content-Length")).toBe(length);
        return (await app.fetch(request, env, createExecutionContext())).status;
      };
      expect(await ask(bodyOf(LARGEST + 1), "2")).toBe(413);
      expect(await ask(bodyOf(LARGEST + 1, "😀"), "2")).toBe(413);
      expect(await ask(bodyOf(LARGEST + 1), "")).toBe(413);
      expect(await ask(bodyOf(LARGEST), "2")).toBe(200);
      expect(await ask("{}", String(LARGEST + 1))).toBe(413);
      expect(await ask("{}", "two")).toBe(200);
    },
  );

  test("is also the longest on our own surface, which refuses more in its own format", async () => {
    const refused = await send("/v1/organisations", env.DRAWBRIDGE_ROOT_TOKEN, bodyOf(LARGEST + 1));
    expect(refused.status).toBe(413);
    expect(refused.body).toMatchObject({ status: 413, code: "body-too-large" });
  });
});

describe("a body is read as JSON whatever its Content-Type says", () => {
  test.each([undefined, "application/json", "text/plain", "application/octet-stream", "no/such"])(
    "%s",
    async (contentType) => {
      const { key } = await newOrganisation();
      const body = bytes('{"users":[{"ip":"1.1.1.1"}]}');
      const { status, body: session } = await send(SESSIONS, key, body, contentType);
      expect(status).toBe(200);
      expect(session.session_users).toHaveLength(1);
    },
  );
});

describe("a body that is not a JSON object is refused in the surface's own format", () => {
  test.each<[string, BodyInit]>([
    ["nothing", ""],
    ["spaces", "  "],
    ["text", "users"],
    ["an array", "[]"],
    ["an array of objects", '[{"users":[]}]'],
    ["null", "null"],
    ["a number", "1"],
    ["a string", '"{}"'],
    ["true", "true"],
    ["JSON that was cut", '{"users":['],
    ["JSON with a comma too many", '{"users":[],}'],
    ["JSON with single quotes", "{'users':[]}"],
    ["two objects", "{}{}"],
    ["a form", "users=1"],
    ["bytes that are no UTF-8", new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
    ["an overlong encoding", new Uint8Array([0x7b, 0xc0, 0xaf, 0x7d])],
    ["half a surrogate pair in UTF-8", new Uint8Array([0x7b, 0xed, 0xa0, 0x80, 0x7d])],
    ["UTF-16", new Uint8Array([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00])],
  ])("%s", async (_, body) => {
    const { key } = await newOrganisation();
    const ours = await send("/v1/organisations", env.DRAWBRIDGE_ROOT_TOKEN, body);
    expect(ours.status).toBe(400);
    expect(ours.body).toMatchObject({ status: 400, code: "invalid-body" });
    for (const path of [SESSIONS, `${SESSIONS}:authorize-user`, `${SESSIONS}:revoke-user`]) {
      const theirs = await send(path, key, body);
      expect(theirs.status).toBe(400);
      expect(Object.keys(theirs.body)).toEqual(["message", "code"]);
    }
    expect((await list(key)).body.total_count).toBe(0);
  });
});

test("a body that is cut within a character, or has a byte order mark, leaves nothing to the next one", async () => {
  const { key } = await newOrganisation();
  const marked = new Uint8Array([0xef, 0xbb, 0xbf, ...bytes('{"max_users":3}')]);
  for (let i = 0; i < 3; i++) {
    for (const cut of [[0x7b, 0xe2, 0x82], [0xe2], [0xf0, 0x9f, 0x98], [0xef, 0xbb]]) {
      expect((await send(SESSIONS, key, new Uint8Array(cut))).status).toBe(400);
      expect((await send(SESSIONS, key, marked)).body.max_users).toBe(3);
      const plain = await send(SESSIONS, key, '{"max_users":4,"metadata":{"name":"€"}}');
      expect(plain.body).toMatchObject({ max_users: 4, metadata: { name: "€" } });
    }
  }
});

test("a body with a byte order mark is read", async () => {
  const { key } = await newOrganisation();
  const body = new Uint8Array([0xef, 0xbb, 0xbf, ...bytes('{"max_users":2}')]);
  expect((await send(SESSIONS, key, body)).body.max_users).toBe(2);
});

describe("the id of a request", () => {
  test.each(["a", "req-1", "A.b_C-9", "0".repeat(128), crypto.randomUUID()])(
    "is taken from the request as it is: %s",
    async (id) => {
      const { headers } = await call("GET", "/v1/ip", { headers: { "X-Request-Id": id } });
      expect(headers.get("X-Request-Id")).toBe(id);
    },
  );

  test.each(["", "a b", "0".repeat(129), "a/b", '"a"', "é", "a;b"])(
    "is a new one where the request gives one of another form: %s",
    async (id) => {
      const { headers } = await call("GET", "/v1/ip", { headers: { "X-Request-Id": id } });
      expect(headers.get("X-Request-Id")).toMatch(UUID);
    },
  );

  test("is on every answer, and new for each request", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key)).body;
    const answers = [
      await call("GET", "/v1/health"),
      await call("GET", "/nowhere"),
      await call("PATCH", SESSIONS),
      await call("GET", SESSIONS),
      await call("POST", SESSIONS, { key, body: "[" }),
      await call("HEAD", SESSIONS, { key }),
      await call("GET", `${SESSIONS}/${id}/server`),
      await call("DELETE", `${SESSIONS}/${id}`, { key }),
    ];
    const ids = answers.map(({ headers }) => headers.get("X-Request-Id"));
    for (const one of ids) expect(one).toMatch(UUID);
    expect(new Set(ids).size).toBe(answers.length);
  });

  test("is in a problem of our own surface", async () => {
    const { body, headers } = await call("GET", "/nowhere");
    expect(body.request_id).toBe(headers.get("X-Request-Id"));
  });
});

describe("a method that a path does not take is refused, and the answer names those that it takes", () => {
  const ID = "0123456789ab-S";

  test.each([
    [SESSIONS, ["GET", "HEAD", "POST"], ["PUT", "PATCH", "DELETE"]],
    [`${SESSIONS}/${ID}`, ["DELETE", "GET", "HEAD"], ["PUT", "PATCH", "POST"]],
    [`${SESSIONS}:authorize-user`, ["POST"], ["GET", "PUT", "DELETE", "HEAD"]],
    [`${SESSIONS}:revoke-user`, ["POST"], ["GET", "PUT", "DELETE"]],
    ["/v1/relays/join", ["POST"], ["GET", "PUT", "DELETE"]],
    ["/v1/organisations", ["GET", "HEAD", "POST"], ["PUT", "PATCH", "DELETE"]],
    ["/v1/organisations/1", ["PATCH", "DELETE"], ["GET", "PUT", "POST"]],
    ["/v1/health", ["GET", "HEAD"], ["POST", "DELETE"]],
    ["/v1/ip", ["GET", "HEAD"], ["POST", "PUT"]],
  ])("%s", async (path, allowed, refused) => {
    for (const method of refused) {
      const { status, headers, body } = await call(method, path);
      expect(status).toBe(405);
      expect(headers.get("Allow")?.split(", ").sort()).toEqual([...allowed, "OPTIONS"].sort());
      if (method === "HEAD") continue;
      if (path.startsWith("/v1/relays/")) expect(Object.keys(body)).toEqual(["message", "code"]);
      else expect(body).toMatchObject({ status: 405, code: "method-not-allowed" });
    }
  });
});

test("OPTIONS answers with the methods that a path takes, and with 404 where there is nothing", async () => {
  const answer = await call("OPTIONS", SESSIONS);
  expect([answer.status, answer.text]).toEqual([204, ""]);
  expect(answer.headers.get("Allow")?.split(", ").sort()).toEqual([
    "GET",
    "HEAD",
    "OPTIONS",
    "POST",
  ]);
  expect((await call("OPTIONS", `${SESSIONS}/a/b`)).status).toBe(404);
});

test("HEAD answers as GET does, without a body", async () => {
  const { key } = await newOrganisation();
  const { session_id: id } = (await create(key)).body;
  for (const [path, status] of [
    [SESSIONS, 200],
    [`${SESSIONS}/${id}`, 200],
    [`${SESSIONS}/0123456789ab-S`, 404],
  ] as const) {
    const head = await call("HEAD", path, { key });
    expect(head.status).toBe(status);
    expect(head.text).toBe("");
  }
});
