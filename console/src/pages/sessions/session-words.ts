/** What a relay session is and where it is, in words. Pure. */
import type { RelaySession, RelaySessionUser } from "drawbridge-client";
import { regionWords } from "../../regions";

/** The state in the words of the documents: the API has Edgegap's. */
export const STATES = {
  Initializing: { word: "pending", kind: "warn" },
  READY: { word: "active", kind: "good" },
  Error: { word: "failed", kind: "bad" },
  Ended: { word: "expired", kind: "plain" },
} as const;

/** Whether a relay node carries it. */
export function isOnRelayNode({ relay }: RelaySession): boolean {
  return relay?.websocket !== undefined;
}

/** Where it is: the host of its relay node, or the region that was asked for. */
export function placeOf(session: RelaySession): string {
  if (isOnRelayNode(session)) return `relay node ${session.relay?.host}`;
  return regionWords(session.region) ?? "near its creator";
}

/** How many users are connected; null: that is not known. */
export function connectedOf(users: readonly RelaySessionUser[]): number | null {
  if (users.some(({ connected }) => connected === null)) return null;
  return users.filter(({ connected }) => connected).length;
}

/** The users in words: "2 connected of 3, room for 16"; "3 authorised, …" where it is not known who is connected. */
export function usersWords({ session_users: users, max_users: most }: RelaySession): string {
  const connected = connectedOf(users);
  const who =
    connected === null ? `${users.length} authorised` : `${connected} connected of ${users.length}`;
  return `${who}, room for ${most}`;
}

/** How a user is named in a sentence: the address, and the connection if there is one. */
export function nameOf({ ip_address: ip, connection_id: connection }: RelaySessionUser): string {
  return connection === null ? ip : `${ip} (${connection})`;
}

/** The beginning of the metadata on one line; null: there is none. */
export function metadataInShort(metadata: RelaySession["metadata"], most = 60): string | null {
  const whole = Object.entries(metadata ?? {})
    .map(([name, value]) => `${name}: ${value}`)
    .join(", ");
  if (whole === "") return null;
  const characters = [...whole];
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : whole;
}
