/** Whatever is sent to our own surface, the fault is never ours, and a refusal is a problem. */
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { call, ORIGIN } from "../../support/client";
import {
  anyBody,
  anyQuery,
  brokenBody,
  expectOwnFormat,
  headerValue,
  rawPart,
} from "../../support/hostile";
import { anyAddress } from "../../support/sessions";

const RUNS = 150;
const key = env.DRAWBRIDGE_ROOT_TOKEN;

test.each([
  ["any body", anyBody],
  ["broken fields", brokenBody({ name: "Acme" })],
])("a new organisation with %s gets a valid answer", async (_, bodies) => {
  await fc.assert(
    fc.asyncProperty(bodies, async (body) => {
      expectOwnFormat(await call("POST", "/v1/organisations", { key, body }), "v1");
    }),
    { numRuns: RUNS },
  );
});

test("a list of organisations with any query gets a valid answer", async () => {
  await fc.assert(
    fc.asyncProperty(anyQuery("limit", "cursor"), async (query) => {
      expectOwnFormat(await call("GET", `/v1/organisations?${query}`, { key }), "v1");
    }),
    { numRuns: RUNS },
  );
});

test("deleting an organisation under any unknown id gets a valid answer", async () => {
  await fc.assert(
    fc.asyncProperty(rawPart, async (id) => {
      fc.pre(!/^[0-9]+$/.test(decodeURIComponentOr(id)));
      const answer = await call("DELETE", `/v1/organisations/${id}`, { key });
      expectOwnFormat(answer, "v1");
      expect([404, 405]).toContain(answer.status);
    }),
    { numRuns: RUNS },
  );
});

test("any path with any method gets a valid answer", async () => {
  const path = fc.array(rawPart, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  const verb = fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY");
  const root = fc.constantFrom("/", "/v1/", "/v1/ip/", "/v1/health/");
  await fc.assert(
    fc.asyncProperty(verb, root, path, async (method, start, rest) => {
      // `/` itself is device pairs', in Alibaba's format.
      fc.pre(new URL(`${ORIGIN}${start}${rest}`).pathname !== "/");
      const answer = await call(method, start + rest, { ip: anyAddress() });
      expectOwnFormat(answer, "v1");
    }),
    { numRuns: RUNS * 2 },
  );
});

test("a call with any header of any value gets a valid answer", async () => {
  const name = fc.constantFrom(
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "X-Request-Id",
    "Accept",
    "Upgrade",
  );
  const target = fc.constantFrom<[string, string]>(
    ["GET", "/v1/organisations"],
    ["POST", "/v1/organisations"],
    ["DELETE", "/v1/organisations/0"],
    ["GET", "/v1/health"],
    ["GET", "/v1/ip"],
  );
  await fc.assert(
    fc.asyncProperty(target, name, headerValue, async ([method, path], header, value) => {
      const answer = await call(method, path, {
        ip: anyAddress(),
        headers: { Authorization: `Bearer ${key}`, [header]: value },
        ...(method === "POST" ? { body: { name: "Fuzz" } } : {}),
      });
      expectOwnFormat(answer, "v1");
    }),
    { numRuns: RUNS },
  );
});

function decodeURIComponentOr(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
