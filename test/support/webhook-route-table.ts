/** The rows of `route-table.ts` for webhooks and events on `/v1`. */
import { env } from "cloudflare:workers";
import { call, type Tenant } from "./client";
import type { GoodRequest, RouteRow } from "./route-table";

const LIST = "/v1/webhooks/endpoints";
const url = () => `${env.TEST_RECEIVER_URL}/hooks/routes`;

async function newEndpoint(tenant: Tenant): Promise<string> {
  return (await call("POST", LIST, { key: tenant.key, body: { url: url() } })).body.id;
}

const onEndpoint =
  (suffix: string, status: number, body?: Record<string, unknown>) =>
  async (tenant: Tenant): Promise<GoodRequest> => ({
    path: `${LIST}/${await newEndpoint(tenant)}${suffix}`,
    status,
    ...(body ? { body } : {}),
  });

/** A test of an endpoint makes a delivery at once. */
const onDelivery =
  (suffix: string, status: number) =>
  async (tenant: Tenant): Promise<GoodRequest> => {
    await call("POST", `${LIST}/${await newEndpoint(tenant)}:test`, { key: tenant.key });
    const { body } = await call("GET", "/v1/webhooks/deliveries?event_type=webhook-endpoint.test", {
      key: tenant.key,
    });
    return { path: `/v1/webhooks/deliveries/${body.data[0].id}${suffix}`, status };
  };

const since = () => new Date(Date.now() - 60_000).toISOString();

const onRecovery = async (tenant: Tenant): Promise<GoodRequest> => {
  const { headers } = await call("POST", `${LIST}/${await newEndpoint(tenant)}:recover`, {
    key: tenant.key,
    body: { since: since() },
  });
  return { path: headers.get("Location") ?? "", status: 200 };
};

const onEvent = async (tenant: Tenant): Promise<GoodRequest> => {
  await newEndpoint(tenant);
  const { body } = await call("GET", "/v1/events", { key: tenant.key });
  return { path: `/v1/events/${body.data[0].id}`, status: 200 };
};

const fixed = (path: string, status = 200) => ({ path, status });
const READ = "webhooks:read";
const WRITE = "webhooks:write";
const ONE = `${LIST}/:id`;
const DELIVERIES = "/v1/webhooks/deliveries";

export const webhookRoutes: Record<string, RouteRow> = {
  [`POST ${LIST}`]: {
    guard: WRITE,
    request: () => ({ ...fixed(LIST, 201), body: { url: url() } }),
  },
  [`GET ${LIST}`]: { guard: READ, request: () => fixed(LIST) },
  [`GET ${ONE}`]: { guard: READ, request: onEndpoint("", 200) },
  [`PATCH ${ONE}`]: { guard: WRITE, request: onEndpoint("", 200, { description: "ours" }) },
  [`DELETE ${ONE}`]: { guard: WRITE, request: onEndpoint("", 204) },
  [`GET ${ONE}/secret`]: { guard: WRITE, request: onEndpoint("/secret", 200) },
  [`POST ${ONE}/secret:rotate`]: { guard: WRITE, request: onEndpoint("/secret:rotate", 200) },
  [`POST ${LIST}/:id{[^:/]+:test}`]: { guard: WRITE, request: onEndpoint(":test", 200) },
  [`POST ${LIST}/:id{[^:/]+:recover}`]: {
    guard: WRITE,
    request: async (tenant) => onEndpoint(":recover", 202, { since: since() })(tenant),
  },
  "GET /v1/webhooks/recoveries/:id": { guard: READ, request: onRecovery },
  "GET /v1/webhooks/secret": { guard: WRITE, request: () => fixed("/v1/webhooks/secret") },
  "POST /v1/webhooks/secret:rotate": {
    guard: WRITE,
    request: () => fixed("/v1/webhooks/secret:rotate"),
  },
  [`GET ${DELIVERIES}`]: { guard: READ, request: () => fixed(DELIVERIES) },
  [`GET ${DELIVERIES}/:id`]: { guard: READ, request: onDelivery("", 200) },
  [`POST ${DELIVERIES}/:id{[^:/]+:resend}`]: { guard: WRITE, request: onDelivery(":resend", 202) },
  "GET /v1/events": { guard: "events:read", request: () => fixed("/v1/events") },
  "GET /v1/events/:id": { guard: "events:read", request: onEvent },
};
