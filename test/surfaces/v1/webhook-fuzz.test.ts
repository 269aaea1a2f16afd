/**
 * Whatever is sent to the routes of webhooks and events, no answer is a fault of ours, and every
 * refusal is a problem.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { call, newOrganisation, type Tenant } from "../../support/client";
import {
  anyBody,
  anyQuery,
  brokenBody,
  expectOwnFormat,
  newFuzz,
  rawPart,
} from "../../support/fuzz";
import { DELIVERIES, ENDPOINTS, EVENTS, endpointWith, storeDelivery } from "../../support/webhooks";

const fuzz = newFuzz({ runs: 150, judge: (answer) => expectOwnFormat(answer, "v1") });

/** An organisation with an endpoint that gets nothing. */
async function newTarget() {
  const tenant = await newOrganisation();
  const endpoint = await endpointWith(tenant, { url: "http://127.0.0.1:9/", enabled: false });
  return { tenant, endpoint };
}

const post = (tenant: Tenant, path: string, body: string, method = "POST") =>
  call(method, path, { key: tenant.key, body });

const endpointBody = {
  url: "http://127.0.0.1:9/",
  description: "ours",
  event_types: ["device.*", "session.active"],
  format: "standard",
  enabled: false,
};
const { format: _, ...changes } = endpointBody;
const window = { since: "2026-01-01T00:00:00Z", until: "2026-01-02T00:00:00.5+02:00" };

test.each([
  ["any body", anyBody],
  ["broken fields", brokenBody(endpointBody)],
])("a new endpoint with %s gets a valid answer", async (_name, bodies) => {
  const { tenant } = await newTarget();
  await fuzz(bodies, (body) => post(tenant, ENDPOINTS, body), {
    check: async ({ status, body }) => {
      // If it stayed, it would be sent an event for each endpoint that is made after it.
      if (status === 201) await call("DELETE", `${ENDPOINTS}/${body.id}`, { key: tenant.key });
    },
  });
});

test.each([
  ["PATCH", "", changes],
  ["POST", "/secret:rotate", { grace_seconds: 600 }],
  ["POST", ":recover", window],
])("a %s of an endpoint%s with any body, or broken fields, gets a valid answer", async (...row) => {
  const [method, suffix, valid] = row;
  const { tenant, endpoint } = await newTarget();
  await fuzz(fc.oneof(anyBody, brokenBody(valid)), (body) =>
    post(tenant, endpoint.path + suffix, body, method),
  );
  const { status } = await call("GET", endpoint.path, { key: tenant.key });
  expect(status).toBe(200);
});

test("a resend with any body gets a valid answer", async () => {
  const { tenant, endpoint } = await newTarget();
  const id = await storeDelivery(tenant, endpoint, "failed");
  await fuzz(anyBody, (body) => post(tenant, `${DELIVERIES}/${id}:resend`, body));
});

test.each([
  [ENDPOINTS, ["limit", "cursor"]],
  [DELIVERIES, ["limit", "cursor", "endpoint", "event_type", "status"]],
  [EVENTS, ["limit", "cursor", "type", "since"]],
])("the list %s with any query gets a valid answer", async (path, names) => {
  const { tenant } = await newTarget();
  await fuzz(anyQuery(...names), (query) => call("GET", `${path}?${query}`, { key: tenant.key }));
});

test("any id of a webhook resource, with any action after it, gets a valid answer", async () => {
  const { tenant } = await newTarget();
  const list = fc.constantFrom(ENDPOINTS, DELIVERIES, EVENTS, "/v1/webhooks/recoveries");
  const suffix = fc.constantFrom("", "/secret", "/secret:rotate", ":test", ":resend", ":recover");
  const method = fc.constantFrom("GET", "POST", "PATCH", "DELETE");
  await fuzz(
    fc.tuple(list, rawPart, suffix, method),
    ([path, id, end, verb]) => {
      const body = verb === "GET" ? {} : { body: "{}" };
      return call(verb, `${path}/${id}${end}`, { key: tenant.key, ...body });
    },
    { times: 2 },
  );
});

test("a time at the ends of time gets a valid answer from events and recoveries", async () => {
  const { tenant, endpoint } = await newTarget();
  const times = [
    "0000-01-01T00:00:00Z",
    "0000-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59-23:59",
    "1969-12-31T23:59:59Z",
    `2026-01-01T00:00:00.${"1".repeat(300)}Z`,
  ];
  for (const since of times) {
    const query = `since=${encodeURIComponent(since)}`;
    const list = await call("GET", `${EVENTS}?${query}`, { key: tenant.key });
    expectOwnFormat(list, "v1");
    const body = { since, until: since.replace("00:00:00", "01:00:00") };
    expectOwnFormat(
      await call("POST", `${endpoint.path}:recover`, { key: tenant.key, body }),
      "v1",
    );
  }
});
