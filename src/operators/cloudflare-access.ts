/**
 * Cloudflare Access in front of the deployment: it signs an assertion of who came through, and that
 * person signs in without a token. See "Validate JWTs" in Cloudflare's documentation of Access.
 */
import { createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from "jose";
import { z } from "zod";
import type { AccessConfig } from "../platform/config";
import { UnavailableError } from "../platform/unavailable";

/** Cloudflare's answer is waited for this long. */
const TIMEOUT_MS = 5_000;
const claimsShape = z.object({ email: z.string().min(3).max(254) });

/** Access's public keys, as this isolate holds them; they are read again when an unknown one signs. */
const keySets = new Map<string, JWTVerifyGetKey>();

/**
 * The address of the person that Access vouches for, in lower case; null when the assertion is not
 * Access's, not for this application, or over.
 * @throws UnavailableError when Access's public keys cannot be read
 */
export async function verifyAccessAssertion(
  access: AccessConfig,
  assertion: string,
  now: number,
): Promise<string | null> {
  try {
    const { payload } = await jwtVerify(assertion, keySetOf(access.issuer), {
      // What Access signs with; a list, so that no assertion chooses its own.
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

/** jose says with its plainest class that an answer was no key set, and passes network errors on. */
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
