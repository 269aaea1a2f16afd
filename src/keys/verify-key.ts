/** Answers another service of the owner that asks whether a key is valid. Pure. */
import { type CallerKey, checkKey } from "./key";
import { hasPermission } from "./permissions";

/** What the other service asks about a token. Null: it does not ask for that. */
export interface KeyQuestion {
  permission: string | null;
  /** The address from which the token was used. Null: only a key without an allowlist is valid. */
  ip: string | null;
  dnsName: string | null;
  organisationId: number | null;
}

/** Whether the key is valid, or why not. `not-found` also where the service may not know of it. */
export type KeyVerificationCode =
  | "valid"
  | "not-found"
  | "blocked"
  | "expired"
  | "forbidden"
  | "ip-refused";

/** The answer. `key` is null when the service may not know anything about the key. */
export interface KeyVerification {
  code: KeyVerificationCode;
  key: CallerKey | null;
  /** Those of the key's organisations that are also the service's. */
  organisationIds: readonly number[];
}

const notFound: KeyVerification = { code: "not-found", key: null, organisationIds: [] };

/**
 * Answers for the key that a token belongs to. Null: there is no such key.
 * @param knownOrganisationIds the organisations of the service. A key with none of them is `not-found`
 * @param now Unix milliseconds
 */
export function verifyKey(
  key: CallerKey | null,
  knownOrganisationIds: readonly number[],
  question: KeyQuestion,
  now: number,
): KeyVerification {
  if (!key) return notFound;
  const organisationIds = key.organisationIds.filter((id) => knownOrganisationIds.includes(id));
  if (organisationIds.length === 0) return notFound;
  if (question.dnsName !== null && question.dnsName.toLowerCase() !== key.dnsName) return notFound;
  const refusal = checkKey(key, question.ip ?? "", now);
  if (refusal === "unknown") return notFound;
  if (refusal) return { code: refusal, key, organisationIds };
  const allowed =
    hasPermission(key.permissions, question.permission) &&
    (question.organisationId === null || organisationIds.includes(question.organisationId));
  return { code: allowed ? "valid" : "forbidden", key, organisationIds };
}
