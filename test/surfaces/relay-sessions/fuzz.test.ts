/**
 * Whatever is sent to relay sessions, no answer is a fault of ours, and every refusal is a message with a code.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { call, newOrganisation } from "../../support/client";
import {
  anyBody,
  anyMethod,
  anyPath,
  anyQuery,
  brokenBody,
  expectOwnFormat,
  headerValue,
  newFuzz,
} from "../../support/fuzz";
import { anyAddress, create, read, SESSIONS } from "../../support/sessions";

const fuzz = newFuzz({ runs: 80, judge: (answer) => expectOwnFormat(answer, "relay") });

let key: string;
let id: string;

beforeAll(async () => {
  ({ key } = await newOrganisation());
  id = (await create(key, { users: [{ ip: "1.1.1.1" }], max_users: 64 })).body.session_id;
});

/** Sends each generated body to this path; at the end the surface must still work. */
async function fuzzBodies(path: string, bodies: fc.Arbitrary<string>): Promise<void> {
  await fuzz(bodies, (body) => call("POST", path, { key, body, ip: anyAddress() }));
  expect((await call("GET", SESSIONS, { key })).status).toBe(200);
}

describe("a create", () => {
  const valid = {
    users: [{ ip: "1.1.1.1", connection_id: "a", device_id: "b" }],
    filters: [{ field: "a", values: ["b"], filter_type: "any" }],
    webhook_url: "",
    ttl_seconds: 60,
    idle_seconds: 60,
    max_users: 4,
    metadata: { mode: "duel" },
    region: "weur",
    join_code: true,
  };

  test("with any body gets a valid answer", () => fuzzBodies(SESSIONS, anyBody));
  test("with broken fields gets a valid answer", () => fuzzBodies(SESSIONS, brokenBody(valid)));

  test("with broken users gets a valid answer", () => {
    const user = brokenBody({ ip: "1.1.1.1", connection_id: "a", device_id: "b" });
    return fuzzBodies(
      SESSIONS,
      fc.array(user, { maxLength: 4 }).map((users) => `{"users":[${users.join()}]}`),
    );
  });

  test("with broken filters gets a valid answer", () => {
    const filter = brokenBody({ field: "a", values: [], filter_type: "any" });
    return fuzzBodies(
      SESSIONS,
      fc.array(filter, { maxLength: 4 }).map((filters) => `{"filters":[${filters.join()}]}`),
    );
  });

  test("with any text for metadata keeps it in its own form, or refuses it", async () => {
    const text = fc.string({ unit: "binary", maxLength: 70 });
    const metadatas = fc.dictionary(text, text, { maxKeys: 4 });
    await fuzz(metadatas, (metadata) => create(key, { metadata }), {
      check: async (made) => {
        if (made.status !== 200) return;
        const kept: Record<string, string> = made.body.metadata;
        for (const part of Object.entries(kept).flat()) {
          expect(part).toBe(part.normalize("NFC"));
          expect(part).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
        }
        expect((await read(key, made.body.session_id)).body.metadata).toEqual(kept);
      },
    });
  });
});

describe("the calls on users", () => {
  test("with any body get a valid answer", async () => {
    for (const verb of ["authorize-user", "revoke-user"]) {
      await fuzzBodies(`${SESSIONS}:${verb}`, anyBody);
    }
  });

  test("with broken fields get a valid answer", async () => {
    const connection = { connection_id: "a", device_id: "b" };
    const authorization = { session_id: id, user_ip: "1.1.1.1", ...connection };
    await fuzzBodies(`${SESSIONS}:authorize-user`, brokenBody(authorization));
    const revocation = { session_id: id, authorization_token: 7 };
    await fuzzBodies(`${SESSIONS}:revoke-user`, brokenBody(revocation));
    expect((await read(key, id)).status).toBe(200);
  });
});

describe("a join", () => {
  test("with any body gets a valid answer", () => fuzzBodies("/v1/relays/join", anyBody));
  test("with a broken code gets a valid answer", () =>
    fuzzBodies("/v1/relays/join", brokenBody({ join_code: "3333-3333" })));
});

test("a list of relay sessions with any query gets a valid answer", async () => {
  await fuzz(anyQuery("page", "limit"), (query) => call("GET", `${SESSIONS}?${query}`, { key }));
});

test("any path below relay sessions with any method gets a valid answer", async () => {
  const root = fc.constantFrom(`${SESSIONS}/`, `${SESSIONS}:`, "/v1/relays/x");
  await fc.assert(
    fc.asyncProperty(anyMethod, root, anyPath({ maxLength: 3 }), async (method, start, rest) => {
      const answer = await call(method, start + rest, { key });
      const { pathname } = new URL(`http://localhost${start}${rest}`);
      // With nothing but a slash at its end, this path is the list.
      if (method === "GET" && pathname === `${SESSIONS}/`) return;
      // Dots may lead the path out of this surface.
      const isOurs = pathname.startsWith("/v1/relays/");
      expectOwnFormat(answer, isOurs ? "relay" : "v1");
      expect(answer.status).not.toBe(200);
    }),
    { numRuns: 160 },
  );
  expect((await read(key, id)).status).toBe(200);
});

test("a call on relay sessions with any header of any value gets a valid answer", async () => {
  const name = fc.constantFrom(
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "X-Request-Id",
    "Accept",
    "Upgrade",
    "Range",
    "If-None-Match",
    "Content-Encoding",
    "X-Forwarded-For",
    "Cookie",
    "Origin",
  );
  const target = fc.constantFrom<[string, string]>(
    ["GET", SESSIONS],
    ["POST", SESSIONS],
    ["POST", `${SESSIONS}:authorize-user`],
    ["GET", `${SESSIONS}/0123456789ab-S`],
    ["GET", `${SESSIONS}/0123456789ab-S/server`],
    ["DELETE", `${SESSIONS}/0123456789ab-S`],
  );
  await fuzz(
    fc.tuple(target, name, headerValue),
    ([[method, path], header, value]) =>
      call(method, path, {
        ip: anyAddress(),
        headers: { Authorization: `token ${key}`, [header]: value },
        ...(method === "POST" ? { body: { max_users: 2 } } : {}),
      }),
    {
      times: 2,
      check: ({ status }, [, header]) => {
        if (header === "Authorization") expect([401, 403, 426]).toContain(status);
      },
    },
  );
});

test("a call on relay sessions from any address gets a valid answer", async () => {
  await fuzz(headerValue, (ip) => call("GET", SESSIONS, { key, ip }));
});
