import { type CallerKey, checkKey } from "../keys/key";
import { type Freshness, findKeyById, findKeyByToken } from "../keys/key-cache";
import { isWellFormedToken } from "../keys/key-token";
import { LastUseRecorder } from "../keys/last-use";
import { hasPermission, OPERATOR_SIGN_IN, type Permission } from "../keys/permissions";
import {
  isOperatorSessionValid,
  isSessionToken,
  type OperatorSession,
  readSessionToken,
} from "../operators/session-token";
import { countRequest } from "./calls-per-minute";
import { fail } from "./failed-attempts";
import {
  endedSession,
  malformed,
  toHttpRefusal,
  unknownKey,
  unknownOrganisation,
} from "./guard-refusals";
import { type Call, type Caller, clientIp, Refused } from "./request-context";

const lastUses = new LastUseRecorder();

/**
 * The caller, who holds `permission` (null: none is needed): an API key, or an operator with a session token.
 * @throws Refused 401 or 403 (see `contracts/conventions.md`), 404 for an organisation that is not the
 *   caller's, 429 after too many failures or requests
 */
export async function requireKey(
  c: Call,
  permission: Permission | null,
  freshness: Freshness = "cached",
): Promise<Caller> {
  const credential = readCredential(c, Date.now());
  if (isSessionToken(credential)) return requireOperator(c, credential, permission, freshness);
  return (await requireToken(c, credential, permission, freshness)).caller;
}

/** The caller whose API key has this token, and the key; see `requireKey`. */
export async function requireToken(
  c: Call,
  token: string,
  permission: Permission | null,
  freshness: Freshness = "cached",
): Promise<{ caller: Caller; key: CallerKey }> {
  const now = Date.now();
  if (!isWellFormedToken(token)) {
    fail(c, now, malformed("is not one of our API keys: check that it was copied whole"));
  }
  const found = await findKeyByToken(c.var.db, token, now, freshness);
  const key = found ?? fail(c, now, unknownKey(c));
  return { key, caller: await admit(c, key, null, permission, now) };
}

/** The caller who has established by other means that this key is theirs; see `requireKey`. */
export function requireUsable(
  c: Call,
  key: CallerKey,
  permission: Permission | null,
): Promise<Caller> {
  return admit(c, key, null, permission, Date.now());
}

/** Notes that a key is in use; costs no write of its own. */
export function noteUse(c: Call, keyId: number, organisationId: number): void {
  lastUses.note(c.var.db, c.executionCtx, { keyId, organisationId, at: Date.now() });
}

/** The organisation that the request names to act in; null when it names none, 0 when it cannot be one. */
export function namedOrganisation(c: Call): number | null {
  const named = c.req.header("X-Organisation-Id");
  if (named === undefined) return null;
  return /^[0-9]{1,15}$/.test(named) ? Number(named) : 0;
}

async function requireOperator(
  c: Call,
  token: string,
  permission: Permission | null,
  freshness: Freshness,
): Promise<Caller> {
  const now = Date.now();
  const session = await readSessionToken(c.var.config.secret, token, now);
  if (session === "malformed") {
    return fail(c, now, malformed("is neither one of our API keys nor a session token of ours"));
  }
  if (session === "expired") return fail(c, now, endedSession);
  const key = await findKeyById(c.var.db, session.keyId, now, freshness);
  if (!key || !isOperatorSessionValid(session, key)) return fail(c, now, endedSession);
  // A key that no longer lets operators in ends the sessions that it opened.
  if (!hasPermission(key.permissions, OPERATOR_SIGN_IN)) return fail(c, now, endedSession);
  return admit(c, key, session, permission, now);
}

/** The one place that says whether a key gets through. */
async function admit(
  c: Call,
  key: CallerKey,
  session: OperatorSession | null,
  permission: Permission | null,
  now: number,
): Promise<Caller> {
  const refusal = checkKey(key, clientIp(c), now);
  if (refusal) fail(c, now, toHttpRefusal(c, refusal));
  const named = namedOrganisation(c);
  if (named !== null && !key.organisationIds.includes(named))
    throw new Refused(unknownOrganisation);
  const caller: Caller = {
    organisationId: named ?? key.organisationIds[0] ?? 0,
    organisationIds: key.organisationIds,
    keyId: key.id,
    permissions: key.permissions,
    expiresAt: earliest(key.expiresAt, key.tokenValidUntil, session?.tokenEndsAt ?? null),
    ipAllowlist: key.ipAllowlist,
    session,
  };
  c.set("caller", caller);
  await countRequest(c, caller);
  noteUse(c, key.id, caller.organisationId);
  if (permission !== null && !hasPermission(caller.permissions, permission)) {
    throw new Refused({
      status: 403,
      code: "missing-permission",
      message: `This API key lacks the permission ${permission}. An operator can grant it.`,
    });
  }
  return caller;
}

/** The first of these times; null: none of them is one. */
function earliest(...times: (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/**
 * The credential of the Authorization header: the schemes token, Token and Bearer are one.
 * @throws Refused 401, or 429 after too many failures
 */
export function readCredential(c: Call, now: number): string {
  const header = c.req.header("Authorization");
  if (header === undefined || header.trim() === "") {
    return fail(c, now, malformed('is missing: send "Authorization: token <API key>"'));
  }
  const match = /^(?:token|bearer)\s+(\S+)$/i.exec(header.trim());
  return match?.[1] ?? fail(c, now, malformed('has another form than "token <API key>"'));
}
