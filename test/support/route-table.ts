/**
 * Every route of the app, the credential that it takes, and a request that succeeds. A new route
 * needs a row here: without one `test/http/every-route.test.ts` fails.
 */
import { env } from "cloudflare:workers";
import type { Permission } from "../../src/keys/permissions";
import { call, type Tenant } from "./client";
import { deviceRoutes } from "./device-route-table";
import { newKey } from "./keys";
import { create, register } from "./permissions";
import { sourceRoutes } from "./source-route-table";
import { webhookRoutes } from "./webhook-route-table";

/** A request on something of this tenant, and the status of its success. */
export interface GoodRequest {
  path: string;
  body?: Record<string, unknown>;
  status: number;
}

/** One route. */
export interface RouteRow {
  /**
   * A permission: an API key that holds it, or its operator. `any key`: whatever it holds. `root`:
   * the root token. `open`: anyone; `why` says what protects it instead, or that nothing has to.
   */
  guard: Permission | "any key" | "root" | "open";
  why?: string;
  /** Where the credential goes, if not into the Authorization header. */
  credential?: "body" | "session token";
  request(tenant: Tenant): Promise<GoodRequest> | GoodRequest;
}

/** A path for which nothing has to be made first. */
const fixed =
  (path: string, status = 200, body?: Record<string, unknown>) =>
  () => ({
    path,
    status,
    ...(body ? { body } : {}),
  });

async function relaySession(tenant: Tenant, users: { ip: string }[] = []) {
  const { body } = await call("POST", "/v1/relays/sessions", { key: tenant.key, body: { users } });
  return body;
}

const onSession = (status: number) => async (tenant: Tenant) => {
  const { session_id } = await relaySession(tenant);
  return { path: `/v1/relays/sessions/${session_id}`, status };
};

const onKey = (body?: Record<string, unknown>) => async (tenant: Tenant) => {
  const { id } = await newKey(tenant, { permissions: [] });
  return { path: `/api-keys/${id}`, status: 200, ...(body ? { body } : {}) };
};

/** The routes of relay permissions, under one prefix of their path. */
function permissionRoutes(prefix: string): Record<string, RouteRow> {
  const list = `${prefix}/relay/permission`;
  const definitions = `${prefix}/connections/definition`;
  const one = `${list}/:connectionId/:remoteConnectionId/:direction`;
  let made = 0;
  /**
   * On a connection of its own with a permission of its own: a request may be made more than once.
   */
  const on =
    (toPath: (id: string) => string, body?: Record<string, unknown>) => async (tenant: Tenant) => {
      made += 1;
      const id = `c${made}`;
      await register(tenant.key, id);
      await create(tenant.key, id, "remote", "send");
      return { path: toPath(id), status: 200, ...(body ? { body } : {}) };
    };
  const onRow = (body?: Record<string, unknown>) => on((id) => `${list}/${id}/remote/send`, body);
  return {
    [`GET ${list}`]: { guard: "relay-permissions:get", request: fixed(list) },
    [`GET ${list}/:connectionId`]: {
      guard: "relay-permissions:get",
      request: on((id) => `${list}/${id}`),
    },
    [`GET ${one}`]: { guard: "relay-permissions:get", request: onRow() },
    [`POST ${list}`]: {
      guard: "relay-permissions:create",
      request: async (tenant) => {
        made += 1;
        await register(tenant.key, `c${made}`);
        const key = { connectionId: `c${made}`, remoteConnectionId: "remote", direction: "send" };
        return { path: list, status: 201, body: key };
      },
    },
    [`PUT ${one}`]: { guard: "relay-permissions:update", request: onRow({ enabled: "true" }) },
    [`DELETE ${one}`]: { guard: "relay-permissions:delete", request: onRow() },
    [`GET ${definitions}`]: { guard: "connections:get", request: fixed(definitions) },
    [`GET ${definitions}/:connectionId`]: {
      guard: "connections:get",
      request: on((id) => `${definitions}/${id}`),
    },
    [`POST ${definitions}`]: {
      guard: "connections:create",
      request: () => {
        made += 1;
        return { path: definitions, status: 201, body: { connectionId: `c${made}` } };
      },
    },
    [`DELETE ${definitions}/:connectionId`]: {
      guard: "connections:delete",
      request: on((id) => `${definitions}/${id}`),
    },
  };
}

/** By method and pattern, as the app has them. */
export const routeTable: Record<string, RouteRow> = {
  ...sourceRoutes,
  ...deviceRoutes,
  ...webhookRoutes,
  "GET /v1/health": { guard: "open", why: "liveness", request: fixed("/v1/health") },
  "GET /v1/ip": { guard: "open", why: "the caller's own address", request: fixed("/v1/ip") },
  "POST /v1/organisations": {
    guard: "root",
    request: fixed("/v1/organisations", 201, { name: "Made" }),
  },
  "GET /v1/organisations": { guard: "root", request: fixed("/v1/organisations") },
  "DELETE /v1/organisations/:id": {
    guard: "root",
    request: async () => {
      const made = await call("POST", "/v1/organisations", {
        key: env.DRAWBRIDGE_ROOT_TOKEN,
        body: { name: "Gone" },
      });
      return { path: `/v1/organisations/${made.body.id}`, status: 204 };
    },
  },
  "POST /v1/auth/session-tokens": {
    guard: "operator:sign-in",
    credential: "body",
    request: fixed("/v1/auth/session-tokens", 201, {}),
  },
  "DELETE /v1/auth/session-tokens": {
    guard: "operator:sign-in",
    credential: "session token",
    request: fixed("/v1/auth/session-tokens", 204),
  },
  "POST /v1/keys:verify": {
    guard: "keys:read",
    request: fixed("/v1/keys:verify", 200, { token: "none" }),
  },
  "GET /api-keys": { guard: "keys:read", request: fixed("/api-keys") },
  "GET /api-keys/:id": { guard: "keys:read", request: onKey() },
  "POST /api-keys": {
    guard: "keys:write",
    request: (tenant) => ({
      path: "/api-keys",
      status: 201,
      body: { name: "Made", emails: [], permissions: [], organizationsIds: [tenant.id] },
    }),
  },
  "PATCH /api-keys/:id": { guard: "keys:write", request: onKey({ name: "Renamed" }) },
  "DELETE /api-keys/:id": { guard: "keys:write", request: onKey() },
  ...permissionRoutes("/api/v2"),
  ...permissionRoutes(""),
  "POST /v1/relay-permissions:check": {
    guard: "relay-permissions:get",
    request: fixed("/v1/relay-permissions:check", 200, { from: "A", to: "B" }),
  },
  "POST /v1/relays/sessions": {
    guard: "relays:write",
    request: fixed("/v1/relays/sessions", 200, {}),
  },
  "GET /v1/relays/sessions": { guard: "relays:read", request: fixed("/v1/relays/sessions") },
  "GET /v1/relays/sessions/:id": { guard: "relays:read", request: onSession(200) },
  "DELETE /v1/relays/sessions/:id": { guard: "relays:write", request: onSession(204) },
  "POST /v1/relays/sessions:authorize-user": {
    guard: "relays:write",
    request: async (tenant) => {
      const { session_id } = await relaySession(tenant);
      return {
        path: "/v1/relays/sessions:authorize-user",
        status: 200,
        body: { session_id, user_ip: "192.0.2.1" },
      };
    },
  },
  "POST /v1/relays/sessions:revoke-user": {
    guard: "relays:write",
    request: async (tenant) => {
      const { session_id, session_users } = await relaySession(tenant, [{ ip: "192.0.2.1" }]);
      const { authorization_token } = session_users[0];
      return {
        path: "/v1/relays/sessions:revoke-user",
        status: 200,
        body: { session_id, authorization_token },
      };
    },
  },
  "POST /v1/relays/join": {
    guard: "open",
    why: "the join code is the credential",
    request: async (tenant) => {
      const { body } = await call("POST", "/v1/relays/sessions", {
        key: tenant.key,
        body: { join_code: true },
      });
      return { path: "/v1/relays/join", status: 200, body: { join_code: body.join_code } };
    },
  },
  "GET /v1/relays/sessions/:id/server": {
    guard: "open",
    why: "the session's and the user's token are the credential; 426 without a websocket",
    request: fixed("/v1/relays/sessions/none/server", 426),
  },
  "GET /v1/relays/sessions/:id/client": {
    guard: "open",
    why: "the session's and the user's token are the credential; 426 without a websocket",
    request: fixed("/v1/relays/sessions/none/client", 426),
  },
};
