/** How a surface declares a route: the guard and idempotency come with it, so that none is without. */
import type { Freshness } from "../keys/key-cache";
import type { Permission } from "../keys/permissions";
import type { IdempotencyScope } from "../once/idempotency-keys";
import { requireKey } from "./authenticate";
import { idempotently, scopeOf } from "./idempotency";
import type { Call, Caller } from "./request-context";
import { requireRoot } from "./root-and-signer";

type Handler = (c: Call) => Promise<Response>;

/**
 * A route for API keys, and operators of API keys, that hold `permission`; null: for all that work.
 * @param freshness `fresh` where a key that was revoked seconds ago must not get through
 */
export function keyed(
  permission: Permission | null,
  handle: (c: Call, caller: Caller) => Promise<Response>,
  freshness: Freshness = "cached",
): Handler {
  return async (c) => {
    const caller = await requireKey(c, permission, freshness);
    return once(c, scopeOf(caller), () => handle(c, caller));
  };
}

/** A route for the root token. */
export function rooted(handle: Handler): Handler {
  return async (c) => {
    requireRoot(c);
    return once(c, { organisationId: 0, keyId: 0, person: null }, () => handle(c));
  };
}

/** Idempotency for a POST or PATCH, whose caller the guard has established. */
export function once(
  c: Call,
  scope: IdempotencyScope,
  handle: () => Promise<Response>,
): Promise<Response> {
  const takesKey = c.req.method === "POST" || c.req.method === "PATCH";
  return takesKey ? idempotently(c, scope, handle) : handle();
}

/** The id in front of the verb of a route like `/:call{[^:]+:test}`: Hono has no parameter that ends there. */
export function idBeforeVerb(c: Call): string {
  return (c.req.param("call") ?? "").split(":")[0] ?? "";
}
