/** Roles and scopes: which there are, which scope includes which, and which a key may give away. Pure. */
import { ALL_PERMISSIONS } from "../keys/permissions";

/** How many roles one request or approval may name. */
export const MAX_ROLES = 8;
/** How many scopes one request, approval or token may name. */
export const MAX_SCOPES = 64;

const OPERATOR = "operator";

/** All scopes of the role `operator`, and the other scopes that each of them includes. */
export const OPERATOR_SCOPES: Readonly<Record<string, readonly string[]>> = {
  "operator.read": [],
  "operator.write": ["operator.read", "operator.talk"],
  "operator.admin": [
    "operator.read",
    "operator.write",
    "operator.approvals",
    "operator.questions",
    "operator.pairing",
    "operator.talk",
    "operator.talk.secrets",
  ],
  "operator.approvals": [],
  "operator.questions": [],
  "operator.pairing": [],
  "operator.talk": [],
  "operator.talk.secrets": [],
};

/** A role has no full stop, because the first full stop of a scope ends its role. */
const ROLE = /^[A-Za-z0-9_-]{1,32}$/;
const SCOPE = /^[A-Za-z0-9_-]{1,32}(?:\.[A-Za-z0-9_:-]{1,64}){1,4}$/;

/** Whether a text has the form of a role. */
export function isRole(text: string): boolean {
  return ROLE.test(text);
}

/** Whether a text is a scope. The role `operator` has a closed list; other roles have any of the right form. */
export function isScope(text: string): boolean {
  if (roleOf(text) === OPERATOR) return Object.hasOwn(OPERATOR_SCOPES, text);
  return SCOPE.test(text);
}

/** The role that a scope belongs to: the text before its first full stop. */
export function roleOf(scope: string): string {
  return scope.split(".", 1)[0] ?? "";
}

/** Those of the scopes that belong to a role, in their order. */
export function scopesOf(role: string, scopes: readonly string[]): string[] {
  return scopes.filter((scope) => roleOf(scope) === role);
}

/** Whether the scopes in `held` include the scope `wanted`. */
export function implies(held: readonly string[], wanted: string): boolean {
  return held.some(
    (scope) =>
      scope === wanted ||
      (Object.hasOwn(OPERATOR_SCOPES, scope) && OPERATOR_SCOPES[scope]?.includes(wanted)),
  );
}

/** Whether the scopes in `held` include every scope in `wanted`. */
export function areImpliedBy(wanted: readonly string[], held: readonly string[]): boolean {
  return wanted.every((scope) => implies(held, scope));
}

/** The scopes that both lists include: `operator.admin` and `operator.read` have `operator.read` in common. */
export function scopesInCommon(a: readonly string[], b: readonly string[]): string[] {
  const common = [...a.filter((s) => implies(b, s)), ...b.filter((s) => implies(a, s))];
  return [...new Set(common)];
}

/**
 * The first scope that a key does not hold; null: it holds all of them. A key may give a device only
 * scopes that it holds itself, and every path that gives scopes asks this function.
 * @param permissions those of the key
 */
export function findScopeNotHeld(
  permissions: readonly string[],
  scopes: readonly string[],
): string | null {
  if (permissions.includes(ALL_PERMISSIONS)) return null;
  return scopes.find((scope) => !implies(permissions, scope)) ?? null;
}
