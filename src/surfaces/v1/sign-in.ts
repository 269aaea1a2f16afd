/**
 * Who signs in as an operator, and as which API key: read from an API key, a sign-in code, or the assertion of
 * Cloudflare Access.
 */
import * as z from "zod";
import {
  readOrganisationHeader,
  requireKeyWithToken,
  requireUsableKey,
} from "../../http/authenticate";
import { readBodyText } from "../../http/body";
import { refuseAndCount } from "../../http/failed-attempts";
import { idempotencyScope } from "../../http/idempotency";
import { type Call, clientIp, Refused } from "../../http/request-context";
import type { CallerKey } from "../../keys/key";
import { findKeyById } from "../../keys/key-cache";
import { OPERATOR_SIGN_IN } from "../../keys/permissions";
import type { IdempotencyScope } from "../../once/idempotency-keys";
import { useNonce } from "../../once/nonces";
import { verifyAccessAssertion } from "../../operators/cloudflare-access";
import { chooseOperatorKey } from "../../operators/sign-in";
import { readSignInCode, type SignInCode } from "../../operators/sign-in-code";

/** The schema of the body: either an API key, or a sign-in code. */
export const signInBody = z.union(
  [
    z.strictObject({
      token: z.string().meta({ description: "The API key to sign in with." }),
    }),
    z.strictObject({
      code: z.string().meta({
        description:
          "A sign-in code. It is good once, for ten minutes, as long as its key is not refreshed.",
      }),
    }),
  ],
  "The body must have either token (an API key) or code (a sign-in code), as text, and no other field",
);

/** An operator who signs in. */
export interface SignIn {
  key: CallerKey;
  /** The address that Cloudflare Access has confirmed; null: they signed in in another way. */
  email: string | null;
  /** To whom their Idempotency-Keys belong. */
  scope: IdempotencyScope;
  /** The code that this sign-in uses up; null: they have none. */
  code: SignInCode | null;
}

/**
 * Finds out who signs in. It does not use up a sign-in code.
 * @throws Refused 401 or 403, 429 after too many failures, 409 where a person has to name an organisation
 */
export async function readSignIn(
  c: Call,
  readBody: () => Promise<z.output<typeof signInBody>>,
): Promise<SignIn> {
  const fromAccess = await readSignInFromAccess(c);
  if (fromAccess) return fromAccess;
  const body = await readBody();
  return "code" in body ? readSignInFromCode(c, body.code) : readSignInFromToken(c, body.token);
}

/**
 * Uses up the code of a sign-in, if it has one. Of several sign-ins at once with one code, one succeeds.
 * @throws Refused 401 where it was used before
 */
export async function useUpCode(c: Call, { code }: SignIn, now: number): Promise<void> {
  if (!code) return;
  const isFirst = await useNonce(c.get("db"), `sign-in-code/${code.keyId}`, code.id, now);
  if (!isFirst) refuseAndCount(c, now, codeRefusals.used);
}

/** An operator who sends an API key. */
async function readSignInFromToken(c: Call, token: string): Promise<SignIn> {
  const { caller, key } = await requireKeyWithToken(c, token, OPERATOR_SIGN_IN, "fresh");
  return { key, email: null, scope: idempotencyScope(caller), code: null };
}

/** Somebody who sends a sign-in code. */
async function readSignInFromCode(c: Call, text: string): Promise<SignIn> {
  const now = Date.now();
  const code = readSignInCode(c.get("config").secret, text, now);
  if (typeof code === "string") return refuseAndCount(c, now, codeRefusals[code]);
  const key = await findKeyById(c.get("db"), code.keyId, now, "fresh");
  if (key?.tokenVersion !== code.tokenVersion) return refuseAndCount(c, now, codeRefusals.ended);
  const caller = await requireUsableKey(c, key, OPERATOR_SIGN_IN);
  // Several people may have codes for one key, and none of them gets the answer of another.
  const scope = { ...idempotencyScope(caller), person: `code/${code.id}` };
  return { key, email: null, scope, code };
}

/** An operator who came through Cloudflare Access and sends no body; null: they came in another way. */
async function readSignInFromAccess(c: Call): Promise<SignIn | null> {
  const { access } = c.get("config");
  const assertion = c.req.header("Cf-Access-Jwt-Assertion");
  if (!access || assertion === undefined || (await readBodyText(c)).trim() !== "") return null;
  const now = Date.now();
  const email = await verifyAccessAssertion(access, assertion, now);
  if (email === null) return refuseAndCount(c, now, refusedAssertion);
  const organisationId = readOrganisationHeader(c);
  const person = { email, organisationId, ip: clientIp(c) };
  const choice = await chooseOperatorKey(c.get("db"), person, now);
  if (!choice.ok) throw new Refused(choiceRefusals[choice.code]);
  const caller = await requireUsableKey(c, choice.key, OPERATOR_SIGN_IN);
  return { key: choice.key, email, scope: idempotencyScope(caller, email), code: null };
}

/** Only who has a code that this deployment made is told that it is over or used. */
const codeRefusals = {
  unknown: {
    status: 401,
    code: "unknown-sign-in-code",
    message: "This is not one of our sign-in codes. Check that it was copied whole.",
  },
  ended: {
    status: 401,
    code: "sign-in-code-ended",
    message:
      "This sign-in code is over: its ten minutes have passed, or its API key was refreshed or deleted. Get a new code, or sign in with the API key.",
  },
  used: {
    status: 401,
    code: "sign-in-code-used",
    message:
      "Somebody has signed in with this code before; it is good once. Get a new code, or sign in with the API key.",
  },
} as const;

const refusedAssertion = {
  status: 401,
  code: "access-refused",
  message: "Cloudflare Access did not vouch for you here. Go through it again.",
} as const;

const choiceRefusals = {
  "not-an-operator": {
    status: 403,
    code: "not-an-operator",
    message: `No API key with ${OPERATOR_SIGN_IN} lists your e-mail address. An operator can add it to one.`,
  },
  "several-organisations": {
    status: 409,
    lasts: true,
    code: "several-organisations",
    message: "You may sign in to several organisations: name one with X-Organisation-Id.",
  },
} as const;
