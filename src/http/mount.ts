/**
 * Makes routes from operations: the guard, the parsing, idempotency and the form of the answer. Called by
 * `app.ts`.
 */
import type { Hono } from "hono";
import type { ContentfulStatusCode, StatusCode } from "hono/utils/http-status";
import type { IdempotencyScope } from "../once/idempotency-keys";
import { requireKey } from "./authenticate";
import { readBody, readOptionalBody, readQuery } from "./body";
import { idempotencyScope, runOrReplay } from "./idempotency";
import type { AnyReply, Operation } from "./operation";
import type { AppEnv, Call } from "./request-context";
import { requireRoot } from "./root-and-signer";

/** Adds the operation to the app. */
export function mount(app: Hono<AppEnv>, operation: Operation): void {
  app.on(operation.method, toPattern(operation.path), toHandler(operation));
}

/**
 * Hono's pattern of a path template. Hono cannot end a parameter at a colon, so the pattern of
 * `/sessions/{id}:use` takes the verb into the parameter.
 */
export function toPattern(path: string): string {
  return path.replace(/\{(\w+)\}(:[a-z-]+)/g, ":$1{[^:/]+$2}").replace(/\{(\w+)\}/g, ":$1");
}

function toHandler(operation: Operation): (c: Call) => Promise<Response> {
  const { caller: rule } = operation;
  const readParams = paramReader(operation.path);
  const run = async (c: Call, input: object) => {
    const reply = await operation.handle(c, input);
    return reply instanceof Response ? reply : toResponse(c, reply);
  };
  const readInput = async (c: Call) => ({
    params: readParams(c),
    query: operation.query ? readQuery(c, operation.query) : undefined,
    body: operation.body ? await readBodyOf(c, operation) : undefined,
  });
  switch (rule.by) {
    case "key":
      return async (c) => {
        const caller = await requireKey(c, rule.permission, rule.freshness);
        return withIdempotencyKey(c, idempotencyScope(caller), async () =>
          run(c, { ...(await readInput(c)), caller }),
        );
      };
    case "root":
      return async (c) => {
        requireRoot(c);
        return withIdempotencyKey(c, ROOT_SCOPE, async () => run(c, await readInput(c)));
      };
    case "handler":
      return (c) =>
        run(c, {
          params: readParams(c),
          query: operation.query ? readQuery(c, operation.query) : undefined,
          readBody: () => readBodyOf(c, operation),
        });
  }
}

/** Within which scope the idempotency keys of the root token are unique. */
export const ROOT_SCOPE: IdempotencyScope = { organisationId: 0, keyId: 0, person: null };

/** Whether an Idempotency-Key has a meaning for a request with this method. */
export function takesIdempotencyKey(method: string): boolean {
  return method === "POST" || method === "PATCH";
}

/** Honours the Idempotency-Key of a POST or PATCH whose caller is known. Other methods just run. */
export function withIdempotencyKey(
  c: Call,
  scope: IdempotencyScope,
  handle: () => Promise<Response>,
): Promise<Response> {
  return takesIdempotencyKey(c.req.method) ? runOrReplay(c, scope, handle) : handle();
}

/** The answer of a reply. A handler that makes its own calls this. */
export function toResponse(c: Call, { status, body, headers }: AnyReply): Response {
  return body === undefined
    ? c.body(null, status as StatusCode, headers)
    : c.json(body, status as ContentfulStatusCode, headers);
}

async function readBodyOf(c: Call, { body, bodyIsOptional }: Operation): Promise<unknown> {
  if (!body) return undefined;
  return bodyIsOptional ? readOptionalBody(c, body) : readBody(c, body);
}

/** Reads the parameters of a path, each without the verb behind it. */
function paramReader(path: string): (c: Call) => Record<string, string> {
  const parameters = [...path.matchAll(/\{(\w+)\}(:[a-z-]+)?/g)].map(
    ([, name = "", verb = ""]) => ({
      name,
      verb,
    }),
  );
  return (c) => {
    const values: Record<string, string> = {};
    for (const { name, verb } of parameters) {
      const value = c.req.param(name) ?? "";
      values[name] = value.slice(0, value.length - verb.length);
    }
    return values;
  };
}
