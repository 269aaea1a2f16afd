/**
 * Makes routes from operations: the guard, the parsing, idempotency and the form of the answer. Called by
 * `app.ts`.
 */
import type { Hono } from "hono";
import { TrieRouter } from "hono/router/trie-router";
import type { ContentfulStatusCode, StatusCode } from "hono/utils/http-status";
import type { IdempotencyScope } from "../once/idempotency-keys";
import { readCredential, requireKey } from "./authenticate";
import { readBody, readOptionalBody, readQuery } from "./body";
import { answerFromNearby } from "./d1-bookmark";
import { requireSpace } from "./database-full";
import { idempotencyScope, runOrReplay } from "./idempotency";
import type { AnyReply, Operation } from "./operation";
import type { AppEnv, Call } from "./request-context";
import { isRootToken, requireRoot } from "./root-and-signer";

/** The verb behind the last parameter of a path. */
const VERB = /(?<=\}):[a-z-]+$/;

/** Adds operations to the app. */
export function mount(app: Hono<AppEnv>, operations: readonly Operation[]): void {
  const toPattern = patternsOf(operations.map(({ path }) => path));
  for (const operation of operations) {
    const handle = toHandler(operation);
    app.on(operation.method, toPattern(operation.path), (c) => {
      c.set("route", operation.path);
      return handle(c);
    });
  }
}

/**
 * Gives Hono's pattern of each of these path templates. Hono cannot end a parameter at a colon, so the
 * pattern of `/sessions/{id}:use` takes the verb into the parameter: `/sessions/:id{[^:/]+:use}`. And so
 * that `/sessions/1:use` is not also an id of `/sessions/{id}`, that one takes no colon:
 * `/sessions/:id{[^:/]+}`. Without a verb beside it, it would be `/sessions/:id`.
 */
export function patternsOf(paths: readonly string[]): (path: string) => string {
  const besideVerbs = new Set(
    paths.filter((path) => VERB.test(path)).map((path) => path.replace(VERB, "")),
  );
  return (path) =>
    path
      .replace(/\{(\w+)\}$/, besideVerbs.has(path) ? ":$1{[^:/]+}" : ":$1")
      .replace(/\{(\w+)\}(:[a-z-]+)$/, ":$1{[^:/]+$2}")
      .replace(/\{(\w+)\}/g, ":$1");
}

/** Finds the operations at a path, whatever their method: for CORS, for OPTIONS and for the answer 405. */
export function operationsByPath(
  operations: readonly Operation[],
): (path: string) => readonly Operation[] {
  const router = new TrieRouter<Operation>();
  const toPattern = patternsOf(operations.map(({ path }) => path));
  for (const operation of operations) router.add("ANY", toPattern(operation.path), operation);
  return (path) => router.match("ANY", path)[0].map(([operation]) => operation);
}

function toHandler(operation: Operation): (c: Call) => Promise<Response> {
  const { caller: rule } = operation;
  const readParams = paramReader(operation.path);
  const answer = async (c: Call, input: object) => {
    const reply = await operation.handle(c, input);
    return reply instanceof Response ? reply : toResponse(c, reply);
  };
  const run = operation.readsNearby
    ? (c: Call, input: object) => answerFromNearby(c, () => answer(c, input))
    : answer;
  // Inside idempotency: a repeated request is answered without being parsed again, also while D1 is full.
  const readInput = async (c: Call) => {
    const input = {
      params: readParams(c),
      query: readQueryOf(c, operation),
      body: await readBodyOf(c, operation),
    };
    if (operation.addsRows) await requireSpace(c);
    return input;
  };
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
    case "root-or-key":
      return async (c) => {
        const caller = isRootToken(c, readCredential(c, Date.now()))
          ? null
          : await requireKey(c, rule.permission);
        const scope = caller === null ? ROOT_SCOPE : idempotencyScope(caller);
        const owner = scope.organisationId;
        return withIdempotencyKey(c, scope, async () => run(c, { ...(await readInput(c)), owner }));
      };
    case "handler":
      return (c) =>
        run(c, {
          params: readParams(c),
          readQuery: () => readQueryOf(c, operation),
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

/** Turns a reply into a Response. Handlers that build their own Response use it too. */
export function toResponse(c: Call, { status, body, headers }: AnyReply): Response {
  return body === undefined
    ? c.body(null, status as StatusCode, headers)
    : c.json(body, status as ContentfulStatusCode, headers);
}

function readQueryOf(c: Call, { query }: Operation): unknown {
  return query && readQuery(c, query);
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
