/**
 * Wraps a route's handler in the guard and in idempotency. Routes use it, so that nobody forgets the guard.
 * Exceptions are routes that need no credential, or accept other ones: health, `/v1/ip`, join, websockets,
 * pairing by devices, the rotation of a device token, sign-in, the end of a session (an API key or the root
 * token), and PolarClaw's calls.
 */
import type { Freshness } from "../keys/key-cache";
import type { Permission } from "../keys/permissions";
import type { IdempotencyScope } from "../once/idempotency-keys";
import { requireKey } from "./authenticate";
import { idempotencyScope, runOrReplay } from "./idempotency";
import type { Call, Caller } from "./request-context";
import { requireRoot } from "./root-and-signer";

type Handler = (c: Call) => Promise<Response>;

/**
 * A route for API keys and for operators who signed in with one.
 * @param permission what the key must hold; null: every key that works will do
 * @param freshness `fresh` where a key that was revoked seconds ago must not be accepted
 */
export function keyRoute(
  permission: Permission | null,
  handle: (c: Call, caller: Caller) => Promise<Response>,
  freshness: Freshness = "cached",
): Handler {
  return async (c) => {
    const caller = await requireKey(c, permission, freshness);
    return withIdempotencyKey(c, idempotencyScope(caller), () => handle(c, caller));
  };
}

/** A route for the root token only. */
export function rootRoute(handle: Handler): Handler {
  return async (c) => {
    requireRoot(c);
    return withIdempotencyKey(c, { organisationId: 0, keyId: 0, person: null }, () => handle(c));
  };
}

/** Honours the Idempotency-Key of a POST or PATCH whose caller is known. Other methods just run. */
export function withIdempotencyKey(
  c: Call,
  scope: IdempotencyScope,
  handle: () => Promise<Response>,
): Promise<Response> {
  const takesKey = c.req.method === "POST" || c.req.method === "PATCH";
  return takesKey ? runOrReplay(c, scope, handle) : handle();
}

/**
 * The id before the verb, where a route ends like `/:call{[^:]+:test}`: Hono cannot end a parameter at
 * a colon.
 */
export function idBeforeVerb(c: Call): string {
  return (c.req.param("call") ?? "").split(":")[0] ?? "";
}
