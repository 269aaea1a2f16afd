/**
 * What may be made of a key, and by whom: nobody gives what they do not hold, and no key frees itself.
 * Pure.
 */
import { isLooser } from "./allowlist";
import type { KeyRecord } from "./key";
import { holds } from "./permissions";

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
}

/** Why a key was not made or changed. Nothing was. */
export type ManageRefusal =
  | { code: "not-found" }
  | { code: "unknown-organisation" }
  | { code: "permission-not-held"; permission: string }
  /** `permission` is one that the key holds and the granter does not. */
  | { code: "key-holds-more"; permission: string }
  | { code: "own-limits" }
  /** The key acts in an organisation that the granter does not know. */
  | { code: "shared-key" }
  | { code: "dns-name-taken"; dnsName: string };
/** Others kept changing it meanwhile. */

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
  | { ok: true; settings: KeySettings; refresh: KeyChange["refresh"]; events: KeyEventType[] }
  | { ok: false; refusal: ManageRefusal };

/** Why this granter may not give these organisations and permissions; null if they may. */
export function judgeGrant(
  granter: Granter,
  given: { organisationIds: readonly number[]; permissions: readonly string[] },
): ManageRefusal | null {
  if (given.organisationIds.some((id) => !granter.organisationIds.includes(id))) {
    return { code: "unknown-organisation" };
  }
  const permission = given.permissions.find((name) => !holds(granter.permissions, name));
  return permission === undefined ? null : { code: "permission-not-held", permission };
}

/** Answers a change of a key. */
export function decideChange(granter: Granter, key: KeyRecord, change: KeyChange): ChangeDecision {
  const { refresh, ...asked } = change;
  const settings: KeySettings = { ...settingsOf(key), ...asked };
  const refusal = judgeChange(granter, key, settings, refresh !== undefined);
  if (refusal) return { ok: false, refusal };
  const events: KeyEventType[] = [];
  const nowBlocked = settings.blocked && !key.blocked;
  const before = { ...settingsOf(key), blocked: key.blocked || nowBlocked };
  if (JSON.stringify(before) !== JSON.stringify(settings)) events.push("key.updated");
  if (refresh) events.push("key.refreshed");
  if (nowBlocked) events.push("key.blocked");
  return { ok: true, settings, refresh, events };
}

/** What is left of a key whose organisations are `organisationIds` when its granter deletes it. */
export function organisationsWithout(
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
): ManageRefusal | null {
  if (organisationsWithout(granter, key.organisationIds).length > 0) return { code: "shared-key" };
  const refusal = judgeGrant(granter, {
    organisationIds: next.organisationIds,
    permissions: next.permissions.filter((name) => !key.permissions.includes(name)),
  });
  if (refusal) return refusal;
  if (key.id === granter.keyId && loosensLimits(key, next)) return { code: "own-limits" };
  // Of a key that holds more, only less can be made: everything else would put it to the granter's use.
  const permission = key.permissions.find((name) => !holds(granter.permissions, name));
  const widens =
    refreshes ||
    loosensLimits(key, next) ||
    next.dnsName !== key.dnsName ||
    next.emails.some((email) => !key.emails.includes(email)) ||
    next.organisationIds.some((id) => !key.organisationIds.includes(id));
  if (permission !== undefined && widens) return { code: "key-holds-more", permission };
  return null;
}

function loosensLimits(key: KeyRecord, next: KeySettings): boolean {
  const unblocks = key.blocked && !next.blocked;
  const lengthens =
    key.expiresAt !== null && (next.expiresAt === null || next.expiresAt > key.expiresAt);
  return unblocks || lengthens || isLooser(next.ipAllowlist, key.ipAllowlist);
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
