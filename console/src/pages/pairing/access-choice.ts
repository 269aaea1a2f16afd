/** What an operator chooses of the roles and scopes that a device asks for. Pure. */
import { implies, OPERATOR_SCOPES, scopesOf } from "../../scopes";

/** The most characters of the names of scopes that a button has room for. */
const LONGEST_NAMES = 60;

/** What a device asks for. */
export interface Asked {
  roles: readonly string[];
  scopes: readonly string[];
}

/** What is ticked. Scopes of a role that is not ticked do not count. */
export interface Choice {
  roles: ReadonlySet<string>;
  scopes: ReadonlySet<string>;
}

/** One scope that can be ticked. */
export interface Option {
  scope: string;
  /** The scope that the device asks for and that includes this one; null: it asks for this one by name. */
  partOf: string | null;
  /** The scopes that it includes. */
  includes: readonly string[];
}

/** Everything that the device asks for. */
export function everything({ roles, scopes }: Asked): Choice {
  return { roles: new Set(roles), scopes: new Set(scopes) };
}

/**
 * The scopes of a role that can be ticked: those asked for, and where one of them that includes others is not
 * ticked, these others.
 */
export function optionsOf(role: string, asked: Asked, choice: Choice): Option[] {
  const named = scopesOf(role, asked.scopes);
  const ticked = named.filter((scope) => choice.scopes.has(scope));
  const narrower = named
    .flatMap((wide) => includedIn(wide).map((scope) => ({ scope, partOf: wide })))
    .filter(({ scope }, index, all) => all.findIndex((one) => one.scope === scope) === index)
    .filter(({ scope }) => !named.includes(scope) && !implies(ticked, scope));
  return [...named.map((scope) => ({ scope, partOf: null })), ...narrower].map((option) => ({
    ...option,
    includes: includedIn(option.scope),
  }));
}

/** What the choice grants: roles and scopes in the order in which they are shown. */
export function grantedBy(asked: Asked, choice: Choice): { roles: string[]; scopes: string[] } {
  const roles = asked.roles.filter((role) => choice.roles.has(role));
  const scopes = roles
    .flatMap((role) => optionsOf(role, asked, choice))
    .map(({ scope }) => scope)
    .filter((scope) => choice.scopes.has(scope));
  return { roles, scopes };
}

/** The choice with one role or scope ticked, or no longer ticked. */
export function toggled(choice: Choice, part: keyof Choice, name: string): Choice {
  const names = new Set(choice[part]);
  if (!names.delete(name)) names.add(name);
  return { ...choice, [part]: names };
}

/** What the button to approve says: one or two scopes by name, so that nobody has to count. */
export function approveWords(asked: Asked, choice: Choice): string {
  const { roles, scopes } = grantedBy(asked, choice);
  const all = roles.length === asked.roles.length && sameTexts(scopes, asked.scopes);
  if (scopes.length === 0) return all ? "Approve" : "Approve without scopes";
  const names = scopes.join(" and ");
  const few = scopes.length <= 2 && names.length <= LONGEST_NAMES;
  if (few) return `Approve ${names}${all ? "" : " only"}`;
  if (all) return scopes.length === 1 ? "Approve" : `Approve all ${scopes.length} scopes`;
  return `Approve ${scopes.length === 1 ? "1 scope" : `${scopes.length} scopes`} only`;
}

function includedIn(scope: string): readonly string[] {
  return Object.hasOwn(OPERATOR_SCOPES, scope) ? (OPERATOR_SCOPES[scope] ?? []) : [];
}

function sameTexts(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((text) => others.includes(text));
}
