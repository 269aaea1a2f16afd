/**
 * What an operation of the API is: one declaration of its path, who may call it, what it takes, what it
 * answers and refuses, and what it does. `mount.ts` makes the route from it, and `openapi/` describes the
 * API from it.
 */
import type * as z from "zod";
import type { Freshness } from "../keys/key-cache";
import type { Permission } from "../keys/permissions";
import type { Call, Caller, HttpRefusal, Surface } from "./request-context";

/**
 * Who may call an operation.
 * - `key`: an API key, or an operator who signed in with one. It has to hold `permission`; null: every key
 *   that works will do. `cached`: a key that was revoked may
 *   work for ten seconds more; `fresh`: it must not.
 * - `root`: the root token.
 * - `root-or-key`: the root token, for what all organisations share, or such a key, for its own organisation.
 * - `handler`: the handler checks the credential itself, or nobody has to have one. `security` names each
 *   kind of credential that it takes; none: everybody may call.
 */
export type CallerRule =
  | { by: "key"; permission: Permission | null; freshness: Freshness }
  | { by: "root" }
  | { by: "root-or-key"; permission: Permission }
  | { by: "handler"; security: readonly SecurityScheme[] };

/** The kinds of credentials. `openapi/security-schemes.ts` describes each. */
export type SecurityScheme =
  | "apiKey"
  | "operatorToken"
  | "rootToken"
  | "deviceToken"
  | "pollToken"
  | "relayTokens"
  | "relayNodeToken"
  | "acs3Signature"
  | "rpcSignature"
  | "connectorSignature";

/** For API keys, and operators who signed in with one, that hold this permission; null: any. */
export function key<P extends Permission | null>(permission: P, freshness: Freshness = "cached") {
  return { by: "key", permission, freshness } as const;
}

/** For the root token only. */
export const root = { by: "root" } as const;

/** For the root token, and for API keys and operators with this permission. */
export function rootOrKey<P extends Permission>(permission: P) {
  return { by: "root-or-key", permission } as const;
}

/** For everybody, without a credential. */
export const open = { by: "handler", security: [] } as const;

/** The handler checks one of these credentials itself. */
export function checkedByHandler(...security: readonly SecurityScheme[]) {
  return { by: "handler", security } as const;
}

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** The bodies of an operation's answers by status; null: an answer without a body. */
type Answers = Readonly<Record<number, z.ZodType | null>>;

/** A value of this schema, as a mapper returns it. */
export type Shown<S extends z.ZodType> = Immutable<z.output<S>>;

type Immutable<T> = T extends readonly (infer E)[]
  ? readonly Immutable<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Immutable<T[K]> }
    : T;

/** What a handler answers: one of the declared statuses, with its body. */
export type Reply<A extends Answers> = {
  [S in keyof A & number]: A[S] extends z.ZodType
    ? { status: S; body: Shown<A[S]>; headers?: Readonly<Record<string, string>> }
    : { status: S; headers?: Readonly<Record<string, string>> };
}[keyof A & number];

type ParamNames<P extends string> = P extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParamNames<Rest>
  : never;

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

interface WithParams<P extends string> {
  /** The parameters of the path, decoded. Their form is not checked. */
  params: { readonly [N in ParamNames<P>]: string };
}

interface WithInput<P extends string, Q, B> extends WithParams<P> {
  query: Parsed<Q>;
  body: Parsed<B>;
}

/** What a handler is given, beside the call. */
type Input<P extends string, C, Q, B> = C extends { by: "key" }
  ? WithInput<P, Q, B> & { caller: Caller }
  : C extends { by: "root" }
    ? WithInput<P, Q, B>
    : C extends { by: "root-or-key" }
      ? WithInput<P, Q, B> & {
          /** The organisation of the key; 0: the root token calls, for what all organisations share. */
          owner: number;
        }
      : WithParams<P> & {
          /**
           * Reads the query or the body. The handler calls it when it has checked what comes before: the
           * credential, and the rate limits.
           */
          readQuery: () => Parsed<Q>;
          readBody: () => Promise<Parsed<B>>;
        };

/** A header of a request that changes what a call does. `openapi/header-parameters.ts` describes each. */
export type MeaningfulHeader =
  | "Idempotency-Key"
  | "X-Organisation-Id"
  | "X-D1-Bookmark"
  | "Ricloud-Await";

/** What an operation says of itself to its readers. */
interface Description {
  /** Unique: the name of the operation in `/openapi.json` and in clients that are made from it. */
  id: string;
  method: Method;
  /** One line, as an order without a full stop: "Create a relay session". */
  summary: string;
  /** What the summary leaves out. CommonMark. */
  description?: string;
  /** What an answer of a status is, where its schema does not say it: "The new key, with its token." CommonMark. */
  answerTexts?: Readonly<Record<number, string>>;
  /** The headers of its answers that a client acts on, each with what it says. CommonMark. */
  answerHeaders?: Readonly<Record<string, string>>;
  /** Whether an absent body counts as `{}`. */
  bodyIsOptional?: boolean;
  /** The media type of the body, where it is not JSON. */
  bodyType?: string;
  /**
   * It adds rows that stay in D1: while D1 is nearly full it is refused with 503 `database-full`. A handler
   * that checks the credential itself calls `requireSpace`.
   */
  addsRows?: true;
  /**
   * A list, read from `c.get("db")` alone: to callers who send X-D1-Bookmark it may be a few seconds old. Then the
   * handler may run twice.
   */
  readsNearby?: true;
  /** The headers that the handler reads itself, beside those that the guard and idempotency read. */
  headers?: readonly MeaningfulHeader[];
  /**
   * `any`: pages of every origin may call it and read its answers. It takes no credential, or one that may
   * stand in a page. Left out: only pages of the origins in the var CORS_ORIGINS.
   */
  origins?: "any";
  /** Another media type in which 200 is answered, to callers who prefer it: a page. */
  pageType?: "text/html";
  /** The codes of what the handler itself refuses, by status. What the guard and the parsing refuse follows from the rest. */
  refusals?: { readonly [S in HttpRefusal["status"]]?: readonly string[] };
  /** A call that has the right form. What its ids name need not exist. */
  example: Example;
}

export interface Example {
  params?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, string>>;
  body?: Readonly<Record<string, unknown>>;
}

interface Declaration<P extends string, C, A extends Answers, Q, B> extends Description {
  /** A template such as `/v1/sessions/{id}:use`. */
  path: P;
  /** The form of each parameter of the path, for its description only: the handler checks what it gets. */
  params?: { readonly [N in ParamNames<P>]?: z.ZodType };
  caller: C;
  query?: Q;
  body?: B;
  answers: A;
  /**
   * Does the work. It answers a Response only for a websocket, or where it has called the guard and
   * idempotency itself, which answer one (`toResponse` makes it).
   */
  handle(c: Call, input: Input<P, C, Q, B>): Promise<Reply<NoInfer<A>> | Response>;
}

/** An operation, as `mount.ts` and `openapi/` see it. */
export interface Operation extends Description {
  path: string;
  params?: Readonly<Record<string, z.ZodType>>;
  caller: CallerRule;
  query?: z.ZodType;
  body?: z.ZodType;
  answers: Answers;
  handle(c: Call, input: object): Promise<AnyReply | Response>;
}

/** A reply of any operation. */
export interface AnyReply {
  status: number;
  body?: unknown;
  headers?: Readonly<Record<string, string>>;
}

/**
 * Makes the answer of a reply. Handlers that build their own Response use it too.
 * @param more headers that all answers have. They are given at once, since each one that is set afterwards is
 *   a call of the platform
 */
export function toResponse(
  { status, body, headers }: AnyReply,
  more?: Readonly<Record<string, string>>,
): Response {
  if (body === undefined) return new Response(null, { status, headers: { ...headers, ...more } });
  return new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/json", ...headers, ...more },
  });
}

/** Operations about one subject. */
export interface OperationGroup {
  /** The heading in the description, such as "Relay sessions". */
  name: string;
  /** One sentence about the subject, or two. CommonMark. */
  description: string;
  /** The file in `docs/` that explains the subject, such as `relay-sessions.md`. */
  page: string;
  operations: readonly Operation[];
}

/** A part of the API: its surface, which gives errors their format, and its groups of operations. */
export type SurfaceOperations = readonly [Surface, ...OperationGroup[]];

/** Declares an operation. The compiler checks what its handler gets and answers. */
export function operation<
  const P extends string,
  const C extends CallerRule,
  const A extends Answers,
  Q extends z.ZodType | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(declaration: Declaration<P, C, A, Q, B>): Operation {
  // The types are erased here. `toHandler` in `mount.ts` gives each kind of caller the input that `Input`
  // promises.
  return declaration as unknown as Operation;
}
