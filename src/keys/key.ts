/** What an API key is, and whether it works now. Pure. */
import type { PreviousSecret } from "../db/schema/webhooks";
import { isAllowedFrom } from "./allowlist";

/** The part of a key that decides whether a request is allowed. Times are Unix milliseconds. */
export interface ApiKey {
  id: number;
  /** The first is where the key acts. */
  organisationIds: readonly number[];
  permissions: readonly string[];
  /** CIDRs; empty: from anywhere. */
  ipAllowlist: readonly string[];
  blocked: boolean;
  expiresAt: number | null;
  /** Until when the token works that the caller sent. Null: it has no end. */
  tokenValidUntil: number | null;
}

/** The key that a caller authenticates with: also its names, and what ends its operators' session tokens. */
export interface CallerKey extends ApiKey {
  name: string;
  dnsName: string | null;
  emails: readonly string[];
  /** Rises with every refresh. Each session token and access key belongs to one version. */
  tokenVersion: number;
  /** Older versions of the token that still work, newest last. */
  previousTokens: readonly PreviousSecret[];
  /** The ids of session tokens of this key whose operator has signed out. */
  signedOut: readonly string[];
}

/** A key as D1 has it, for showing and changing it. Times are Unix milliseconds. */
export interface KeyRecord {
  id: number;
  /** Rises with every change. */
  version: number;
  name: string;
  organisationIds: readonly number[];
  permissions: readonly string[];
  /** Who is told about the key. If it has operator:sign-in, they may also sign in through Cloudflare Access. */
  emails: readonly string[];
  labels: readonly string[];
  ipAllowlist: readonly string[];
  /** A user name for the owner's other services. Unique in the deployment. */
  dnsName: string | null;
  blocked: boolean;
  createdAt: number;
  updatedAt: number | null;
  expiresAt: number | null;
  tokenShort: string;
  tokenVersion: number;
  tokenCreatedAt: number;
  previousTokens: readonly PreviousSecret[];
}

/** The most that a key can have of each. Lengths are in characters. */
export const KEY_BOUNDS = {
  nameLength: 100,
  organisations: 100,
  permissions: 100,
  emails: 20,
  labels: 20,
  labelLength: 64,
  ipAllowlist: 100,
} as const;

/** What an event says about a key. Not its organisations: only one of them reads the event. */
export type KeyFacts = Pick<
  KeyRecord,
  | "id"
  | "version"
  | "name"
  | "permissions"
  | "emails"
  | "labels"
  | "ipAllowlist"
  | "dnsName"
  | "blocked"
  | "createdAt"
  | "updatedAt"
  | "expiresAt"
>;

/** The fields of a key that events show. */
export function keyFacts(key: KeyFacts): KeyFacts {
  const { id, version, name, permissions, emails, labels, ipAllowlist, dnsName } = key;
  const { blocked, createdAt, updatedAt, expiresAt } = key;
  return {
    id,
    version,
    name,
    permissions,
    emails,
    labels,
    ipAllowlist,
    dnsName,
    blocked,
    createdAt,
    updatedAt,
    expiresAt,
  };
}

/** Whether a key works now, from the addresses that it allows. */
export function isUsable(
  key: Pick<KeyRecord, "blocked" | "expiresAt" | "organisationIds">,
  now: number,
): boolean {
  const ended = key.expiresAt !== null && key.expiresAt <= now;
  return !key.blocked && !ended && key.organisationIds.length > 0;
}

/** Why a key does not work. `unknown`: it is answered as if it did not exist. */
export type KeyRefusal = "unknown" | "blocked" | "expired" | "ip-refused";

/** Why a key does not work now and from this address. Null if it works. */
export function checkKey(key: ApiKey, ip: string, now: number): KeyRefusal | null {
  if (key.tokenValidUntil !== null && key.tokenValidUntil <= now) return "unknown";
  if (key.organisationIds.length === 0) return "unknown";
  if (key.blocked) return "blocked";
  if (key.expiresAt !== null && key.expiresAt <= now) return "expired";
  return isAllowedFrom(key.ipAllowlist, ip) ? null : "ip-refused";
}

/** The data of all `key.*` events. */
export interface KeyEventData {
  readonly key: KeyFacts;
}
