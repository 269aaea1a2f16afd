/** Requests about relay sessions, connections and relay permissions. */
import type { Tenant } from "../client";
import { create as createPermission, register } from "../permissions";
import { makeNode } from "../relay-node";
import { create as createSession } from "../sessions";
import type { RequestRows } from "./all";

const onSession = async ({ key }: Tenant) => ({
  params: { id: (await createSession(key)).body.session_id },
});

const onRelayNode = async ({ key }: Tenant) => ({ params: { id: (await makeNode(key)).id } });

let connections = 0;

/** An id that no other connection of these tests has. */
function newConnectionId(): string {
  connections += 1;
  return `c${connections}`;
}

async function onConnection({ key }: Tenant) {
  const connectionId = newConnectionId();
  await register(key, connectionId);
  return { params: { connectionId } };
}

/** On a permission of a connection of its own: a test may make the request more than once. */
async function onPermission(tenant: Tenant) {
  const { params } = await onConnection(tenant);
  await createPermission(tenant.key, params.connectionId, "remote", "send");
  return { params: { ...params, remoteConnectionId: "remote", direction: "send" } };
}

/** The operations that there are twice, under two paths. */
const onTwoPaths: RequestRows = {
  getConnection: onConnection,
  createConnection: () => ({ body: { connectionId: newConnectionId() } }),
  deleteConnection: onConnection,
  listRelayPermissionsOfConnection: onPermission,
  getRelayPermission: onPermission,
  createRelayPermission: async (tenant) => {
    const { params } = await onConnection(tenant);
    return { body: { ...params, remoteConnectionId: "remote", direction: "send" } };
  },
  updateRelayPermission: onPermission,
  deleteRelayPermission: onPermission,
};

export const relayRequests: RequestRows = {
  getRelaySession: onSession,
  deleteRelaySession: onSession,
  authorizeRelayUser: async ({ key }) => {
    const { session_id } = (await createSession(key)).body;
    return { body: { session_id, user_ip: "192.0.2.1" } };
  },
  revokeRelayUser: async ({ key }) => {
    const { body } = await createSession(key, { users: [{ ip: "192.0.2.1" }] });
    const { authorization_token } = body.session_users[0];
    return { body: { session_id: body.session_id, authorization_token } };
  },
  assignRelayHost: async ({ key }) => {
    const users = [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }];
    const { body } = await createSession(key, { users });
    const { authorization_token } = body.session_users[1];
    return { body: { session_id: body.session_id, authorization_token } };
  },
  rotateRelayJoinCode: onSession,
  deleteRelayJoinCode: onSession,
  joinRelaySession: async ({ key }) => {
    const { join_code } = (await createSession(key, { join_code: true })).body;
    return { body: { join_code } };
  },
  // No request of these tests is one for a websocket.
  connectRelayHost: () => ({ status: 426 }),
  connectRelayClient: () => ({ status: 426 }),
  linkRelayNode: () => ({ status: 426 }),
  openRelayNodeTrunk: () => ({ status: 426 }),
  getRelayNode: onRelayNode,
  changeRelayNode: onRelayNode,
  rotateRelayNodeToken: onRelayNode,
  deleteRelayNode: onRelayNode,
  ...onTwoPaths,
  ...Object.fromEntries(Object.entries(onTwoPaths).map(([id, row]) => [`${id}ApiV2`, row])),
};
