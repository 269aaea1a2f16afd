/**
 * What each operation asks of its caller, said a second time: a permission that is weakened by mistake
 * differs from this list, and `test/http/permissions-of-operations.unit.test.ts` fails.
 */
import type { SecurityScheme } from "../../src/http/operation";
import type { Permission } from "../../src/keys/permissions";

type KeyRule = Permission | "any key";

/**
 * - A permission: an API key that holds it, or its operator. `any key`: whatever it holds. `fresh`: not one
 *   that was revoked seconds ago.
 * - `root`: the root token.
 * - `handler`: the handler checks one of these credentials itself.
 * - `open`: everybody may call, or the credential is not in a header.
 */
type CallerText =
  | KeyRule
  | `${KeyRule}, fresh`
  | "root"
  | `${KeyRule}, or root`
  | `handler: ${SecurityScheme}${string}`
  | "open";

/** By operation id, in the order of `src/surfaces/all.ts`. */
export const PERMISSIONS_OF_OPERATIONS: Record<string, CallerText> = {
  // Relay sessions
  createRelaySession: "relays:write",
  listRelaySessions: "relays:read",
  getRelaySession: "relays:read",
  deleteRelaySession: "relays:write",
  authorizeRelayUser: "relays:write",
  revokeRelayUser: "relays:write",
  assignRelayHost: "relays:write",
  rotateRelayJoinCode: "relays:write",
  deleteRelayJoinCode: "relays:write",

  // Hosting without a backend
  // An API key needs relays:host.
  hostRelaySession: "handler: apiKey, operatorToken",

  // Joining and connecting
  // The join code is the credential.
  joinRelaySession: "open",
  connectRelayHost: "handler: relayTokens, deviceToken",
  connectRelayClient: "handler: relayTokens, deviceToken",

  // Connections
  listConnections: "connections:get",
  createConnection: "connections:create",
  getConnection: "connections:get",
  deleteConnection: "connections:delete",
  listConnectionsApiV2: "connections:get",
  createConnectionApiV2: "connections:create",
  getConnectionApiV2: "connections:get",
  deleteConnectionApiV2: "connections:delete",

  // Relay permissions
  listRelayPermissions: "relay-permissions:get",
  createRelayPermission: "relay-permissions:create",
  listRelayPermissionsOfConnection: "relay-permissions:get",
  getRelayPermission: "relay-permissions:get",
  updateRelayPermission: "relay-permissions:update",
  deleteRelayPermission: "relay-permissions:delete",
  listRelayPermissionsApiV2: "relay-permissions:get",
  createRelayPermissionApiV2: "relay-permissions:create",
  listRelayPermissionsOfConnectionApiV2: "relay-permissions:get",
  getRelayPermissionApiV2: "relay-permissions:get",
  updateRelayPermissionApiV2: "relay-permissions:update",
  deleteRelayPermissionApiV2: "relay-permissions:delete",

  // API keys
  listApiKeys: "keys:read",
  getApiKey: "keys:read",
  createApiKey: "keys:write, fresh",
  updateApiKey: "keys:write, fresh",
  deleteApiKey: "keys:write, fresh",

  // Users and sources
  createUser: "sessions:write",
  listUsers: "sessions:read",
  getUser: "sessions:read",
  updateUser: "sessions:write",
  createSource: "sessions:write",
  listSources: "sessions:read",
  getSource: "sessions:read",
  updateSource: "sessions:write",

  // Source sessions
  createSourceSession: "sessions:write",
  listSourceSessions: "sessions:read",
  getSourceSession: "sessions:read",
  deleteSourceSession: "sessions:write",

  // Account
  getOwnOrganisation: "any key",
  getOwnKey: "any key",
  getKeyOfOrganisation: "any key",

  // Events (ricloud)
  listRicloudEvents: "events:read",
  getRicloudEvent: "events:read",

  // Webhook configs
  createWebhookConfig: "webhooks:write",
  listWebhookConfigs: "webhooks:read",
  getWebhookConfig: "webhooks:read",
  updateWebhookConfig: "webhooks:write",
  deleteWebhookConfig: "webhooks:write",
  testWebhookConfig: "webhooks:write",
  testWebhookConfigWithGet: "webhooks:write",

  // PolarClaw
  // Each action needs its own permission: `ACTIONS` of src/surfaces/polarclaw/actions.ts.
  callRpcWithGet: "handler: apiKey, operatorToken, acs3Signature, rpcSignature",
  callRpc: "handler: apiKey, operatorToken, acs3Signature, rpcSignature",

  // Service
  getHealth: "open",
  getIp: "open",

  // Organisations
  createOrganisation: "root",
  listOrganisations: "root",
  deleteOrganisation: "root",

  // Operators
  // The credential is in the body, an API key with operator:sign-in or a sign-in code; or Cloudflare Access.
  createSessionToken: "open",
  getSessionToken: "any key",
  deleteSessionToken: "operator:sign-in",
  createSignInCode: "root",
  listSignInMethods: "open",

  // Key verification
  verifyKey: "keys:read",

  // Relay permission check
  checkRelay: "relay-permissions:get",

  // Links of relay nodes
  linkRelayNode: "handler: relayNodeToken",
  openRelayNodeTrunk: "handler: relayNodeToken",

  // Relay nodes
  // An API key needs relay-nodes:read or relay-nodes:write.
  createRelayNode: "relay-nodes:write, or root",
  listRelayNodes: "relay-nodes:read, or root",
  getRelayNode: "relay-nodes:read, or root",
  changeRelayNode: "relay-nodes:write, or root",
  rotateRelayNodeToken: "relay-nodes:write, or root",
  deleteRelayNode: "relay-nodes:write, or root",

  // Connectors
  putConnector: "connectors:write",
  getConnector: "sessions:read",
  deleteConnector: "connectors:write",
  rotateConnectorSecret: "connectors:write",

  // Session actions
  useSession: "sessions:write",
  expireSession: "handler: rootToken, connectorSignature",

  // Webhook endpoints
  createWebhookEndpoint: "webhooks:write",
  listWebhookEndpoints: "webhooks:read",
  getWebhookEndpoint: "webhooks:read",
  updateWebhookEndpoint: "webhooks:write",
  deleteWebhookEndpoint: "webhooks:write",
  testWebhookEndpoint: "webhooks:write",

  // Webhook secrets
  getWebhookEndpointSecret: "webhooks:write",
  rotateWebhookEndpointSecret: "webhooks:write",
  getOrganisationWebhookSecret: "webhooks:write",
  rotateOrganisationWebhookSecret: "webhooks:write",

  // Webhook deliveries
  listWebhookDeliveries: "webhooks:read",
  getWebhookDelivery: "webhooks:read",
  resendWebhookDelivery: "webhooks:write",
  startWebhookRecovery: "webhooks:write",
  getWebhookRecovery: "webhooks:read",

  // Events
  listEvents: "events:read",
  getEvent: "events:read",

  // Pairing (devices)
  // A challenge is worth nothing without a device's key.
  createPairingChallenge: "open",
  // The signature of the device is the credential.
  requestPairing: "open",
  pollPairingRequest: "handler: pollToken",

  // Applications
  createApplication: "devices:manage",
  listApplications: "devices:list",
  getApplication: "devices:list",

  // Pairing requests
  listPairingRequests: "devices:list",
  listAllPairingRequests: "devices:list",
  approvePairingRequest: "devices:approve",
  rejectPairingRequest: "devices:approve",
  createSetupCode: "devices:approve",

  // Devices
  listDevices: "devices:list",
  getDevice: "devices:list",
  labelDevice: "devices:manage",
  removeDevice: "devices:remove",
  // An API key needs devices:manage.
  rotateDeviceToken: "handler: deviceToken, apiKey, operatorToken",
  revokeDeviceToken: "devices:manage",
  verifyDeviceToken: "devices:list",
};

/** The operations that pages of every origin may call, said a second time. */
export const OPEN_TO_EVERY_ORIGIN: readonly string[] = [
  "hostRelaySession",
  "joinRelaySession",
  "getHealth",
  "getIp",
  "createPairingChallenge",
  "requestPairing",
  "pollPairingRequest",
];
