/**
 * Every POST and PATCH of the app takes an Idempotency-Key. Every answer tells caches to store
 * nothing, since most answers show a secret or belong to one organisation. The routes are those of
 * the table.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { type Answer, call, newOrganisation, type Tenant } from "../support/client";
import { newKey, signIn } from "../support/keys";
import { type GoodRequest, type RouteRow, routeTable } from "../support/route-table";

const routes = Object.entries(routeTable).map(([route, row]) => ({
  route,
  method: route.split(" ")[0] ?? "",
  row,
}));

/** Routes on which a repeat does no harm without a kept answer. */
const WITHOUT_RECORD: Record<string, string> = {
  "POST /v1/applications/:application/pairing/challenges": "a challenge is stored nowhere",
  "POST /v1/applications/:application/pairing/requests":
    "the nonce is used once, and a device that asks again gets its pending request or its token",
  "POST /v1/sessions/:id{[^:/]+:expire}":
    "what has ended stays as it is; the row's request is refused before",
  "POST /": "the row's request is refused before: test/surfaces/polarclaw has the actions",
};

const repeatable = routes.filter(
  ({ route, method }) => ["POST", "PATCH"].includes(method) && !(route in WITHOUT_RECORD),
);

type Sender = (headers?: Record<string, string>) => Promise<Answer>;

/**
 * Sends one valid request, with the credential that its route asks for, as often as a test wants.
 */
async function sender(method: string, row: RouteRow, tenant: Tenant): Promise<Sender> {
  const request: GoodRequest = await row.request(tenant);
  const credential = await credentialOf(row, tenant);
  const body = row.credential === "body" ? { ...request.body, token: credential } : request.body;
  const isShown = row.guard !== "open" && row.credential !== "body";
  return async (headers = {}) => {
    const answer = await call(method, request.path, {
      headers,
      ...(isShown ? { key: credential } : {}),
      ...(body === undefined ? {} : { body }),
    });
    expect(answer.status, answer.text).toBe(request.status);
    return answer;
  };
}

async function credentialOf({ guard, credential }: RouteRow, tenant: Tenant): Promise<string> {
  if (guard === "root") return env.DRAWBRIDGE_ROOT_TOKEN;
  if (credential === undefined) return tenant.key;
  const { token } = await newKey(tenant, { permissions: ["*"] });
  return credential === "body" ? token : signIn(token);
}

describe.each(repeatable)("$route", ({ method, row }) => {
  test("answers a repeat with its first answer, and does nothing again", async () => {
    const send = await sender(method, row, await newOrganisation());
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const first = await send(headers);
    expect(first.headers.get("Idempotent-Replayed")).toBeNull();
    const again = await send(headers);
    expect(again.text).toBe(first.text);
    expect(again.headers.get("Idempotent-Replayed")).toBe("true");
    expect(again.headers.get("Cache-Control")).toBe("no-store");
  });
});

const forKeys = repeatable.filter(({ row }) => row.guard !== "root" && row.guard !== "open");

describe.each(forKeys.filter(({ row }) => row.credential === undefined))(
  "$route",
  ({ method, row }) => {
    test("never answers an operator with what was answered to another one with the same API key", async () => {
      const tenant = await newOrganisation();
      const request = await row.request(tenant);
      const headers = { "Idempotency-Key": "same" };
      for (const key of [await signIn(tenant.key), await signIn(tenant.key), tenant.key]) {
        const { body = undefined, path } = request;
        const answer = await call(method, path, {
          key,
          headers,
          ...(body === undefined ? {} : { body }),
        });
        expect(answer.headers.get("Idempotent-Replayed"), answer.text).toBeNull();
      }
    });
  },
);

describe.each(routes)("$route", ({ method, row }) => {
  test("tells caches to store neither its answer nor its refusal", async () => {
    const tenant = await newOrganisation();
    const send = await sender(method, row, tenant);
    expect((await send()).headers.get("Cache-Control")).toBe("no-store");
    const { path } = await row.request(tenant);
    const refused = await call(method, path, { key: "garbage" });
    expect(refused.headers.get("Cache-Control")).toBe("no-store");
  });
});

test.each([
  ["GET", "/nowhere", 404],
  ["DELETE", "/v1/health", 405],
])(
  "%s %s, which does not exist, tells caches to store nothing either",
  async (method, path, status) => {
    const answer = await call(method, path);
    expect([answer.status, answer.headers.get("Cache-Control")]).toEqual([status, "no-store"]);
  },
);
