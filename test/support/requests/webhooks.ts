/** Requests about webhooks and events on `/v1`. */
import { env } from "cloudflare:workers";
import { call, type Tenant } from "../client";
import type { RequestRows } from "./all";

const ENDPOINTS = "/v1/webhooks/endpoints";
const DELIVERIES = "/v1/webhooks/deliveries";
const address = () => ({ url: `${env.TEST_RECEIVER_URL}/hooks/routes` });
const since = () => ({ since: new Date(Date.now() - 60_000).toISOString() });

async function onEndpoint({ key }: Tenant) {
  const { id } = (await call("POST", ENDPOINTS, { key, body: address() })).body;
  return { params: { id: id as string } };
}

/** A test of an endpoint makes a delivery at once. */
async function onDelivery(tenant: Tenant) {
  const { key } = tenant;
  const { id } = (await onEndpoint(tenant)).params;
  await call("POST", `${ENDPOINTS}/${id}:test`, { key });
  const { body } = await call("GET", `${DELIVERIES}?event_type=webhook-endpoint.test`, { key });
  return { params: { id: body.data[0].id } };
}

export const webhookRequests: RequestRows = {
  createWebhookEndpoint: () => ({ body: address() }),
  getWebhookEndpoint: onEndpoint,
  updateWebhookEndpoint: onEndpoint,
  deleteWebhookEndpoint: onEndpoint,
  testWebhookEndpoint: onEndpoint,
  getWebhookEndpointSecret: onEndpoint,
  rotateWebhookEndpointSecret: onEndpoint,
  getWebhookDelivery: onDelivery,
  resendWebhookDelivery: onDelivery,
  startWebhookRecovery: async (tenant) => ({ ...(await onEndpoint(tenant)), body: since() }),
  getWebhookRecovery: async (tenant) => {
    const { id } = (await onEndpoint(tenant)).params;
    const path = `${ENDPOINTS}/${id}:recover`;
    const { headers } = await call("POST", path, { key: tenant.key, body: since() });
    return { params: { id: headers.get("Location")?.split("/").at(-1) ?? "" } };
  },
  getEvent: async (tenant) => {
    await onEndpoint(tenant);
    const { body } = await call("GET", "/v1/events", { key: tenant.key });
    return { params: { id: body.data[0].id } };
  },
};
