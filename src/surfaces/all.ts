/** Every surface with its operations: `app.ts` makes routes of them, and `openapi/` describes them. */
import type { Hono } from "hono";
import type { OperationGroup } from "../http/operation";
import { problemSurface } from "../http/problem-details";
import type { AppEnv, Surface } from "../http/request-context";
import { keySurface } from "./api-keys/errors";
import { apiKeyRoutes } from "./api-keys/routes";
import { rpcSurface } from "./polarclaw/errors";
import { rpcRoutes } from "./polarclaw/rpc";
import { permissionSurface } from "./relay-permissions/errors";
import { relayPermissionRoutes } from "./relay-permissions/routes";
import { relaySurface } from "./relay-sessions/errors";
import { relaySessionRoutes } from "./relay-sessions/routes";
import { account } from "./source-sessions/account";
import { sourceSurface } from "./source-sessions/errors";
import { ricloudEvents } from "./source-sessions/events";
import { sourceSessions } from "./source-sessions/sessions";
import { usersAndSources } from "./source-sessions/users";
import { webhookConfigs } from "./source-sessions/webhook-configs";
import { applications } from "./v1/applications";
import { connectors } from "./v1/connectors";
import { devices } from "./v1/devices";
import { events } from "./v1/events";
import { service } from "./v1/health-and-ip";
import { keyVerificationRoutes } from "./v1/key-verification";
import { organisations } from "./v1/organisations";
import { pairingByDevices } from "./v1/pairing-by-devices";
import { pairingRequests } from "./v1/pairing-requests";
import { relayPermissionCheckRoutes } from "./v1/relay-permissions";
import { sessionActions } from "./v1/session-actions";
import { sessionTokenRoutes } from "./v1/session-tokens";
import { webhookDeliveries } from "./v1/webhook-deliveries";
import { webhookEndpoints } from "./v1/webhook-endpoints";
import { webhookSecrets } from "./v1/webhook-secrets";

type Routes = (app: Hono<AppEnv>) => void;

/** `/v1`, and every path that no other surface owns. */
export const ownSurface = problemSurface("v1", () => true);

/** Every surface with its operations. The first that owns a path words its errors; `/v1` owns the rest. */
export const SURFACES: readonly (readonly [Surface, ...(Routes | OperationGroup)[]])[] = [
  [relaySurface, relaySessionRoutes],
  [permissionSurface, relayPermissionRoutes],
  [keySurface, apiKeyRoutes],
  [sourceSurface, usersAndSources, sourceSessions, account, ricloudEvents, webhookConfigs],
  [rpcSurface, rpcRoutes],
  [
    ownSurface,
    service,
    organisations,
    sessionTokenRoutes,
    keyVerificationRoutes,
    relayPermissionCheckRoutes,
    connectors,
    sessionActions,
    webhookEndpoints,
    webhookSecrets,
    webhookDeliveries,
    events,
    pairingByDevices,
    applications,
    pairingRequests,
    devices,
  ],
];
