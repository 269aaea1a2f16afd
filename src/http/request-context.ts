/** What every request carries: its id, its settings, its clients, and once known who is calling. */
import type { Context } from "hono";
import type { Database } from "../db/open";
import type { EventOutbox } from "../events/event-outbox";
import type { OperatorSession } from "../operators/session-token";
import type { Config } from "../platform/config";
import type { SessionClient } from "../session/session-client";

/** Who is calling, as far as the guard has established it. */
export interface Caller {
  /** Where they act: what belongs to any other organisation does not exist for this request. */
  organisationId: number;
  /** All in which their key acts. */
  organisationIds: readonly number[];
  keyId: number;
  permissions: readonly string[];
  /**
   * When that ends which they came with, in Unix milliseconds: their key, or a token of it that was
   * refreshed and is in its grace. Null: it has no end.
   */
  expiresAt: number | null;
  /** From where their key may be used: CIDRs; empty: from anywhere. */
  ipAllowlist: readonly string[];
  /** An operator's, with the permissions of the key that signed them in; null: the key itself. */
  session: OperatorSession | null;
}

export interface AppEnv {
  Bindings: Env;
  Variables: {
    requestId: string;
    config: Config;
    db: Database;
    sessions: SessionClient;
    /** Announces changes of what lives in D1. */
    events: EventOutbox;
    /** The surface that answers: for the log, and for the format of errors. */
    surface: Surface;
    /** Set by the guard; for the log. */
    caller: Caller | null;
    /** The body, once read: signatures, the idempotency guard and the handler share it. */
    bodyBytes: Promise<Uint8Array> | null;
  };
}

/** A request in hand. */
export type Call = Context<AppEnv>;

/** A surface's way to say what is wrong. */
export interface Surface {
  readonly name: string;
  /** The status of a well-formed but unknown or blocked key. */
  readonly unknownKeyStatus: 401 | 403;
  /** Whether answers under this path have this surface's format, also where no route matches. */
  owns(path: string): boolean;
  /** Turns a refusal into the surface's own error answer. */
  refuse(c: Call, refusal: HttpRefusal): Response;
}

/** What says of a path whether it is one of these, or below one: `/users` owns `/users/1` and `/users:verb`. */
export function pathsUnder(...roots: readonly string[]): Surface["owns"] {
  return (path) =>
    roots.some(
      (root) => path === root || path.startsWith(`${root}/`) || path.startsWith(`${root}:`),
    );
}

/**
 * A refusal that any surface can have to express. Of a conflict it says whether it `lasts`. True: the
 * request has to change, or there is nothing left that it could do. False: the same request may be
 * right later, when others are done, or something was freed or switched on. What lasts is kept for an
 * Idempotency-Key.
 */
export type HttpRefusal = RefusalText &
  (
    | { status: 400 | 401 | 403 | 404 | 405 | 410 | 413 | 415 | 422 | 426 | 429 | 500 | 503 }
    | { status: 409; lasts: boolean }
  );

interface RefusalText {
  /** Stable, kebab-case. */
  code: string;
  /** What was wrong, and what to do. */
  message: string;
  /** Every problem of a body or query, by the path of its field. */
  problems?: readonly { path: string; message: string }[];
  headers?: Readonly<Record<string, string>>;
  /** Further members of the answer, where its format has room. */
  more?: Readonly<Record<string, unknown>>;
}

/** Thrown by what all surfaces share, answered by the app in the surface's own format. */
export class Refused extends Error {
  readonly refusal: HttpRefusal;
  constructor(refusal: HttpRefusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** The caller's address: Cloudflare's word for it; locally the loopback address. */
export function clientIp(c: Call): string {
  return c.req.header("CF-Connecting-IP") ?? "127.0.0.1";
}
