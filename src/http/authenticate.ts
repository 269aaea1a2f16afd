/**
 * The guard: finds out which API key or operator sends a request, and whether it may do what it asks for.
 * `mount.ts` calls it for most operations; sign-in and the RPC, which read credentials in other ways, call it
 * themselves.
 */
import { type CallerKey, checkKey } from "../keys/key";
import { type Freshness, findKeyById, findKeyByToken } from "../keys/key-cache";
import { LastUseRecorder } from "../keys/last-use";
import { hasPermission, OPERATOR_SIGN_IN, type Permission } from "../keys/permissions";
import {
  isOperatorSessionValid,
  isSessionToken,
  type OperatorSession,
  readSessionToken,
} from "../operators/session-token";
import { refuseAndCount } from "./failed-attempts";
import {
  endedSessionToken,
  malformedCredential,
  missingPermission,
  toUnusableKeyRefusal,
  unknownKey,
  unknownOrganisation,
} from "./guard-refusals";
import { countRequest } from "./rate-limits";
import { type Call, type Caller, clientIp, Refused } from "./request-context";
import { readIntegerId } from "./whole-numbers";

const lastUses = new LastUseRecorder();

/**
 * Reads the caller from the Authorization header: an API key, or an operator with a session token.
 * @param permission what the caller must hold; null: nothing
 * @throws Refused 401 or 403 (see `docs/conventions.md`), 404 for an organisation that is not the
 *   caller's, 429 after too many failures or requests
 */
export async function requireKey(
  c: Call,
  permission: Permission | null,
  freshness: Freshness = "cached",
): Promise<Caller> {
  const now = Date.now();
  const credential = readCredential(c, now);
  if (isSessionToken(credential)) return requireOperator(c, credential, permission, freshness);
  const key = foundKey(c, await findKeyByToken(c.get("db"), credential, now, freshness), now);
  return admit(c, { key, session: null }, permission, now);
}

/** As `requireKey`, where the API key was sent elsewhere than in the header: the caller, and the key. */
export async function requireKeyWithToken(
  c: Call,
  token: string,
  permission: Permission | null,
  freshness: Freshness = "cached",
): Promise<{ caller: Caller; key: CallerKey }> {
  const now = Date.now();
  const key = foundKey(c, await findKeyByToken(c.get("db"), token, now, freshness), now);
  return { key, caller: await admit(c, { key, session: null }, permission, now) };
}

/**
 * The key that was looked for.
 * @throws Refused 401 or 403 if there is none, 429 after too many failures
 */
function foundKey(c: Call, found: CallerKey | "malformed" | null, now: number): CallerKey {
  if (found === "malformed") {
    const problem = "is not one of our API keys: check that it was copied whole";
    return refuseAndCount(c, now, malformedCredential(problem));
  }
  return found ?? refuseAndCount(c, now, unknownKey(c));
}

/** As `requireKey`, where something else than the token has proved that the caller has this key. */
export function requireUsableKey(
  c: Call,
  key: CallerKey,
  permission: Permission | null,
): Promise<Caller> {
  return admit(c, { key, session: null }, permission, Date.now());
}

/** Remembers that a key was used just now. The time is written later, together with others. */
export function noteKeyUse(c: Call, keyId: number, organisationId: number): void {
  lastUses.note(c.get("db"), c.executionCtx, { keyId, organisationId, at: Date.now() });
}

/** The organisation in which the caller wants to act; null: the header is absent; 0: it is not an id. */
export function readOrganisationHeader(c: Call): number | null {
  const named = c.req.header("X-Organisation-Id");
  return named === undefined ? null : readIntegerId(named);
}

async function requireOperator(
  c: Call,
  token: string,
  permission: Permission | null,
  freshness: Freshness,
): Promise<Caller> {
  const now = Date.now();
  const session = await readSessionToken(c.get("config").secret, token, now);
  if (session === "malformed") {
    return refuseAndCount(
      c,
      now,
      malformedCredential("is neither one of our API keys nor a session token of ours"),
    );
  }
  if (session === "expired") return refuseAndCount(c, now, endedSessionToken);
  const key = await findKeyById(c.get("db"), session.keyId, now, freshness);
  if (!key || !isOperatorSessionValid(session, key))
    return refuseAndCount(c, now, endedSessionToken);
  // A key that lost the permission to sign operators in ends their sessions too.
  if (!hasPermission(key.permissions, OPERATOR_SIGN_IN))
    return refuseAndCount(c, now, endedSessionToken);
  return admit(c, { key, session }, permission, now);
}

/**
 * Decides whether a key that was found may be used now, from here, for this organisation and permission.
 * All credentials come through here.
 */
async function admit(
  c: Call,
  { key, session }: { key: CallerKey; session: OperatorSession | null },
  permission: Permission | null,
  now: number,
): Promise<Caller> {
  // Most keys have no allowlist: then the address makes no difference, and is not read.
  const ip = key.ipAllowlist.length === 0 ? "" : clientIp(c);
  const refusal = checkKey(key, ip, now);
  if (refusal) refuseAndCount(c, now, toUnusableKeyRefusal(c, refusal));
  const named = readOrganisationHeader(c);
  if (named !== null && !key.organisationIds.includes(named))
    throw new Refused(unknownOrganisation);
  const tokenEndsAt = earliest(key.tokenValidUntil, session?.tokenEndsAt ?? null);
  const caller: Caller = {
    organisationId: named ?? key.organisationIds[0] ?? 0,
    organisationIds: key.organisationIds,
    keyId: key.id,
    keyName: key.name,
    permissions: key.permissions,
    expiresAt: earliest(key.expiresAt, tokenEndsAt),
    inGrace: tokenEndsAt !== null,
    tokenVersion: key.tokenVersion,
    ipAllowlist: key.ipAllowlist,
    session,
  };
  c.set("caller", caller);
  await countRequest(c, caller);
  noteKeyUse(c, key.id, caller.organisationId);
  if (!hasPermission(caller.permissions, permission)) {
    throw new Refused(missingPermission(caller.permissions, permission));
  }
  return caller;
}

/** The earliest of these times. Null is no end, and so is the answer if all are null. */
export function earliest(...times: (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/**
 * The credential of the Authorization header. The schemes `token` and `bearer` mean the same, in any case.
 * @param kind what the call takes, for the error: "API key", "poll token"
 * @throws Refused 401, or 429 after too many failures
 */
export function readCredential(c: Call, now: number, kind = "API key"): string {
  const header = c.req.header("Authorization");
  if (header === undefined || header.trim() === "") {
    return refuseAndCount(
      c,
      now,
      malformedCredential(`is missing: send "Authorization: token <${kind}>"`),
    );
  }
  const match = /^(?:token|bearer)\s+(\S+)$/i.exec(header.trim());
  return (
    match?.[1] ??
    refuseAndCount(c, now, malformedCredential(`has another form than "token <${kind}>"`))
  );
}
