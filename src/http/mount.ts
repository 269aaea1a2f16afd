/**
 * Makes handlers from operations: the guard, the parsing, idempotency and the form of the answer. Called by
 * `app.ts`.
 */
import type { IdempotencyScope } from "../once/idempotency-keys";
import { readCredential, requireKey } from "./authenticate";
import { readBody, readOptionalBody, readQuery } from "./body";
import { answerFromNearby } from "./d1-bookmark";
import { requireSpace } from "./database-full";
import { idempotencyScope, runOrReplay } from "./idempotency";
import type { AnyReply, Operation } from "./operation";
import type { Call, Caller } from "./request-context";
import { isRootToken, requireRoot } from "./root-and-signer";

/** Does what a request asks for. Where it does not, it throws `Refused`. */
export type Handler = (c: Call) => Promise<AnyReply | Response>;

/** What a handler is given of its caller: see `Input` in `operation.ts`. */
type Known = { caller: Caller } | { owner: number } | Record<string, never>;

/** The handler of an operation. What depends on the operation alone is decided here, once. */
export function toHandler(operation: Operation): Handler {
  const { caller: rule, query, addsRows, readsNearby } = operation;
  const readParams = paramReader(operation.path);
  const readQueryOf = (c: Call) => query && readQuery(c, query);
  const readBodyOf = bodyReader(operation);
  const handle = readsNearby
    ? (c: Call, input: object) => answerFromNearby(c, () => operation.handle(c, input))
    : (c: Call, input: object) => operation.handle(c, input);
  // Inside idempotency: a repeated request is answered without being parsed again, also while D1 is full.
  const run = async (c: Call, known: Known) => {
    const input = {
      ...known,
      params: readParams(c),
      query: readQueryOf(c),
      body: await readBodyOf(c),
    };
    if (addsRows) await requireSpace(c);
    return handle(c, input);
  };
  const runOnce = takesIdempotencyKey(operation.method)
    ? (c: Call, scope: IdempotencyScope, known: Known) => runOrReplay(c, scope, () => run(c, known))
    : (c: Call, _: IdempotencyScope, known: Known) => run(c, known);
  switch (rule.by) {
    case "key":
      return async (c) => {
        const caller = await requireKey(c, rule.permission, rule.freshness);
        return runOnce(c, idempotencyScope(caller), { caller });
      };
    case "root":
      return async (c) => {
        requireRoot(c);
        return runOnce(c, ROOT_SCOPE, {});
      };
    case "root-or-key":
      return async (c) => {
        const caller = isRootToken(c, readCredential(c, Date.now()))
          ? null
          : await requireKey(c, rule.permission);
        const scope = caller === null ? ROOT_SCOPE : idempotencyScope(caller);
        return runOnce(c, scope, { owner: scope.organisationId });
      };
    case "handler":
      return (c) =>
        handle(c, {
          params: readParams(c),
          readQuery: () => readQueryOf(c),
          readBody: () => readBodyOf(c),
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

function bodyReader({ body, bodyIsOptional }: Operation): (c: Call) => Promise<unknown> {
  if (!body) return () => NO_BODY;
  return bodyIsOptional ? (c) => readOptionalBody(c, body) : (c) => readBody(c, body);
}

const NO_BODY = Promise.resolve(undefined);
const NO_PARAMS: Readonly<Record<string, string>> = {};

/** Reads the parameters of a path. */
function paramReader(path: string): (c: Call) => Readonly<Record<string, string>> {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  if (names.length === 0) return () => NO_PARAMS;
  return (c) => Object.fromEntries(names.map((name) => [name, c.req.param(name) ?? ""]));
}
