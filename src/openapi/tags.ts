/** The headings of the description, in the order in which somebody who is new needs them. */
import type { OperationGroup } from "../http/operation";
import { apiKeys } from "../surfaces/api-keys/operations";
import { rpc } from "../surfaces/polarclaw/rpc";
import { webConnectPrefix } from "../surfaces/relay-permissions/aliases";
import { connections } from "../surfaces/relay-permissions/connections";
import { permissions } from "../surfaces/relay-permissions/permissions";
import { relayHosting } from "../surfaces/relay-sessions/hosting";
import { relayParticipants } from "../surfaces/relay-sessions/participants";
import { relaySessions } from "../surfaces/relay-sessions/sessions";
import { account } from "../surfaces/source-sessions/account";
import { ricloudEvents } from "../surfaces/source-sessions/events";
import { sourceSessions } from "../surfaces/source-sessions/sessions";
import { usersAndSources } from "../surfaces/source-sessions/users";
import { webhookConfigs } from "../surfaces/source-sessions/webhook-configs";
import { applications } from "../surfaces/v1/applications";
import { connectors } from "../surfaces/v1/connectors";
import { devices } from "../surfaces/v1/devices";
import { events } from "../surfaces/v1/events";
import { service } from "../surfaces/v1/health-and-ip";
import { keyVerification } from "../surfaces/v1/key-verification";
import { organisations } from "../surfaces/v1/organisations";
import { pairingByDevices } from "../surfaces/v1/pairing-by-devices";
import { pairingRequests } from "../surfaces/v1/pairing-requests";
import { relayNodeLinks } from "../surfaces/v1/relay-node-links";
import { relayNodes } from "../surfaces/v1/relay-nodes";
import { relayPermissionCheck } from "../surfaces/v1/relay-permissions";
import { sessionActions } from "../surfaces/v1/session-actions";
import { sessionTokens } from "../surfaces/v1/session-tokens";
import { webhookDeliveries } from "../surfaces/v1/webhook-deliveries";
import { webhookEndpoints } from "../surfaces/v1/webhook-endpoints";
import { webhookSecrets } from "../surfaces/v1/webhook-secrets";

/** What exists only for the clients of a vendor stands at the end: others have the same on `/v1`. */
const ORDER: readonly OperationGroup[] = [
  relaySessions,
  relayHosting,
  relayParticipants,
  service,
  organisations,
  apiKeys,
  sessionTokens,
  keyVerification,
  connections,
  permissions,
  relayPermissionCheck,
  relayNodes,
  relayNodeLinks,
  applications,
  pairingByDevices,
  pairingRequests,
  devices,
  usersAndSources,
  sourceSessions,
  sessionActions,
  connectors,
  webhookEndpoints,
  webhookSecrets,
  webhookDeliveries,
  events,
  webConnectPrefix,
  account,
  ricloudEvents,
  webhookConfigs,
  rpc,
];

/**
 * The headings of these groups, in order.
 * @throws Error if a group has no place in the order, or one of the order is not among these
 */
export function tagsOf(groups: readonly OperationGroup[]): { name: string; description: string }[] {
  const lost = [
    ...groups.filter((group) => !ORDER.includes(group)),
    ...ORDER.filter((group) => !groups.includes(group)),
  ];
  if (lost.length > 0) {
    const names = lost.map(({ name }) => name).join(", ");
    throw new Error(`src/openapi/tags.ts and src/surfaces/all.ts differ in ${names}`);
  }
  return ORDER.map(({ name, description, page }) => ({
    name,
    description: `${description} More: \`docs/${page}\`.`,
  }));
}
