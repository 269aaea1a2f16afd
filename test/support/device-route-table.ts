/** The rows of `route-table.ts` for applications, devices and pairing. */
import type { Tenant } from "./client";
import {
  ask,
  decide,
  newApplication,
  newDevice,
  newNonce,
  request,
  signedBody,
  type TestApplication,
} from "./devices";
import type { GoodRequest, RouteRow } from "./route-table";

const APPLICATION = "/v1/applications/:application";
const DEVICE = `${APPLICATION}/devices/:device`;
const REQUESTS = `${APPLICATION}/pairing/requests`;

/** On a new application of the tenant. */
const inApplication =
  (path: string, status: number, body?: Record<string, unknown>) =>
  async (tenant: Tenant): Promise<GoodRequest> => {
    const at = await newApplication(tenant);
    return { path: `${at.path}${path}`, status, ...(body ? { body } : {}) };
  };

/** On a pairing request without scopes, so that its approver needs to hold none. */
const onRequest = (verb: string) => async (tenant: Tenant) => {
  const at = await newApplication(tenant);
  const { id } = await request(at, await newDevice(), { scopes: [] });
  return { path: `${at.path}/pairing/requests/${id}:${verb}`, status: 200, body: {} };
};

async function pairedDevice(at: TestApplication): Promise<string> {
  const device = await newDevice();
  const { id } = await request(at, device, { scopes: [] });
  await decide(at, id, "approve");
  await ask(at, device, { scopes: [] });
  return `${at.path}/devices/${device.id}`;
}

const onDevice =
  (path: string, status: number, body?: Record<string, unknown>) =>
  async (tenant: Tenant): Promise<GoodRequest> => {
    const device = await pairedDevice(await newApplication(tenant));
    return { path: `${device}${path}`, status, ...(body ? { body } : {}) };
  };

const rpc: RouteRow = {
  guard: "open",
  why: "each action asks for its own permission, of a key or a signature: test/surfaces/polarclaw",
  request: () => ({ path: "/?Action=ListPolarClawDevicePairs&Version=2017-08-01", status: 400 }),
};

/** By method and pattern, as the app has them. */
export const deviceRoutes: Record<string, RouteRow> = {
  "GET /": rpc,
  "POST /": rpc,
  [`POST ${APPLICATION}/pairing/challenges`]: {
    guard: "open",
    why: "a challenge is worth nothing without a device's key",
    request: inApplication("/pairing/challenges", 201),
  },
  [`POST ${APPLICATION}/pairing/requests`]: {
    guard: "open",
    why: "the device's signature is the credential",
    request: async (tenant) => {
      const at = await newApplication(tenant);
      const body = await signedBody(await newDevice(), {}, await newNonce(at));
      return { path: `${at.path}/pairing/requests`, status: 202, body };
    },
  },
  [`GET ${REQUESTS}/:id`]: {
    guard: "open",
    why: "the poll token is the credential; 401 without it",
    request: inApplication("/pairing/requests/pr-none", 401),
  },
  "POST /v1/applications": {
    guard: "devices:manage",
    request: () => ({ path: "/v1/applications", status: 201, body: { name: "Made" } }),
  },
  "GET /v1/applications": {
    guard: "devices:list",
    request: () => ({ path: "/v1/applications", status: 200 }),
  },
  [`GET ${APPLICATION}`]: { guard: "devices:list", request: inApplication("", 200) },
  [`POST ${APPLICATION}/setup-codes`]: {
    guard: "devices:approve",
    request: inApplication("/setup-codes", 201, { role: "operator", scopes: [], ttl_seconds: 60 }),
  },
  [`GET ${APPLICATION}/pairing/requests`]: {
    guard: "devices:list",
    request: inApplication("/pairing/requests", 200),
  },
  [`POST ${REQUESTS}/:id{[^:/]+:approve}`]: {
    guard: "devices:approve",
    request: onRequest("approve"),
  },
  [`POST ${REQUESTS}/:id{[^:/]+:reject}`]: {
    guard: "devices:approve",
    request: onRequest("reject"),
  },
  [`GET ${APPLICATION}/devices`]: {
    guard: "devices:list",
    request: inApplication("/devices", 200),
  },
  [`GET ${DEVICE}`]: { guard: "devices:list", request: onDevice("", 200) },
  [`PATCH ${DEVICE}`]: { guard: "devices:manage", request: onDevice("", 200, { label: "Bench" }) },
  [`DELETE ${DEVICE}`]: { guard: "devices:remove", request: onDevice("", 204) },
  [`POST ${DEVICE}/tokens:rotate`]: {
    guard: "devices:manage",
    request: onDevice("/tokens:rotate", 200, { role: "operator" }),
  },
  [`POST ${DEVICE}/tokens:revoke`]: {
    guard: "devices:manage",
    request: onDevice("/tokens:revoke", 200, { role: "operator" }),
  },
  "POST /v1/devices:verify": {
    guard: "devices:list",
    request: () => ({ path: "/v1/devices:verify", status: 200, body: { token: "none" } }),
  },
};
