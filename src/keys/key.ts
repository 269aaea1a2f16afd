/** An API key as a request meets it, and what makes it unusable. Pure. */
import ipaddr from "ipaddr.js";

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

/** Why a key does not open anything now. */
export type KeyRefusal = "unknown" | "blocked" | "expired" | "ip-refused";

/** Whether a key works, now and from this address; null if it does. */
export function judgeKey(key: ApiKey, ip: string, now: number): KeyRefusal | null {
  if (key.tokenValidUntil !== null && key.tokenValidUntil <= now) return "unknown";
  if (key.organisationIds.length === 0) return "unknown";
  if (key.blocked) return "blocked";
  if (key.expiresAt !== null && key.expiresAt <= now) return "expired";
  return isAllowedFrom(key.ipAllowlist, ip) ? null : "ip-refused";
}

function isAllowedFrom(cidrs: readonly string[], ip: string): boolean {
  if (cidrs.length === 0) return true;
  if (!ipaddr.isValid(ip)) return false;
  // An IPv4 caller may show up as IPv4-mapped IPv6; both spellings are the same address.
  const address = ipaddr.process(ip);
  return cidrs.some((cidr) => {
    const range = ipaddr.parseCIDR(cidr);
    return address.kind() === range[0].kind() && address.match(range);
  });
}
