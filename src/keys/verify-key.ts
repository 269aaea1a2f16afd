/** Verification of a key on behalf of another service of the owner. Pure. */
import { type CallerKey, checkKey } from "./key";
import { hasPermission } from "./permissions";

/** What the other service wants to know of a token. */
export interface KeyQuestion {
  permission: string | null;
  /** Where the token was used from; unknown: only a key without allowlist is let in. */
  ip: string | null;
  dnsName: string | null;
  organisationId: number | null;
}

export type KeyVerificationCode =
  | "valid"
  | "not-found"
  | "blocked"
  | "expired"
  | "forbidden"
  | "ip-refused";

/** What comes of it. The key is null where the asker is to know nothing of it. */
export interface KeyVerification {
  code: KeyVerificationCode;
  key: CallerKey | null;
  /** The key's organisations that the asker knows. */
  organisationIds: readonly number[];
}

const nothing: KeyVerification = { code: "not-found", key: null, organisationIds: [] };

/**
 * Answers for the key that a token belongs to, if any.
 * @param knownOrganisationIds the asker's own: a key that acts in none of them does not exist
 */
export function verifyKey(
  key: CallerKey | null,
  knownOrganisationIds: readonly number[],
  asked: KeyQuestion,
  now: number,
): KeyVerification {
  if (!key) return nothing;
  const organisationIds = key.organisationIds.filter((id) => knownOrganisationIds.includes(id));
  if (organisationIds.length === 0) return nothing;
  if (asked.dnsName !== null && asked.dnsName.toLowerCase() !== key.dnsName) return nothing;
  const refusal = checkKey(key, asked.ip ?? "", now);
  if (refusal === "unknown") return nothing;
  if (refusal) return { code: refusal, key, organisationIds };
  const allowed =
    (asked.permission === null || hasPermission(key.permissions, asked.permission)) &&
    (asked.organisationId === null || organisationIds.includes(asked.organisationId));
  return { code: allowed ? "valid" : "forbidden", key, organisationIds };
}
