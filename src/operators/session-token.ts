/**
 * What an operator who signed in carries: a JWT, signed with a key derived from the deployment's secret
 * and bound to an API key in one version of its token. It says who signed in, not what they may do:
 * that is read from the key at every use.
 */
import { errors, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import type { CallerKey } from "../keys/key";
import { deriveKey } from "../platform/derive";

/** How long an operator stays signed in. */
export const OPERATOR_SESSION_MS = 12 * 3_600_000;

const ISSUER = "drawbridge";
const TYPE = "drawbridge-session+jwt";
const SHAPE = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** An operator's session. */
export interface OperatorSession {
  keyId: number;
  /** Of the key's token: a refresh ends the sessions before it. */
  tokenVersion: number;
  /** By this it is signed out. */
  tokenId: string;
  /** Unix milliseconds, whole seconds. */
  expiresAt: number;
  /** Whom Cloudflare Access vouched for; null for who signed in with the key itself. */
  email: string | null;
  /** Of a sign-in with a token in its grace: when that ends, in Unix milliseconds. */
  tokenEndsAt: number | null;
}

const claimsShape = z.object({
  sub: z.string().regex(/^[0-9]{1,15}$/),
  ver: z.int(),
  jti: z.string(),
  exp: z.int(),
  email: z.string().optional(),
  /** When the token ends that was used to sign in: Unix milliseconds. */
  token_exp: z.int().optional(),
});

/** Whether a credential has the form of a session token. */
export function isSessionToken(credential: string): boolean {
  return SHAPE.test(credential);
}

/**
 * A session of a key, from now on: at most 12 hours, and never longer than the key or the token that was
 * used to sign in.
 * @param email of the person, where somebody vouches for it
 */
export function newOperatorSession(
  key: {
    id: number;
    tokenVersion: number;
    expiresAt: number | null;
    tokenValidUntil: number | null;
  },
  email: string | null,
  now: number,
): OperatorSession {
  const end = Math.min(
    now + OPERATOR_SESSION_MS,
    key.expiresAt ?? Number.POSITIVE_INFINITY,
    key.tokenValidUntil ?? Number.POSITIVE_INFINITY,
  );
  return {
    keyId: key.id,
    tokenVersion: key.tokenVersion,
    tokenId: crypto.randomUUID(),
    expiresAt: Math.floor(end / 1_000) * 1_000,
    email,
    tokenEndsAt: key.tokenValidUntil,
  };
}

/** The token of a session. */
export async function signSessionToken(
  secret: string,
  session: OperatorSession,
  now: number,
): Promise<string> {
  const { tokenVersion: ver, email, tokenEndsAt } = session;
  return new SignJWT({
    ver,
    ...(email === null ? {} : { email }),
    ...(tokenEndsAt === null ? {} : { token_exp: tokenEndsAt }),
  })
    .setProtectedHeader({ alg: "HS256", typ: TYPE })
    .setIssuer(ISSUER)
    .setSubject(String(session.keyId))
    .setJti(session.tokenId)
    .setIssuedAt(new Date(now))
    .setExpirationTime(new Date(session.expiresAt))
    .sign(signingKey(secret));
}

/** The session that a token stands for, or why it stands for none. */
export async function readSessionToken(
  secret: string,
  token: string,
  now: number,
): Promise<OperatorSession | "malformed" | "expired"> {
  try {
    const { payload } = await jwtVerify(token, signingKey(secret), {
      algorithms: ["HS256"],
      typ: TYPE,
      issuer: ISSUER,
      currentDate: new Date(now),
    });
    const claims = claimsShape.parse(payload);
    return {
      keyId: Number(claims.sub),
      tokenVersion: claims.ver,
      tokenId: claims.jti,
      expiresAt: claims.exp * 1_000,
      email: claims.email ?? null,
      tokenEndsAt: claims.token_exp ?? null,
    };
  } catch (error) {
    if (error instanceof errors.JWTExpired) return "expired";
    if (error instanceof errors.JOSEError || error instanceof z.ZodError) return "malformed";
    throw error;
  }
}

/**
 * Whether the session still stands with its key as it is: who signed in by an address is out when the
 * key no longer lists it.
 */
export function isOperatorSessionValid(
  session: OperatorSession,
  key: Pick<CallerKey, "tokenVersion" | "signedOut" | "emails">,
): boolean {
  const { email } = session;
  const isListed = email === null || key.emails.some((listed) => listed.toLowerCase() === email);
  const isCurrent = session.tokenVersion === key.tokenVersion;
  return isListed && isCurrent && !key.signedOut.includes(session.tokenId);
}

function signingKey(secret: string): Uint8Array {
  return deriveKey(secret, "session-tokens");
}
