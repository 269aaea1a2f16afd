/** Every surface with its operations: `app.ts` makes routes of them, and `openapi/` describes them. */
import type { SurfaceOperations } from "../http/operation";
import { problemSurface } from "../http/problem-details";
import { keySurface } from "./api-keys/errors";
import { apiKeys } from "./api-keys/operations";
import { rpcSurface } from "./polarclaw/errors";
import { rpc } from "./polarclaw/rpc";
import { webConnectPrefix } from "./relay-permissions/aliases";
import { connections } from "./relay-permissions/connections";
import { permissionSurface } from "./relay-permissions/errors";
import { permissions } from "./relay-permissions/permissions";
import { relaySurface } from "./relay-sessions/errors";
import { relayHosting } from "./relay-sessions/hosting";
import { relayParticipants } from "./relay-sessions/participants";
import { relaySessions } from "./relay-sessions/sessions";
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
import { keyVerification } from "./v1/key-verification";
import { organisations } from "./v1/organisations";
import { pairingByDevices } from "./v1/pairing-by-devices";
import { pairingRequests } from "./v1/pairing-requests";
import { relayNodeLinks } from "./v1/relay-node-links";
import { relayNodes } from "./v1/relay-nodes";
import { relayPermissionCheck } from "./v1/relay-permissions";
import { sessionActions } from "./v1/session-actions";
import { sessionTokens } from "./v1/session-tokens";
import { webhookDeliveries } from "./v1/webhook-deliveries";
import { webhookEndpoints } from "./v1/webhook-endpoints";
import { webhookSecrets } from "./v1/webhook-secrets";

/** `/v1`, and every path that no other surface owns. */
export const ownSurface = problemSurface("v1", () => true);

/** Every surface with its operations. The first that owns a path words its errors; `/v1` owns the rest. */
export const SURFACES: readonly SurfaceOperations[] = [
  [relaySurface, relaySessions, relayHosting, relayParticipants],
  [permissionSurface, connections, permissions, webConnectPrefix],
  [keySurface, apiKeys],
  [sourceSurface, usersAndSources, sourceSessions, account, ricloudEvents, webhookConfigs],
  [rpcSurface, rpc],
  [
    ownSurface,
    service,
    organisations,
    sessionTokens,
    keyVerification,
    relayPermissionCheck,
    relayNodeLinks,
    relayNodes,
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

/** All operations of all surfaces. */
export const OPERATIONS = SURFACES.flatMap(([, ...groups]) =>
  groups.flatMap(({ operations }) => operations),
);
