/**
 * Session tokens of operators: makes and reads them. A session token is a JWT. It is signed with a key that
 * is derived from the deployment's secret, and belongs to an API key in one version of that key's token. It
 * says who signed in. What they may do is read from the key at every use.
 */
import { errors, jwtVerify, SignJWT } from "jose";
import * as z from "zod";
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
  /** The version of the key's token: a refresh of the token ends the session. */
  tokenVersion: number;
  /** Names this session when its operator signs out. */
  tokenId: string;
  /** Unix milliseconds, whole seconds. */
  expiresAt: number;
  /** The address that Cloudflare Access vouched for. Null: the operator signed in with the key itself. */
  email: string | null;
  /** If the key's token was in its grace at the sign-in: when that token ends, Unix milliseconds. */
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
 * A session that begins now. It ends after 12 hours, or with the key, or with the token that was used to
 * sign in, whichever is first.
 * @param email the person's address, if Cloudflare Access vouched for it
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

/** The session token of a session. */
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

/** The session of a session token, or why there is none. */
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
 * Whether a session is still valid with its key as it is now. A refresh of the key's token or a sign-out
 * ends it. So does removing the address from the key, for an operator who signed in by that address.
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
