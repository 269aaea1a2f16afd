/** Requests about source sessions and all that belongs to them: users, sources, connectors, webhooks. */
import { env } from "cloudflare:workers";
import { call, type Tenant } from "../client";
import { create, newActive } from "../source-sessions";
import type { RequestRows } from "./all";

const SOURCE = { type: "mocks.mock", identifier: "jo" };
const CONNECTOR = { type: "a.b" };
const CONNECTOR_TERMS = { url: "http://127.0.0.1:9/" };
const webhookUrl = () => ({ url: `${env.TEST_RECEIVER_URL}/hooks/routes` });

async function newUser({ key }: Tenant): Promise<number> {
  return (await call("POST", "/users", { key, body: { identifier: "jo" } })).body.id;
}

const onUser = async (tenant: Tenant) => ({ params: { id: await newUser(tenant) } });

const newSource = async (tenant: Tenant) => ({ ...SOURCE, user: await newUser(tenant) });

async function onSource(tenant: Tenant) {
  const body = await newSource(tenant);
  const { id } = (await call("POST", "/sources", { key: tenant.key, body })).body;
  return { params: { id } };
}

async function onSession(tenant: Tenant) {
  const { body } = await create({ ...tenant, userId: await newUser(tenant) });
  return { params: { id: body.id } };
}

async function onWebhookConfig({ key }: Tenant) {
  const { body } = await call("POST", "/configs/webhook", { key, body: webhookUrl() });
  return { params: { id: body.id } };
}

async function onConnector({ key }: Tenant) {
  await call("PUT", `/v1/connectors/${CONNECTOR.type}`, { key, body: CONNECTOR_TERMS });
  return { params: CONNECTOR };
}

export const sourceRequests: RequestRows = {
  getUser: onUser,
  // It keeps its identifier: another one could be given to one user only.
  updateUser: async (tenant) => ({ ...(await onUser(tenant)), body: { identifier: "jo" } }),
  createSource: async (tenant) => ({ body: await newSource(tenant) }),
  getSource: onSource,
  updateSource: onSource,
  createSourceSession: async (tenant) => ({
    body: { source: await newSource(tenant), payload: {} },
  }),
  getSourceSession: onSession,
  deleteSourceSession: onSession,
  getKeyOfOrganisation: async ({ key }) => ({
    params: { id: (await call("GET", "/key", { key })).body.id },
  }),
  getRicloudEvent: async (tenant) => {
    // The event of a test is recorded in the same transaction.
    await onWebhookConfig(tenant);
    const { body } = await call("GET", "/events?limit=1", { key: tenant.key });
    return { params: { id: body.data[0].id } };
  },
  createWebhookConfig: () => ({ body: webhookUrl() }),
  getWebhookConfig: onWebhookConfig,
  updateWebhookConfig: onWebhookConfig,
  deleteWebhookConfig: onWebhookConfig,
  testWebhookConfig: onWebhookConfig,
  testWebhookConfigWithGet: onWebhookConfig,
  putConnector: () => ({ params: CONNECTOR, body: CONNECTOR_TERMS }),
  getConnector: onConnector,
  deleteConnector: onConnector,
  rotateConnectorSecret: onConnector,
  useSession: async (tenant) => ({
    params: { id: await newActive({ ...tenant, userId: await newUser(tenant) }) },
  }),
  // Without the root token and without a connector's signature.
  expireSession: () => ({ params: { id: "none" }, status: 401 }),
};
