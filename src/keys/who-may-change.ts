/**
 * Decides who may create and change API keys. Nobody can give a key, or keep in one, more than they have
 * themselves, and no key can loosen its own limits. Pure.
 */
import type { PreviousSecret } from "../db/schema/webhooks";
import { isWiderAllowlist } from "./allowlist";
import { MAX_GRACES, tokensAfterRefresh } from "./grace";
import type { KeyRecord } from "./key";
import { ALL_PERMISSIONS, hasPermission } from "./permissions";

/** The fields of a key that callers set. */
export type KeySettings = Pick<
  KeyRecord,
  | "name"
  | "organisationIds"
  | "permissions"
  | "emails"
  | "labels"
  | "ipAllowlist"
  | "dnsName"
  | "blocked"
  | "expiresAt"
>;

/** A change of a key. Fields that are left out stay as they are. */
export interface KeyChange extends Partial<KeySettings> {
  /** Gives the key a new token. The current one still works for `graceSeconds` (0: it ends at once). */
  refresh?: { graceSeconds: number };
}

/** The key that creates or changes a key, or the key of the operator who does. */
export interface Granter {
  keyId: number;
  /** The organisation in which the call is made. Keys of other organisations are not found. */
  organisationId: number;
  /** All organisations of the granter's key. */
  organisationIds: readonly number[];
  permissions: readonly string[];
  /**
   * When the granter's key ends, or the token that it came with (an older one in its grace), in Unix
   * milliseconds. Null: it has no end.
   */
  expiresAt: number | null;
  /** Whether it came with an old token that is in its grace, or signed in with one. */
  inGrace: boolean;
  /** The version of the key's newest token when they came: another one may have taken its place since. */
  tokenVersion: number;
  /** The addresses from which the granter's key may be used: CIDRs. Empty: from anywhere. */
  ipAllowlist: readonly string[];
}

/** The limits that a key can have. */
export type KeyLimit = "expiresAt" | "ipAllowlist";

/** What a key has that its granter does not have: a permission, a later end, or more addresses. */
export type KeyExcess = { permission: string } | { limit: KeyLimit };

/** Why a key was not created, changed or deleted. Nothing was stored. */
export type KeyChangeRefusal =
  | { code: "not-found" }
  | { code: "unknown-organisation" }
  | { code: "permission-not-held"; permission: string }
  /** The end is later than the granter's own, or the allowlist wider. */
  | { code: "limit-not-held"; limit: KeyLimit }
  /** The key has this, and the granter does not. The granter can only take things away from such a key. */
  | { code: "key-holds-more"; excess: KeyExcess }
  /** A key cannot loosen its own limits. */
  | { code: "own-limits" }
  /** The key also belongs to an organisation that is not one of the granter's. */
  | { code: "shared-key" }
  | { code: "dns-name-taken"; dnsName: string }
  /** `MAX_GRACES` older tokens still work: there is no room for another grace. */
  | { code: "too-many-graces" };

/** The events of keys. */
export type KeyEventType =
  | "key.created"
  | "key.updated"
  | "key.refreshed"
  | "key.blocked"
  | "key.deleted"
  | "key.expiring";

/** The key's new settings and the events of the change. Without an event, there is nothing to store. */
export type ChangeDecision =
  | {
      ok: true;
      settings: KeySettings;
      /** After a refresh: the older tokens that still work. Null: the token is not refreshed. */
      previousTokens: readonly PreviousSecret[] | null;
      events: KeyEventType[];
    }
  | { ok: false; refusal: KeyChangeRefusal };

/** Why this granter may not create a key with these settings. Null if they may. */
export function checkKeyCreation(
  granter: Granter,
  settings: Pick<KeySettings, "organisationIds" | "permissions" | KeyLimit>,
): KeyChangeRefusal | null {
  const refusal = checkGrant(granter, settings.organisationIds, settings.permissions);
  if (refusal) return refusal;
  const [limit] = limitsBeyond(granter, settings);
  return limit ? { code: "limit-not-held", limit } : null;
}

/**
 * Decides whether this granter may change the key so, and what the change is.
 * @param now Unix milliseconds
 */
export function decideKeyChange(
  granter: Granter,
  key: KeyRecord,
  change: KeyChange,
  now: number,
): ChangeDecision {
  const { refresh, ...changed } = change;
  const settings: KeySettings = { ...settingsOf(key), ...changed };
  const refusal = checkChange(granter, key, settings, refresh !== undefined);
  if (refusal) return { ok: false, refusal };
  const previousTokens = refresh
    ? tokensAfterRefresh(key, refresh.graceSeconds * 1_000, now)
    : null;
  if (previousTokens && previousTokens.length > MAX_GRACES) {
    return { ok: false, refusal: { code: "too-many-graces" } };
  }
  const events: KeyEventType[] = [];
  const nowBlocked = settings.blocked && !key.blocked;
  const before = { ...settingsOf(key), blocked: key.blocked || nowBlocked };
  if (!isSame(before, settings)) events.push("key.updated");
  if (refresh) events.push("key.refreshed");
  if (nowBlocked) events.push("key.blocked");
  return { ok: true, settings, previousTokens, events };
}

/** Those of these organisations that are not the granter's. In them, a key stays when the granter deletes it. */
export function organisationsUnknownTo(
  granter: Granter,
  organisationIds: readonly number[],
): readonly number[] {
  return organisationIds.filter((id) => !granter.organisationIds.includes(id));
}

function checkChange(
  granter: Granter,
  key: KeyRecord,
  next: KeySettings,
  refreshes: boolean,
): KeyChangeRefusal | null {
  if (organisationsUnknownTo(granter, key.organisationIds).length > 0)
    return { code: "shared-key" };
  const added = next.permissions.filter((name) => !key.permissions.includes(name));
  const refusal = checkGrant(granter, next.organisationIds, added);
  if (refusal) return refusal;
  if (key.id === granter.keyId && loosensLimits(key, next)) return { code: "own-limits" };
  const limit = limitsBeyond(granter, next).find((name) => !isSame(next[name], key[name]));
  if (limit) return { code: "limit-not-held", limit };
  const excess = findExcess(granter, key);
  const widens = refreshes || isOfMoreUse(next, key);
  return excess && widens ? { code: "key-holds-more", excess } : null;
}

function checkGrant(
  granter: Granter,
  organisationIds: readonly number[],
  permissions: readonly string[],
): KeyChangeRefusal | null {
  if (organisationIds.some((id) => !granter.organisationIds.includes(id))) {
    return { code: "unknown-organisation" };
  }
  const permission = permissions.find((name) => !hasPermission(granter.permissions, name));
  return permission === undefined ? null : { code: "permission-not-held", permission };
}

/** The first thing that the key has and the granter does not. Null: there is none. */
function findExcess(granter: Granter, key: KeyRecord): KeyExcess | null {
  // Also where the key itself ends before the grace: its newest token is not the granter's. So once an operator
  // has refreshed a stolen key, a thief's change that was decided before is refused.
  const cameWithOlder = granter.inGrace || granter.tokenVersion !== key.tokenVersion;
  if (granter.keyId === key.id && cameWithOlder) return { limit: "expiresAt" };
  const permission = key.permissions.find((name) => !hasPermission(granter.permissions, name));
  if (permission !== undefined) return { permission };
  const [limit] = limitsBeyond(granter, key);
  return limit ? { limit } : null;
}

/** The limits that are looser than the granter's own. */
function limitsBeyond(granter: Granter, limits: Pick<KeySettings, KeyLimit>): KeyLimit[] {
  const beyond: KeyLimit[] = [];
  if (endsLater(limits.expiresAt, granter.expiresAt)) beyond.push("expiresAt");
  if (isWiderAllowlist(limits.ipAllowlist, granter.ipAllowlist)) beyond.push("ipAllowlist");
  return beyond;
}

/**
 * Whether a change makes a key more useful to somebody: it has more permissions, works longer, from more
 * addresses or for more people, or acts in another organisation. Names and labels do not count.
 */
function isOfMoreUse(next: KeySettings, key: KeySettings): boolean {
  // A key that had all permissions and gets a list of them has fewer now.
  const wasAll = hasPermission(key.permissions, ALL_PERMISSIONS);
  const narrowsAll = wasAll && !hasPermission(next.permissions, ALL_PERMISSIONS);
  const kept = key.organisationIds.filter((id) => next.organisationIds.includes(id));
  return (
    loosensLimits(key, next) ||
    (!narrowsAll && next.permissions.some((name) => !key.permissions.includes(name))) ||
    // These people can sign in as the key, if it has the permission for that.
    next.emails.some((email) => !key.emails.includes(email)) ||
    next.dnsName !== key.dnsName ||
    // A key acts in its first organisation. Other organisations count if they are new.
    next.organisationIds[0] !== key.organisationIds[0] ||
    !isSame(kept, next.organisationIds)
  );
}

function loosensLimits(key: KeySettings, next: KeySettings): boolean {
  const unblocks = key.blocked && !next.blocked;
  const lengthens = endsLater(next.expiresAt, key.expiresAt);
  return unblocks || lengthens || isWiderAllowlist(next.ipAllowlist, key.ipAllowlist);
}

/** Whether `end` is later than `other`, in Unix milliseconds. Null: no end. */
function endsLater(end: number | null, other: number | null): boolean {
  return other !== null && (end === null || end > other);
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function settingsOf(key: KeyRecord): KeySettings {
  return {
    name: key.name,
    organisationIds: key.organisationIds,
    permissions: key.permissions,
    emails: key.emails,
    labels: key.labels,
    ipAllowlist: key.ipAllowlist,
    dnsName: key.dnsName,
    blocked: key.blocked,
    expiresAt: key.expiresAt,
  };
}
