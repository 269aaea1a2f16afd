/** What each permission of API keys lets its holder do, in words, grouped by subject. Pure. */

/** One permission. */
export interface ExplainedPermission {
  name: string;
  /** How the sentence "Its holder may …" goes on. */
  words: string;
}

/** Everything. */
export const EVERYTHING = "*";

/** It stands alone: a key that holds it is publishable, and may hold nothing else. */
export const HOSTING = "relays:host";

/** The form of a name of the owner's own, for other services. */
export const OWN_NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** All permissions that Drawbridge knows, but for `*`. */
export const PERMISSION_GROUPS: readonly {
  subject: string;
  permissions: readonly ExplainedPermission[];
}[] = [
  {
    subject: "Pairing and devices",
    permissions: [
      {
        name: "devices:list",
        words: "see applications, pairing requests and devices; verify device tokens",
      },
      { name: "devices:approve", words: "approve and reject pairing requests; make setup codes" },
      {
        name: "devices:manage",
        words: "make applications; label devices; rotate and revoke their tokens",
      },
      { name: "devices:remove", words: "remove devices" },
    ],
  },
  {
    subject: "Relay sessions",
    permissions: [
      { name: "relays:read", words: "see relay sessions" },
      { name: "relays:write", words: "make, change and end relay sessions" },
    ],
  },
  {
    subject: "Connections and relay permissions",
    permissions: [
      { name: "connections:get", words: "see connections" },
      { name: "connections:create", words: "register connections" },
      { name: "connections:delete", words: "delete connections, with their relay permissions" },
      { name: "relay-permissions:get", words: "see relay permissions" },
      { name: "relay-permissions:create", words: "create relay permissions" },
      {
        name: "relay-permissions:update",
        words: "enable and disable relay permissions; change their memos",
      },
      { name: "relay-permissions:delete", words: "delete relay permissions" },
    ],
  },
  {
    subject: "Relay nodes",
    permissions: [
      { name: "relay-nodes:read", words: "see the relay nodes of the organisation" },
      {
        name: "relay-nodes:write",
        words: "make, drain and delete relay nodes; rotate their tokens",
      },
    ],
  },
  {
    subject: "Source sessions",
    permissions: [
      { name: "sessions:read", words: "see source sessions, users, sources and connectors" },
      { name: "sessions:write", words: "make and change source sessions, users and sources" },
      {
        name: "connectors:write",
        words: "register, change and delete connectors; rotate their secrets",
      },
    ],
  },
  {
    subject: "Webhooks and events",
    permissions: [
      { name: "webhooks:read", words: "see webhook endpoints and deliveries" },
      {
        name: "webhooks:write",
        words: "change webhook endpoints; read their secrets; send deliveries again",
      },
      { name: "events:read", words: "read events" },
    ],
  },
  {
    subject: "API keys and people",
    permissions: [
      { name: "keys:read", words: "see and verify API keys" },
      {
        name: "keys:write",
        words: "make, change and end API keys that hold no more than its own key",
      },
      { name: "operator:sign-in", words: "sign in to this console" },
    ],
  },
  {
    subject: "For a game or a page, which anybody can read",
    permissions: [{ name: HOSTING, words: "host a relay session as a player, and nothing else" }],
  },
];

/** Permissions in a few words: "everything", "none", or the first ones and how many more. */
export function inShort(permissions: readonly string[], most = 2): string {
  if (permissions.includes(EVERYTHING)) return "everything (*)";
  if (permissions.length === 0) return "none";
  const more = permissions.length - most;
  const first = permissions.slice(0, most).join(", ");
  return more > 0 ? `${first} and ${more} more` : first;
}

/**
 * Why a permission cannot be ticked or unticked; null: it can.
 * @param name the permission
 * @param ticked what is ticked now
 * @param before what the key holds already
 * @param holds whether the person holds a permission
 */
export function whyNot(
  name: string,
  ticked: readonly string[],
  before: readonly string[],
  holds: (permission: string) => boolean,
): string | null {
  // What is ticked can always be taken away.
  if (ticked.includes(name)) return null;
  if (!holds(name) && !before.includes(name)) return "Your own key does not hold it.";
  if (name === HOSTING && ticked.length > 0) return "It stands alone. Untick all others first.";
  if (name !== HOSTING && ticked.includes(HOSTING)) return `${HOSTING} stands alone.`;
  return null;
}

/** Names of the owner's own among these permissions. */
export function ownNames(permissions: readonly string[]): string[] {
  return permissions.filter((name) => OWN_NAME.test(name));
}
