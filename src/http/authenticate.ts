/**
 * The one guard: who is calling, and may they do this. Every handler gets its organisation from here
 * and from nowhere else.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { judgeKey } from "../keys/key";
import { holds, type Permission } from "../keys/permissions";
import { findKeyByToken } from "../keys/store";
import { isWellFormedToken } from "../keys/token";
import { type Call, type Caller, clientIp, type HttpRefusal, Refused } from "./context";
import { MinuteLimit } from "./limits";

const failures = new MinuteLimit();

/**
 * The caller, who holds `permission`.
 * @throws Refused 401 or 403 (see `contracts/conventions.md`), 429 after too many failures or requests
 */
export async function requireKey(c: Call, permission: Permission): Promise<Caller> {
  const now = Date.now();
  const token = credential(c, now);
  const key = isWellFormedToken(token)
    ? await findKeyByToken(c.var.db, token, now)
    : fail(c, now, malformed("is not one of our API keys: check that it was copied whole"));
  const status = c.var.surface.unknownKeyStatus;
  if (!key)
    return fail(c, now, {
      status,
      code: "unknown-key",
      message: "This API key does not exist. Make one, or use another.",
    });
  switch (judgeKey(key, clientIp(c), now)) {
    case "unknown":
      return fail(c, now, {
        status,
        code: "unknown-key",
        message: "This API key does not exist. Make one, or use another.",
      });
    case "blocked":
      return fail(c, now, {
        status,
        code: "blocked-key",
        message: "This API key is blocked. An operator can unblock it.",
      });
    case "expired":
      return fail(c, now, {
        status,
        code: "expired-key",
        message: "This API key has expired. An operator can extend it.",
      });
    case "ip-refused":
      return fail(c, now, {
        status: 403,
        code: "address-refused",
        message:
          "This API key may not be used from your address. Add the address to its allowlist.",
      });
    case null:
      break;
  }
  const caller: Caller = {
    organisationId: key.organisationIds[0] ?? 0,
    keyId: key.id,
    permissions: key.permissions,
  };
  c.set("caller", caller);
  const { success } = await c.env.KEY_LIMIT.limit({ key: String(key.id) });
  if (!success) {
    throw new Refused({
      status: 429,
      code: "too-many-requests",
      message: "Too many requests with this API key. Wait as long as Retry-After says.",
      headers: { "Retry-After": "10" },
    });
  }
  if (!holds(caller.permissions, permission)) {
    throw new Refused({
      status: 403,
      code: "missing-permission",
      message: `This API key lacks the permission ${permission}. An operator can grant it.`,
    });
  }
  return caller;
}

/**
 * Lets only the root token pass.
 * @throws Refused 401, or 429 after too many failures
 */
export function requireRoot(c: Call): void {
  const now = Date.now();
  const token = credential(c, now);
  const digest = (text: string) => createHash("sha256").update(text).digest();
  if (timingSafeEqual(digest(token), digest(c.var.config.rootToken))) return;
  fail(c, now, {
    status: 401,
    code: "not-the-root-token",
    message: "This call takes the root token (DRAWBRIDGE_ROOT_TOKEN).",
  });
}

/** The credential of the Authorization header: the schemes token, Token and Bearer are one. */
function credential(c: Call, now: number): string {
  const retryAfterSeconds = failures.retryAfterSeconds(
    clientIp(c),
    c.var.config.failedAuthPerMinute,
    now,
  );
  if (retryAfterSeconds > 0) {
    throw new Refused({
      status: 429,
      code: "too-many-failures",
      message:
        "Too many failed authentications from your address. Wait as long as Retry-After says.",
      headers: { "Retry-After": String(retryAfterSeconds) },
    });
  }
  const header = c.req.header("Authorization");
  if (header === undefined || header.trim() === "") {
    return fail(c, now, malformed('is missing: send "Authorization: token <API key>"'));
  }
  const match = /^(?:token|bearer)\s+(\S+)$/i.exec(header.trim());
  return match?.[1] ?? fail(c, now, malformed('has another form than "token <API key>"'));
}

function malformed(problem: string): HttpRefusal {
  return {
    status: 401,
    code: "unauthenticated",
    message: `The credential of the Authorization header ${problem}.`,
    headers: { "WWW-Authenticate": "Bearer" },
  };
}

function fail(c: Call, now: number, refusal: HttpRefusal): never {
  failures.count(clientIp(c), now);
  throw new Refused(refusal);
}
