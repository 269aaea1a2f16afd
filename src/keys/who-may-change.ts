/**
 * What may be made of a key, and by whom: nobody gives, keeps or widens what they do not hold, and no
 * key frees itself. Pure.
 */
import type { PreviousSecret } from "../db/schema/webhooks";
import { isWiderAllowlist } from "./allowlist";
import { MOST_GRACES, tokensAfterRefresh } from "./grace";
import type { KeyRecord } from "./key";
import { ALL_PERMISSIONS, hasPermission } from "./permissions";

/** What of a key its managers set. */
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

/** A change of a key: what is left out stays. */
export interface KeyChange extends Partial<KeySettings> {
  /** A new token; the one before works for so long. */
  refresh?: { graceSeconds: number };
}

/** Who asks, and what they hold. */
export interface Granter {
  keyId: number;
  /** Where they act: keys of other organisations are not found. */
  organisationId: number;
  organisationIds: readonly number[];
  permissions: readonly string[];
  /**
   * When that ends which they came with, in Unix milliseconds: their key, or a token of it that was
   * refreshed and is in its grace. Null: it has no end.
   */
  expiresAt: number | null;
  /** From where their key may be used: CIDRs; empty: from anywhere. */
  ipAllowlist: readonly string[];
}

/** A limit of a key. */
export type KeyLimit = "expiresAt" | "ipAllowlist";

/** What a key has beyond its granter: a permission, or a later end or more addresses. */
export type KeyExcess = { permission: string } | { limit: KeyLimit };

/** Why a key was not made or changed. Nothing was. */
export type KeyChangeRefusal =
  | { code: "not-found" }
  | { code: "unknown-organisation" }
  | { code: "permission-not-held"; permission: string }
  /** The end is later than the granter's own, or the allowlist wider. */
  | { code: "limit-not-held"; limit: KeyLimit }
  /** The key has this beyond the granter: it can be made less of, and nothing else. */
  | { code: "key-holds-more"; excess: KeyExcess }
  | { code: "own-limits" }
  /** The key acts in an organisation that the granter does not know. */
  | { code: "shared-key" }
  | { code: "dns-name-taken"; dnsName: string }
  /** So many older tokens still work that another grace has no room. */
  | { code: "too-many-graces" };

/** What is announced of a change. */
export type KeyEventType =
  | "key.created"
  | "key.updated"
  | "key.refreshed"
  | "key.blocked"
  | "key.deleted"
  | "key.expiring";

/** The key as it is to be, and what is announced of it; without an event, nothing changes. */
export type ChangeDecision =
  | {
      ok: true;
      settings: KeySettings;
      /** The older tokens that still work after a refresh; null: the token stays. */
      previousTokens: readonly PreviousSecret[] | null;
      events: KeyEventType[];
    }
  | { ok: false; refusal: KeyChangeRefusal };

/** Why this granter may not make a key with these settings; null if they may. */
export function checkKeyCreation(
  granter: Granter,
  settings: Pick<KeySettings, "organisationIds" | "permissions" | KeyLimit>,
): KeyChangeRefusal | null {
  const refusal = judgeGrant(granter, settings.organisationIds, settings.permissions);
  if (refusal) return refusal;
  const [limit] = limitsBeyond(granter, settings);
  return limit ? { code: "limit-not-held", limit } : null;
}

/**
 * Answers a change of a key.
 * @param now Unix milliseconds
 */
export function decideKeyChange(
  granter: Granter,
  key: KeyRecord,
  change: KeyChange,
  now: number,
): ChangeDecision {
  const { refresh, ...asked } = change;
  const settings: KeySettings = { ...settingsOf(key), ...asked };
  const refusal = judgeChange(granter, key, settings, refresh !== undefined);
  if (refusal) return { ok: false, refusal };
  const previousTokens = refresh
    ? tokensAfterRefresh(key, refresh.graceSeconds * 1_000, now)
    : null;
  if (previousTokens && previousTokens.length > MOST_GRACES) {
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

/** What is left of a key whose organisations are `organisationIds` when its granter deletes it. */
export function organisationsUnknownTo(
  granter: Granter,
  organisationIds: readonly number[],
): readonly number[] {
  return organisationIds.filter((id) => !granter.organisationIds.includes(id));
}

function judgeChange(
  granter: Granter,
  key: KeyRecord,
  next: KeySettings,
  refreshes: boolean,
): KeyChangeRefusal | null {
  if (organisationsUnknownTo(granter, key.organisationIds).length > 0)
    return { code: "shared-key" };
  const added = next.permissions.filter((name) => !key.permissions.includes(name));
  const refusal = judgeGrant(granter, next.organisationIds, added);
  if (refusal) return refusal;
  if (key.id === granter.keyId && loosensLimits(key, next)) return { code: "own-limits" };
  const limit = limitsBeyond(granter, next).find((name) => !isSame(next[name], key[name]));
  if (limit) return { code: "limit-not-held", limit };
  const excess = findExcess(granter, key);
  const widens = refreshes || isOfMoreUse(next, key);
  return excess && widens ? { code: "key-holds-more", excess } : null;
}

function judgeGrant(
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

/** What the key has that the granter does not; null: nothing. */
function findExcess(granter: Granter, key: KeySettings): KeyExcess | null {
  const permission = key.permissions.find((name) => !hasPermission(granter.permissions, name));
  if (permission !== undefined) return { permission };
  const [limit] = limitsBeyond(granter, key);
  return limit ? { limit } : null;
}

/** The limits that reach further than the granter's own. */
function limitsBeyond(granter: Granter, limits: Pick<KeySettings, KeyLimit>): KeyLimit[] {
  const beyond: KeyLimit[] = [];
  if (endsLater(limits.expiresAt, granter.expiresAt)) beyond.push("expiresAt");
  if (isWiderAllowlist(limits.ipAllowlist, granter.ipAllowlist)) beyond.push("ipAllowlist");
  return beyond;
}

/**
 * Whether a key is of more use after a change than before: it opens more, for longer, from elsewhere,
 * to somebody else, or acts in another organisation. Names and labels open nothing.
 */
function isOfMoreUse(next: KeySettings, key: KeySettings): boolean {
  // Everything is more than what it is exchanged for.
  const wasAll = hasPermission(key.permissions, ALL_PERMISSIONS);
  const narrowsAll = wasAll && !hasPermission(next.permissions, ALL_PERMISSIONS);
  const kept = key.organisationIds.filter((id) => next.organisationIds.includes(id));
  return (
    loosensLimits(key, next) ||
    (!narrowsAll && next.permissions.some((name) => !key.permissions.includes(name))) ||
    // Who may sign in as the key, where it lets operators in.
    next.emails.some((email) => !key.emails.includes(email)) ||
    next.dnsName !== key.dnsName ||
    // The first is where it acts, and where it was not before is more.
    next.organisationIds[0] !== key.organisationIds[0] ||
    !isSame(kept, next.organisationIds)
  );
}

function loosensLimits(key: KeySettings, next: KeySettings): boolean {
  const unblocks = key.blocked && !next.blocked;
  const lengthens = endsLater(next.expiresAt, key.expiresAt);
  return unblocks || lengthens || isWiderAllowlist(next.ipAllowlist, key.ipAllowlist);
}

/** Whether a key with this end works longer than another; null is no end. */
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
