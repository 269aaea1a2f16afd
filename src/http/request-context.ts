/**
 * What every request carries: its id, the settings, the clients of D1 and of the sessions, the caller once
 * known, and the surface that words its errors. `answer.ts` sets it; everything over HTTP reads it.
 */
import type { Context } from "hono";
import type * as z from "zod";
import type { Database } from "../db/open";
import type { OperatorSession } from "../operators/session-token";
import type { Config } from "../platform/config";

/** Who sends a request. The guard makes it. */
export interface Caller {
  /** The organisation that this request acts in. For it, what belongs to another does not exist. */
  organisationId: number;
  /** All organisations in which their key may act. */
  organisationIds: readonly number[];
  keyId: number;
  keyName: string;
  permissions: readonly string[];
  /**
   * When the key ends; or when the grace of the old token ends that they used (sent, or signed in with), if
   * that is earlier. Unix milliseconds. Null: no end.
   */
  expiresAt: number | null;
  /** Whether they sent an old token that is in its grace, or signed in with one. */
  inGrace: boolean;
  /** The version of their key's newest token. */
  tokenVersion: number;
  /** The CIDRs from which their key may be used; empty: from anywhere. */
  ipAllowlist: readonly string[];
  /** The operator's session; null: the key itself calls. An operator has the permissions of that key. */
  session: OperatorSession | null;
}

export interface AppEnv {
  Bindings: Env;
  Variables: {
    requestId: string;
    config: Config;
    db: Database;
    /** The surface that the path belongs to: it words the errors, and the log names it. */
    surface: Surface;
    /** Set by the guard, and null before. The log reads it. */
    caller: Caller | null;
    /** The body, as bytes and as text; null until something reads it so. */
    bodyBytes: Promise<Uint8Array> | null;
    bodyText: Promise<string> | null;
  };
}

/** One request: Hono's context of it. */
export type Call = Context<AppEnv>;

/** A part of the HTTP API, as far as errors are concerned: its paths, and how it words an error. */
export interface Surface {
  readonly name: string;
  /** The status for an API key that is well formed, and unknown, blocked or expired. */
  readonly unknownKeyStatus: 401 | 403;
  /** Whether an error at this path has this surface's format, even if no route matches. */
  owns(path: string): boolean;
  /** The answer that tells the caller about a refusal. */
  refuse(c: Call, refusal: HttpRefusal): Response;
  /** How `refuse` words an error, for the description of the API. */
  readonly errors: ErrorFormat;
}

/** The form of a surface's errors. */
export interface ErrorFormat {
  mediaType: string;
  /** What callers see of a refusal; left out: its own status and code. */
  shown?(refusal: ErrorCode): readonly ErrorCode[];
  /** The schema of the body, with one of these codes. */
  body(codes: readonly string[]): z.ZodType;
}

/** The status of an error, and the code that says which it is. */
export interface ErrorCode {
  status: HttpRefusal["status"];
  code: string;
}

/**
 * For `owns`: these paths and all under them. `/users` owns `/users/1` and `/users:verb`, not
 * `/users-of`.
 */
export function pathsUnder(...roots: readonly string[]): Surface["owns"] {
  return (path) =>
    roots.some(
      (root) => path === root || path.startsWith(`${root}/`) || path.startsWith(`${root}:`),
    );
}

/**
 * Why a request is not done, before a surface gives it its own format. A conflict (409) says whether it
 * `lasts`. True: the same request will never succeed. False: it may succeed later, when another request
 * has ended or something was freed or enabled. `idempotency.ts` stores a conflict that lasts.
 */
export type HttpRefusal = RefusalText &
  (
    | { status: 400 | 401 | 403 | 404 | 405 | 410 | 413 | 415 | 422 | 426 | 429 | 500 | 503 }
    | { status: 409; lasts: boolean }
  );

interface RefusalText {
  /** Stable, kebab-case. */
  code: string;
  /** What is wrong, and what to do about it. */
  message: string;
  /** Every wrong field of a body or query. */
  problems?: readonly { path: string; message: string }[];
  headers?: Readonly<Record<string, string>>;
  /** Further members of the error. Only problem details show them. */
  more?: Readonly<Record<string, unknown>>;
}

/** Thrown wherever a request is refused. `answer.ts` answers it in the format of the surface. */
export class Refused extends Error {
  readonly refusal: HttpRefusal;
  constructor(refusal: HttpRefusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/**
 * The caller's address, as Cloudflare gives it. On a developer's machine the header is absent: the
 * loopback address.
 */
export function clientIp(c: Call): string {
  return c.req.header("CF-Connecting-IP") ?? "127.0.0.1";
}
