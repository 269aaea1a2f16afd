/** Roles and scopes: which there are, what implies what, and who may give them. Pure. */
import { ALL_PERMISSIONS } from "../keys/permissions";

const OPERATOR = "operator";

/** All scopes of `operator`, and what each implies besides itself. */
const OPERATOR_SCOPES: Readonly<Record<string, readonly string[]>> = {
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

/** No full stop: where the role ends in a scope's name must be beyond doubt. */
const ROLE = /^[A-Za-z0-9_-]{1,32}$/;
const SCOPE = /^[A-Za-z0-9_-]{1,32}(?:\.[A-Za-z0-9_:-]{1,64}){1,4}$/;

/** Whether this can be a role at all. */
export function isRole(text: string): boolean {
  return ROLE.test(text);
}

/** Whether this is a scope: one of the closed set of `operator`, or any well-formed one of another role. */
export function isScope(text: string): boolean {
  if (roleOf(text) === OPERATOR) return Object.hasOwn(OPERATOR_SCOPES, text);
  return SCOPE.test(text);
}

/** The role that a scope belongs to. */
export function roleOf(scope: string): string {
  return scope.split(".", 1)[0] ?? "";
}

/** The scopes of one role, in their order. */
export function scopesOf(role: string, scopes: readonly string[]): string[] {
  return scopes.filter((scope) => roleOf(scope) === role);
}

/** Whether who has `held` has `wanted` as well. */
export function implies(held: readonly string[], wanted: string): boolean {
  return held.some(
    (scope) =>
      scope === wanted ||
      (Object.hasOwn(OPERATOR_SCOPES, scope) && OPERATOR_SCOPES[scope]?.includes(wanted)),
  );
}

/** Whether all of `wanted` is in `held`, by implication. */
export function areImpliedBy(wanted: readonly string[], held: readonly string[]): boolean {
  return wanted.every((scope) => implies(held, scope));
}

/** What both sides have, by implication: `operator.admin` and `operator.read` have the latter in common. */
export function scopesInCommon(a: readonly string[], b: readonly string[]): string[] {
  const common = [...a.filter((s) => implies(b, s)), ...b.filter((s) => implies(a, s))];
  return [...new Set(common)];
}

/**
 * The one guard of who may let a device have scopes: the first that a key with these permissions does
 * not hold, or null when it holds all of them.
 */
export function findScopeNotHeld(
  permissions: readonly string[],
  scopes: readonly string[],
): string | null {
  if (permissions.includes(ALL_PERMISSIONS)) return null;
  return scopes.find((scope) => !implies(permissions, scope)) ?? null;
}
