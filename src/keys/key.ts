/** An API key as a request meets it, as it is managed, and what makes it unusable. Pure. */
import type { PreviousSecret } from "../db/schema/webhooks";
import { isAllowedFrom } from "./allowlist";

/** What of a key decides about a request. Times are Unix milliseconds. */
export interface ApiKey {
  id: number;
  /** The first is where the key acts. */
  organisationIds: readonly number[];
  permissions: readonly string[];
  /** CIDRs; empty: from anywhere. */
  ipAllowlist: readonly string[];
  blocked: boolean;
  expiresAt: number | null;
  /** Until when the token that was shown works; null: no end. */
  tokenValidUntil: number | null;
}

/** A key as the Worker holds it for a while: with what tells who it is, and what ends its sessions. */
export interface CallerKey extends ApiKey {
  name: string;
  dnsName: string | null;
  emails: readonly string[];
  /** Rises with every refresh; session tokens and access keys belong to one. */
  tokenVersion: number;
  /** Versions before the current one that still work, newest last. */
  previousTokens: readonly PreviousSecret[];
  /** The ids of session tokens of this key whose operator has signed out. */
  signedOut: readonly string[];
}

/** A key as it is managed. Times are Unix milliseconds. */
export interface KeyRecord {
  id: number;
  /** Rises with every change. */
  version: number;
  name: string;
  organisationIds: readonly number[];
  permissions: readonly string[];
  /** Whom to notify; of a key with operator:sign-in also who may sign in through Cloudflare Access. */
  emails: readonly string[];
  labels: readonly string[];
  ipAllowlist: readonly string[];
  /** A user name for other services of the owner; unique in the deployment. */
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

/** What events tell of a key. Not its organisations: an event is read by one of them. */
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

/** What events tell of this key, field by field. */
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

/** Whether a key opens anything now, from an address that it allows. */
export function isUsable(
  key: Pick<KeyRecord, "blocked" | "expiresAt" | "organisationIds">,
  now: number,
): boolean {
  const ended = key.expiresAt !== null && key.expiresAt <= now;
  return !key.blocked && !ended && key.organisationIds.length > 0;
}

/** Why a key does not open anything now. */
export type KeyRefusal = "unknown" | "blocked" | "expired" | "ip-refused";

/** Whether a key works, now and from this address; null if it does. */
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
