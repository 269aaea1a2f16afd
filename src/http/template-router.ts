/**
 * Finds the route of a path among path templates such as `/v1/sessions/{id}:use`. It is the router that Hono
 * is given: Hono's own cannot end a parameter at a colon, so that they would try a regular expression for
 * each verb. Pure.
 */
import type { Params, Result, Router } from "hono/router";

/** What is at one path template: a handler for each method. */
interface Leaf<T> {
  handlers: Map<string, T>;
  /** The names of the parameters, in the order of the path. */
  names: readonly string[];
}

/** What may follow a part of a path. */
interface Node<T> {
  literals: Map<string, Node<T>>;
  parameter: Node<T> | null;
  /** What ends with a parameter and a verb, such as `{id}:use`. */
  verbs: Map<string, Leaf<T>>;
  /** What ends here. */
  leaf: Leaf<T> | null;
}

/** The last part of a template: a parameter, and perhaps a verb behind it. */
const PARAMETER = /^\{(\w+)\}(?::([a-z-]+))?$/;
const NO_PARAMS: Params = {};
/** There is no route. */
const NOTHING: Result<never> = [[]];

/**
 * A Hono router for path templates. A parameter takes one part of the path, which is not empty. Where a verb
 * may stand behind it, it has no colon: so `/sessions/1:use` is not also the session `1:use`. Where a path
 * fits several templates, the one with fewer parameters comes first.
 */
export class TemplateRouter<T> implements Router<T> {
  readonly name = "TemplateRouter";
  readonly #root = newNode<T>();
  /** Paths without parameters, as a whole: they are found without being split. */
  readonly #fixed = new Map<string, Leaf<T>>();

  /** @throws Error if there is a handler for this method and template */
  add(method: string, template: string, handler: T): void {
    const leaf = this.#leafAt(template);
    if (leaf.handlers.has(method)) throw new Error(`There are two routes ${method} ${template}.`);
    leaf.handlers.set(method, handler);
    if (leaf.names.length === 0) this.#fixed.set(template, leaf);
  }

  /** The route of a path, for Hono: at most one. */
  match(method: string, path: string): Result<T> {
    const fixed = this.#fixed.get(path)?.handlers.get(method);
    if (fixed !== undefined) return [[[fixed, NO_PARAMS]]];
    let result: Result<T> = NOTHING;
    this.#visit(path, ({ handlers, names }, values) => {
      const handler = handlers.get(method);
      if (handler === undefined) return false;
      result = [[[handler, toParams(names, values)]]];
      return true;
    });
    return result;
  }

  /** All handlers at a path, whatever their method. */
  at(path: string): T[] {
    const found: T[] = [];
    this.#visit(path, ({ handlers }) => {
      found.push(...handlers.values());
      return false;
    });
    return found;
  }

  #leafAt(template: string): Leaf<T> {
    const names: string[] = [];
    let node = this.#root;
    for (const part of partsOf(template)) {
      const [isParameter, name = "", verb] = PARAMETER.exec(part) ?? [];
      if (isParameter) names.push(name);
      if (verb !== undefined) return getOrSet(node.verbs, verb, () => newLeaf(names));
      if (isParameter) node = node.parameter ??= newNode();
      else node = getOrSet(node.literals, part, newNode<T>);
    }
    node.leaf ??= newLeaf(names);
    return node.leaf;
  }

  #visit(path: string, visit: Visit<T>): void {
    visitBelow(this.#root, { parts: partsOf(path), values: [], visit }, 0);
  }
}

/** Looks at a leaf that fits a path, with the values of its parameters. True: no further one is looked for. */
type Visit<T> = (leaf: Leaf<T>, values: readonly string[]) => boolean;

/** Visits every leaf below a node that the parts from `at` on lead to, until one visit says true. */
function visitBelow<T>(
  node: Node<T>,
  search: { parts: readonly string[]; values: string[]; visit: Visit<T> },
  at: number,
): boolean {
  const { parts, values, visit } = search;
  const part = parts[at];
  if (part === undefined) return node.leaf !== null && visit(node.leaf, values);
  const literal = node.literals.get(part);
  if (literal && visitBelow(literal, search, at + 1)) return true;
  if (part === "") return false;
  const colon = part.indexOf(":");
  const takesVerb = at === parts.length - 1 && node.verbs.size > 0 && colon !== -1;
  const leaf = takesVerb && colon > 0 ? node.verbs.get(part.slice(colon + 1)) : undefined;
  const next = takesVerb ? null : node.parameter;
  if (!leaf && !next) return false;
  values.push(takesVerb ? part.slice(0, colon) : part);
  const isDone = leaf ? visit(leaf, values) : next !== null && visitBelow(next, search, at + 1);
  values.pop();
  return isDone;
}

function partsOf(path: string): string[] {
  return path.slice(1).split("/");
}

function toParams(names: readonly string[], values: readonly string[]): Params {
  const params: Params = {};
  for (let i = 0; i < names.length; i++) params[names[i] ?? ""] = values[i] ?? "";
  return params;
}

function newNode<T>(): Node<T> {
  return { literals: new Map(), parameter: null, verbs: new Map(), leaf: null };
}

function newLeaf<T>(names: readonly string[]): Leaf<T> {
  return { handlers: new Map(), names };
}

function getOrSet<V>(map: Map<string, V>, name: string, make: () => V): V {
  const known = map.get(name) ?? make();
  map.set(name, known);
  return known;
}
