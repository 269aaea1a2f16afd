/** Which key a person signs in as, by their address. */
import type { Database } from "../db/open";
import { type CallerKey, checkKey } from "../keys/key";
import { findKeyById } from "../keys/key-cache";
import { hasPermission, OPERATOR_SIGN_IN } from "../keys/permissions";
import { findOperatorKeyIds } from "./operator-store";

/** The key, or why none can be chosen. */
export type OperatorChoice =
  | { ok: true; key: CallerKey }
  | { ok: false; code: "not-an-operator" | "several-organisations" };

/**
 * The oldest usable key that lists this address. Where such keys act in several organisations, the
 * person has to say which: whoever manages a key can list any address on it.
 * @param organisationId as named by the person; null: not named
 */
export async function chooseOperatorKey(
  db: Database,
  email: string,
  organisationId: number | null,
  ip: string,
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
