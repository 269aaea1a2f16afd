/**
 * Whatever is sent to our own surface, no answer is a fault of ours, and every refusal is a
 * problem.
 */
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { surfaceAt } from "../../../src/app";
import { call, ORIGIN } from "../../support/client";
import {
  anyBody,
  anyMethod,
  anyPath,
  anyQuery,
  brokenBody,
  expectOwnFormat,
  headerValue,
  newFuzz,
  rawPart,
} from "../../support/fuzz";
import { anyAddress } from "../../support/sessions";

const fuzz = newFuzz({ runs: 150, judge: (answer) => expectOwnFormat(answer, "v1") });
const key = env.DRAWBRIDGE_ROOT_TOKEN;

test.each([
  ["any body", anyBody],
  ["broken fields", brokenBody({ name: "Acme" })],
])("a new organisation with %s gets a valid answer", async (_, bodies) => {
  await fuzz(bodies, (body) => call("POST", "/v1/organisations", { key, body }));
});

test("a list of organisations with any query gets a valid answer", async () => {
  await fuzz(anyQuery("limit", "cursor"), (query) =>
    call("GET", `/v1/organisations?${query}`, { key }),
  );
});

test("deleting an organisation under any unknown id gets a valid answer", async () => {
  await fuzz(
    rawPart,
    async (id) => {
      fc.pre(!/^[0-9]+$/.test(decodeURIComponentOr(id)));
      return call("DELETE", `/v1/organisations/${id}`, { key });
    },
    { check: ({ status }) => expect([404, 405]).toContain(status) },
  );
});

test("any path of /v1 with any method gets a valid answer", async () => {
  const path = anyPath({ minLength: 1, maxLength: 4 });
  const root = fc.constantFrom("/", "/v1/", "/v1/ip/", "/v1/health/");
  await fuzz(
    fc.tuple(anyMethod, root, path),
    async ([method, start, rest]) => {
      // Some paths belong to other surfaces, which have their own formats: `/` to the RPC, `/key` to API keys.
      fc.pre(isOfOurs(new URL(`${ORIGIN}${start}${rest}`).pathname));
      return call(method, start + rest, { ip: anyAddress() });
    },
    { times: 2 },
  );
});

test("a call on /v1 with any header of any value gets a valid answer", async () => {
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
  await fuzz(fc.tuple(target, name, headerValue), ([[method, path], header, value]) =>
    call(method, path, {
      ip: anyAddress(),
      headers: { Authorization: `Bearer ${key}`, [header]: value },
      ...(method === "POST" ? { body: { name: "Fuzz" } } : {}),
    }),
  );
});

/** Whether our own surface answers at a path. A slash at the end of a path is ignored. */
function isOfOurs(pathname: string): boolean {
  return surfaceAt(decodeURIComponentOr(pathname).replace(/(?!^)[/]$/, "")).name === "v1";
}

function decodeURIComponentOr(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
