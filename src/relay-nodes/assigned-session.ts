/** Sessions and relay permissions as a node is told of them. */
import type { Assignment, NodePermissions } from "../session/relay-node";
import { sessionTokens } from "../session/relay-tokens";
import type { AssignedSession, LinkPermissions } from "./link-protocol";

/**
 * A session as its node is told of it.
 * @param secret the deployment's, from which the tokens are derived
 * @param permissions null: not known
 */
export function toAssignedSession(
  { id, idleSeconds, expiresAt, users, hasSockets }: Assignment,
  secret: string,
  permissions: NodePermissions | null,
): AssignedSession {
  const tokens = sessionTokens(secret, id);
  return {
    id,
    token: tokens.session,
    idle_seconds: idleSeconds,
    expires_at: expiresAt,
    users: users.map(({ gated, ...user }) => ({ n: user.n, token: tokens.user(user), gated })),
    permissions: permissions && toLinkPermissions(permissions),
    trunk: hasSockets,
  };
}

/** Relay permissions as a node is told of them. */
export function toLinkPermissions({ toClients, toHost, ageMs }: NodePermissions): LinkPermissions {
  return { to_clients: [...toClients], to_host: [...toHost], age_ms: ageMs };
}
