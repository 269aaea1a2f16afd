/**
 * Verifies the assertions of Cloudflare Access. Access stands in front of the deployment and signs a JWT
 * about each person whom it lets through, so that this person signs in without a token. See "Validate
 * JWTs" in Cloudflare's documentation of Access.
 */
import { createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from "jose";
import * as z from "zod";
import type { AccessConfig } from "../platform/config";
import { UnavailableError } from "../platform/unavailable";

/** How long the Worker waits for Cloudflare's answer. */
const TIMEOUT_MS = 5_000;
const claimsShape = z.object({ email: z.string().min(3).max(254) });

/** The public keys of Access in this isolate, by issuer. They are read again when an assertion names another key. */
const keySets = new Map<string, JWTVerifyGetKey>();

/**
 * The e-mail address that Access vouches for, in lower case. Null: the assertion is not from Access, not
 * for this application, or expired.
 * @throws UnavailableError when Access's public keys cannot be read
 */
export async function verifyAccessAssertion(
  access: AccessConfig,
  assertion: string,
  now: number,
): Promise<string | null> {
  try {
    const { payload } = await jwtVerify(assertion, keySetOf(access.issuer), {
      // The algorithms of Access. Without a list, an assertion could choose any.
      algorithms: ["RS256", "ES256"],
      issuer: access.issuer,
      audience: access.audience,
      requiredClaims: ["exp"],
      currentDate: new Date(now),
    });
    const claims = claimsShape.safeParse(payload);
    return claims.success ? claims.data.email.toLowerCase() : null;
  } catch (error) {
    if (isUnreachable(error))
      throw new UnavailableError(`Access keys unreadable: ${String(error)}`);
    if (error instanceof errors.JOSEError) return null;
    throw error;
  }
}

/** jose throws its base class when the answer was no key set, and passes network errors on as they are. */
function isUnreachable(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return true;
  const { code } = error;
  return [errors.JWKSTimeout.code, errors.JWKSInvalid.code, errors.JOSEError.code].includes(code);
}

function keySetOf(issuer: string): JWTVerifyGetKey {
  const known = keySets.get(issuer);
  if (known) return known;
  const keys = createRemoteJWKSet(new URL("/cdn-cgi/access/certs", issuer), {
    timeoutDuration: TIMEOUT_MS,
  });
  keySets.set(issuer, keys);
  return keys;
}
