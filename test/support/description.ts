/**
 * Compares calls with the description of the API (`openapi.json`): each answer has a declared status, media
 * type and body without a field too many, and each request that was accepted has a declared form.
 */
import { dereference, type Schema, validate } from "@cfworker/json-schema";
import document from "../../openapi.json";

/** A call, as it went over the wire. */
export interface Exchange {
  method: string;
  url: URL;
  /** The text of the request's body; empty: it had none. */
  requestBody: string;
  status: number;
  mediaType: string | null;
  body: string;
}

interface OperationObject {
  operationId: string;
  parameters?: Parameter[];
  requestBody?: { required: boolean; content: Content };
  responses: Record<string, { content?: Content }>;
}

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  schema: Schema;
}

type Content = Record<string, { schema: Schema }>;

const { schemas, responses, parameters } = document.components as unknown as {
  schemas: Record<string, Schema>;
  responses: Record<string, { content: Content }>;
  parameters: Record<string, Parameter>;
};

const operations = Object.entries(document.paths).flatMap(([template, path]) => {
  const source = template
    .replace(/[.*+?^$()|[\]\\]/g, "\\$&")
    .replace(/\{\w+\}(?=:)/g, "[^/:]+")
    .replace(/\{\w+\}/g, "[^/]+");
  const pattern = new RegExp(`^${source}$`);
  return Object.entries(path as unknown as Record<string, OperationObject>).map(
    ([method, operation]) => ({ method: method.toUpperCase(), pattern, template, operation }),
  );
});

/**
 * The operation at a path. Where `/a/{id}` and `/a/{id}:verb` both match, the second is meant, whatever the
 * method.
 */
function findOperation(method: string, path: string): OperationObject | undefined {
  const literal = (template: string) => template.replace(/\{\w+\}/g, "").length;
  const [meant, ...others] = operations
    .filter(({ pattern }) => pattern.test(path))
    .sort((a, b) => literal(b.template) - literal(a.template));
  return [meant, ...others].find(
    (each) => each?.template === meant?.template && each?.method === method,
  )?.operation;
}

/** The operation that a call is about; undefined: none is described at this path with this method. */
export function operationAt(method: string, url: URL): OperationObject | undefined {
  const path = url.pathname.length > 1 ? url.pathname.replace(/\/$/, "") : url.pathname;
  return findOperation(method === "HEAD" ? "GET" : method, path);
}

/**
 * What the description does not know about a call; null: nothing.
 * Calls at paths or with methods that it does not know must have been refused with 404 or 405.
 */
export function findContradiction(exchange: Exchange): string | null {
  const { method, url, status } = exchange;
  if (method === "OPTIONS") return null;
  const operation = operationAt(method, url);
  const name = operation?.operationId ?? `${method} ${url.pathname}`;
  const problem = operation
    ? (answerProblem(operation, exchange) ?? requestProblem(operation, exchange))
    : status === 404 || status === 405
      ? null
      : "is not described";
  if (problem === null) return null;
  const text = `${name}, which answered ${status}, ${problem}\nrequest: ${url.search} ${exchange.requestBody.slice(0, 500)}\nanswer: ${exchange.body.slice(0, 500)}`;
  // The cut may have left half a character, on which vitest's connection to workerd breaks.
  return text.toWellFormed();
}

function answerProblem(operation: OperationObject, exchange: Exchange): string | null {
  const { status, mediaType, body } = exchange;
  const declared = operation.responses[status];
  // A path that has this form, and is no path of ours: an id with a slash or a colon in it.
  if (!declared) {
    return isUnknownPath(exchange) ? null : "answers with a status that is not described";
  }
  const { content } = resolve(declared);
  if (!content) return body === "" ? null : "answers with a body where none is described";
  const described = content[mediaType ?? ""];
  if (!described) return `answers as ${mediaType}, which is not described`;
  // An answer to HEAD has the headers of a GET, and no body.
  if (exchange.method === "HEAD" || isUnknownPath(exchange)) return null;
  const value = mediaType?.endsWith("json") ? parse(body) : body;
  return violation(described.schema, value, "closed", "answers");
}

function isUnknownPath({ status, body }: Exchange): boolean {
  return status === 404 && body.includes("There is nothing at this path.");
}

/** What was accepted must have the described form. What is refused may have any. */
function requestProblem(operation: OperationObject, exchange: Exchange): string | null {
  const { status, url, requestBody } = exchange;
  if (status >= 400 || status === 101) return null;
  for (const parameter of (operation.parameters ?? []).map(resolveParameter)) {
    if (parameter.in !== "query") continue;
    const values = url.searchParams.getAll(parameter.name);
    const last = values.at(-1);
    if (last === undefined) {
      if (parameter.required) return `was accepted without the parameter ${parameter.name}`;
      continue;
    }
    const type = (parameter.schema as { type?: unknown }).type;
    const value = type === "array" ? values : type === "integer" ? Number(last) : last;
    const problem = violation(parameter.schema, value, "open", `accepts for ${parameter.name}`);
    if (problem) return problem;
  }
  const accepted = operation.requestBody?.content["application/json"];
  if (!accepted || requestBody.trim() === "" || requestBody.trim() === "null") return null;
  return violation(accepted.schema, parse(requestBody), "open", "accepts as a body");
}

/** The schemas that a check follows, by their addresses: read once, not for each schema that refers to them. */
interface Schemas {
  lookup: Record<string, Schema | boolean>;
  roots: Map<Schema, Schema>;
}

const prepared: { open?: Schemas; closed?: Schemas } = {};

/** The schema, ready to be checked with the lookup. */
function prepare(
  schema: Schema,
  objects: "open" | "closed",
): { root: Schema; lookup: Schemas["lookup"] } {
  const close = <T>(value: T) => (objects === "closed" ? closed(value) : value);
  prepared[objects] ??= {
    lookup: dereference({ components: close({ schemas }) } as Schema),
    roots: new Map(),
  };
  const { lookup, roots } = prepared[objects];
  let root = roots.get(schema);
  if (!root) {
    root = close({ ...(schema as object) } as Schema);
    dereference(root, lookup, undefined, `/roots/${roots.size}`);
    roots.set(schema, root);
  }
  return { root, lookup };
}

/**
 * @param objects `closed`: a field that the schema does not name is a violation
 */
function violation(
  schema: Schema,
  value: unknown,
  objects: "open" | "closed",
  verb: string,
): string | null {
  if (value === undefined) return `${verb} what is not JSON`;
  const { root, lookup } = prepare(schema, objects);
  const { valid, errors } = validate(value, root, "2020-12", lookup, false);
  if (valid) return null;
  const deepest = errors.map(({ instanceLocation, error }) => `${instanceLocation} ${error}`);
  return `${verb} what its schema does not allow: ${deepest.join("; ").slice(0, 1_500)}`;
}

/** The schema with all objects closed. Parts of an `allOf` each know some of the fields, so they stay open. */
export function closed<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(closed) as T;
  if (typeof schema !== "object" || schema === null) return schema;
  const entries = Object.entries(schema).map(([name, inner]) => [
    name,
    name === "allOf" || name === "enum" ? inner : closed(inner),
  ]);
  const copy = Object.fromEntries(entries);
  const isOpen = !("properties" in copy) || "additionalProperties" in copy || isProblem(copy);
  return isOpen ? copy : { ...copy, additionalProperties: false };
}

/** Problem details may have further members: RFC 9457, section 3.2. */
function isProblem(schema: { description?: string }): boolean {
  return schema.description?.startsWith("RFC 9457") ?? false;
}

function resolve(response: { content?: Content; $ref?: string }): { content?: Content } {
  if (response.$ref === undefined) return response;
  return responses[response.$ref.replace("#/components/responses/", "")] ?? {};
}

function resolveParameter(parameter: Parameter & { $ref?: string }): Parameter {
  if (parameter.$ref === undefined) return parameter;
  const found = parameters[parameter.$ref.replace("#/components/parameters/", "")];
  if (!found) throw new Error(`${parameter.$ref} is not described`);
  return found;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
