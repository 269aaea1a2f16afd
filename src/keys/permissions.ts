/** The permissions of API keys, and the rule that says whether a key has one. */

/**
 * All permissions that Drawbridge's operations need. Each has a colon in its name. Names without a colon are
 * the owner's own, for other services.
 */
export const PERMISSIONS = [
  "relays:read",
  "relays:write",
  "relays:host",
  "relay-nodes:read",
  "relay-nodes:write",
  "relay-permissions:get",
  "relay-permissions:create",
  "relay-permissions:update",
  "relay-permissions:delete",
  "connections:get",
  "connections:create",
  "connections:delete",
  "sessions:read",
  "sessions:write",
  "connectors:write",
  "devices:list",
  "devices:approve",
  "devices:remove",
  "devices:manage",
  "webhooks:read",
  "webhooks:write",
  "events:read",
  "keys:read",
  "keys:write",
  "operator:sign-in",
] as const;

/** A permission that a route of Drawbridge needs. */
export type Permission = (typeof PERMISSIONS)[number];

/** With it, operators can sign in as the key. Without it, those who are signed in are out. */
export const OPERATOR_SIGN_IN: Permission = "operator:sign-in";

/**
 * A key with this is publishable: it may stand in a game that anybody can read. It can do nothing else, also
 * not what any other key can.
 */
export const HOST_SESSIONS: Permission = "relays:host";

/** A key with this has every permission, also every one of the owner's own. */
export const ALL_PERMISSIONS = "*";

/** The form of a name of the owner's own. */
export const OWN_PERMISSION = /^[A-Za-z0-9._-]{1,64}$/;

/** What can be a permission, in words, for error messages. */
export const PERMISSION_RULE = `must be *, one of ${PERMISSIONS.join(", ")}, or a name of your own: 1 to 64 letters, digits, dots, _ or -`;

/** Whether a key with these permissions is publishable. */
export function isPublishable(held: readonly string[]): boolean {
  return held.includes(HOST_SESSIONS);
}

/** Whether these permissions may stand in one key: `relays:host` stands alone. */
export function mayStandTogether(permissions: readonly string[]): boolean {
  return !isPublishable(permissions) || permissions.length === 1;
}

/**
 * Whether a key with the permissions `held` has the permission `needed`; null: whether it may do what needs
 * none. A publishable key has only the one that makes it so, whatever stands beside it.
 */
export function hasPermission(held: readonly string[], needed: string | null): boolean {
  if (isPublishable(held)) return needed === HOST_SESSIONS;
  return needed === null || held.includes(ALL_PERMISSIONS) || held.includes(needed);
}
