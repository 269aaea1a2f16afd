/** The rows of `route-table.ts` for source sessions and all that belongs to them. */
import { env } from "cloudflare:workers";
import { call, type Tenant } from "./client";
import type { GoodRequest, RouteRow } from "./route-table";
import { create, newActive } from "./source-sessions";

const SOURCE = { type: "mocks.mock", identifier: "jo" };

async function newUser(tenant: Tenant): Promise<number> {
  const { body } = await call("POST", "/users", { key: tenant.key, body: { identifier: "jo" } });
  return body.id;
}

async function newSource(tenant: Tenant): Promise<number> {
  const body = { ...SOURCE, user: await newUser(tenant) };
  return (await call("POST", "/sources", { key: tenant.key, body })).body.id;
}

const onUser =
  (body?: Record<string, unknown>) =>
  async (tenant: Tenant): Promise<GoodRequest> => ({
    path: `/users/${await newUser(tenant)}`,
    status: 200,
    ...(body ? { body } : {}),
  });

const onSource =
  (body?: Record<string, unknown>) =>
  async (tenant: Tenant): Promise<GoodRequest> => ({
    path: `/sources/${await newSource(tenant)}`,
    status: 200,
    ...(body ? { body } : {}),
  });

const onSession = async (tenant: Tenant): Promise<GoodRequest> => {
  const { body } = await create({ ...tenant, userId: await newUser(tenant) });
  return { path: `/sessions/${body.id}`, status: 200 };
};

const onWebhookConfig =
  (suffix = "") =>
  async (tenant: Tenant): Promise<GoodRequest> => {
    const body = { url: `${env.TEST_RECEIVER_URL}/hooks/routes` };
    const made = await call("POST", "/configs/webhook", { key: tenant.key, body });
    return { path: `/configs/webhook/${made.body.id}${suffix}`, status: 200 };
  };

const onConnector =
  (status: number, body?: Record<string, unknown>) =>
  async (tenant: Tenant): Promise<GoodRequest> => {
    const url = "http://127.0.0.1:9/";
    await call("PUT", "/v1/connectors/a.b", { key: tenant.key, body: { url } });
    return { path: "/v1/connectors/a.b", status, ...(body ? { body } : {}) };
  };

const fixed = (path: string) => () => ({ path, status: 200 });

export const sourceRoutes: Record<string, RouteRow> = {
  "POST /sessions": {
    guard: "sessions:write",
    request: async (tenant) => ({
      path: "/sessions",
      status: 201,
      body: { source: { ...SOURCE, user: await newUser(tenant) }, payload: {} },
    }),
  },
  "GET /sessions": { guard: "sessions:read", request: fixed("/sessions") },
  "GET /sessions/:id": { guard: "sessions:read", request: onSession },
  "DELETE /sessions/:id": { guard: "sessions:write", request: onSession },
  "POST /users": {
    guard: "sessions:write",
    request: () => ({ path: "/users", status: 201, body: { identifier: "ann" } }),
  },
  "GET /users": { guard: "sessions:read", request: fixed("/users") },
  "GET /users/:id": { guard: "sessions:read", request: onUser() },
  "POST /users/:id": { guard: "sessions:write", request: onUser({ identifier: "jo" }) },
  "POST /sources": {
    guard: "sessions:write",
    request: async (tenant) => ({
      path: "/sources",
      status: 201,
      body: { ...SOURCE, user: await newUser(tenant) },
    }),
  },
  "GET /sources": { guard: "sessions:read", request: fixed("/sources") },
  "GET /sources/:id": { guard: "sessions:read", request: onSource() },
  "POST /sources/:id": { guard: "sessions:write", request: onSource({ state: "deactivated" }) },
  "GET /organisation": { guard: "any key", request: fixed("/organisation") },
  "GET /key": { guard: "any key", request: fixed("/key") },
  "GET /keys/:id": {
    guard: "any key",
    request: async ({ key }) => {
      const { body } = await call("GET", "/key", { key });
      return { path: `/keys/${body.id}`, status: 200 };
    },
  },
  "GET /events": { guard: "events:read", request: fixed("/events") },
  "GET /events/:id": {
    guard: "events:read",
    request: async (tenant) => {
      // The event of a test is recorded in the same transaction.
      await onWebhookConfig()(tenant);
      const { body } = await call("GET", "/events?limit=1", { key: tenant.key });
      return { path: `/events/${body.data[0].id}`, status: 200 };
    },
  },
  "POST /configs/webhook": {
    guard: "webhooks:write",
    request: () => ({
      path: "/configs/webhook",
      status: 201,
      body: { url: `${env.TEST_RECEIVER_URL}/hooks/routes` },
    }),
  },
  "GET /configs/webhook": { guard: "webhooks:read", request: fixed("/configs/webhook") },
  "GET /configs/webhook/:id": { guard: "webhooks:read", request: onWebhookConfig() },
  "POST /configs/webhook/:id": { guard: "webhooks:write", request: onWebhookConfig() },
  "DELETE /configs/webhook/:id": { guard: "webhooks:write", request: onWebhookConfig() },
  "POST /configs/webhook/:id/test": { guard: "webhooks:write", request: onWebhookConfig("/test") },
  "GET /configs/webhook/:id/test": { guard: "webhooks:write", request: onWebhookConfig("/test") },
  "PUT /v1/connectors/:type": {
    guard: "connectors:write",
    request: onConnector(200, { url: "http://127.0.0.1:9/" }),
  },
  "GET /v1/connectors/:type": { guard: "sessions:read", request: onConnector(200) },
  "DELETE /v1/connectors/:type": { guard: "connectors:write", request: onConnector(204) },
  "POST /v1/connectors/:type/secret:rotate": {
    guard: "connectors:write",
    request: async (tenant) => {
      const { path, status } = await onConnector(200)(tenant);
      return { path: `${path}/secret:rotate`, status };
    },
  },
  "POST /v1/sessions/:id{[^:/]+:use}": {
    guard: "sessions:write",
    request: async (tenant) => {
      const userId = await newUser(tenant);
      const id = await newActive({ ...tenant, userId });
      return { path: `/v1/sessions/${id}:use`, status: 200 };
    },
  },
  "POST /v1/sessions/:id{[^:/]+:expire}": {
    guard: "open",
    why: "the root token or the signature of the session's connector; 401 without either",
    request: () => ({ path: "/v1/sessions/none:expire", status: 401 }),
  },
};
