/** What an API key may do, and the one rule that says whether it does. */

/**
 * All permissions that Drawbridge itself asks for: a closed list. Each has a colon in its name; names
 * without one are the owner's own.
 */
export const PERMISSIONS = [
  "relays:read",
  "relays:write",
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

/** One of Drawbridge's own permissions. */
export type Permission = (typeof PERMISSIONS)[number];

/** What a key needs for operators to sign in as it, and to stay signed in. */
export const OPERATOR_SIGN_IN: Permission = "operator:sign-in";

/** Holds every permission, the owner's own too. */
export const ALL_PERMISSIONS = "*";

const OWN_NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** Whether a key can be given this: all, one of ours, or a name of the owner's own. */
export function isPermission(name: string): boolean {
  return (
    name === ALL_PERMISSIONS ||
    (PERMISSIONS as readonly string[]).includes(name) ||
    OWN_NAME.test(name)
  );
}

/** What `isPermission` asks for, in words. */
export const PERMISSION_RULE = `must be *, one of ${PERMISSIONS.join(", ")}, or a name of your own: 1 to 64 letters, digits, dots, _ or -`;

/** Whether who holds `held` may do what `needed` stands for. */
export function hasPermission(held: readonly string[], needed: string): boolean {
  return held.includes(ALL_PERMISSIONS) || held.includes(needed);
}
