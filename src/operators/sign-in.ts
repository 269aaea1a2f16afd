/** Chooses the API key as which a person signs in through Cloudflare Access. */
import type { Database } from "../db/open";
import { type CallerKey, checkKey } from "../keys/key";
import { findKeyById } from "../keys/key-cache";
import { hasPermission, OPERATOR_SIGN_IN } from "../keys/permissions";
import { findOperatorKeyIds } from "./operator-store";

/** A person who wants to sign in. */
export interface SigningIn {
  /** In lower case, as Cloudflare Access vouches for it. */
  email: string;
  /** The organisation that the person names; null: none. */
  organisationId: number | null;
  /** The address that the call comes from. */
  ip: string;
}

/** The key, or why none can be chosen. */
export type OperatorChoice =
  | { ok: true; key: CallerKey }
  | { ok: false; code: "not-an-operator" | "several-organisations" };

/**
 * The oldest working key that lists this e-mail address. If such keys act in several organisations, the
 * person has to name one: anybody who manages a key can list any address on it.
 */
export async function chooseOperatorKey(
  db: Database,
  { email, organisationId, ip }: SigningIn,
  now: number,
): Promise<OperatorChoice> {
  const ids = await findOperatorKeyIds(db, email, organisationId);
  const keys = await Promise.all(ids.map((id) => findKeyById(db, id, now, "fresh")));
  const usable = keys.filter(
    (key): key is CallerKey =>
      key !== null &&
      checkKey(key, ip, now) === null &&
      hasPermission(key.permissions, OPERATOR_SIGN_IN) &&
      (organisationId === null || key.organisationIds.includes(organisationId)),
  );
  const [first] = usable;
  if (!first) return { ok: false, code: "not-an-operator" };
  const home = (key: CallerKey) => organisationId ?? key.organisationIds[0];
  if (usable.some((key) => home(key) !== home(first))) {
    return { ok: false, code: "several-organisations" };
  }
  return { ok: true, key: first };
}
