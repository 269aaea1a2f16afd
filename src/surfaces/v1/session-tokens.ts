/** The operations on `/v1` with which operators sign in and out: `docs/api-keys.md`. */
import * as z from "zod";
import {
  readOrganisationHeader,
  requireKeyWithToken,
  requireUsableKey,
} from "../../http/authenticate";
import { readBodyText } from "../../http/body";
import { refuseAndCount } from "../../http/failed-attempts";
import { idempotencyScope } from "../../http/idempotency";
import { toResponse, withIdempotencyKey } from "../../http/mount";
import { key, type OperationGroup, open, operation, type Shown } from "../../http/operation";
import { countCall } from "../../http/rate-limits";
import { type Call, type Caller, clientIp, Refused } from "../../http/request-context";
import type { CallerKey } from "../../keys/key";
import { OPERATOR_SIGN_IN } from "../../keys/permissions";
import { verifyAccessAssertion } from "../../operators/cloudflare-access";
import { signOut } from "../../operators/operator-store";
import {
  newOperatorSession,
  type OperatorSession,
  signSessionToken,
} from "../../operators/session-token";
import { chooseOperatorKey } from "../../operators/sign-in";
import { time, toRfc3339 } from "../shared/wire-time";

const signInBody = z.strictObject({
  token: z.string("must be an API key").meta({ description: "The API key to sign in with." }),
});

const sessionToken = z
  .object({
    session_token: z
      .string()
      .meta({ description: "A bearer token, in place of the API key. It is shown this once." }),
    expires_at: time,
  })
  .meta({ id: "SessionToken" });

/** Signing in and out, for operators. */
export const sessionTokens: OperationGroup = {
  name: "Operators",
  description: `A person signs in with an API key that holds \`${OPERATOR_SIGN_IN}\`, and may then do what that key may.`,
  page: "api-keys.md",
  operations: [
    operation({
      id: "createSessionToken",
      method: "POST",
      path: "/v1/auth/session-tokens",
      // The credential is the API key in the body, or the assertion that Cloudflare Access adds.
      caller: open,
      summary: "Sign in as an operator",
      description: `Send an API key that holds \`${OPERATOR_SIGN_IN}\`, in the body. Whoever came through Cloudflare Access sends no body: the header \`Cf-Access-Jwt-Assertion\`, which Access adds, says who they are. The headers \`Idempotency-Key\` and \`X-Organisation-Id\` mean what they mean for other calls.`,
      body: signInBody,
      bodyIsOptional: true,
      headers: ["Idempotency-Key", "X-Organisation-Id"],
      answers: { 201: sessionToken },
      answerTexts: {
        201: "The session token, which takes the place of the API key. It is shown this once.",
      },
      refusals: {
        400: ["invalid-idempotency-key"],
        401: ["unauthenticated", "unknown-key", "blocked-key", "expired-key", "access-refused"],
        403: ["address-refused", "missing-permission", "not-an-operator"],
        404: ["organisation-not-found"],
        409: ["several-organisations", "idempotency-key-running", "idempotent-answer-lost"],
        422: ["idempotency-key-reused"],
        429: ["too-many-failures", "too-many-requests", "too-many-sign-ins"],
      },
      example: { body: { token: "drb_unknown" } },
      async handle(c, { readBody }) {
        const signIn =
          (await readSignInFromAccess(c)) ?? (await readSignInFromToken(c, await readBody()));
        const { caller, key, email } = signIn;
        return withIdempotencyKey(c, idempotencyScope(caller, email), async () => {
          const now = Date.now();
          countCall(c, "signIns", now, String(key.id));
          const session = newOperatorSession(key, email, now);
          const token = await signSessionToken(c.var.config.secret, session, now);
          return toResponse(c, { status: 201, body: toSessionToken(session, token) });
        });
      },
    }),
    operation({
      id: "deleteSessionToken",
      method: "DELETE",
      path: "/v1/auth/session-tokens",
      caller: key(OPERATOR_SIGN_IN),
      summary: "Sign out",
      description:
        "It ends the session token that is sent in `Authorization`. An API key cannot sign out.",
      answers: { 204: null },
      refusals: { 400: ["not-a-session-token"] },
      example: {},
      async handle(c, { caller: { session } }) {
        if (!session) throw new Refused(notASessionToken);
        await signOut(c.var.db, session);
        return { status: 204 };
      },
    }),
  ],
};

function toSessionToken(session: OperatorSession, token: string): Shown<typeof sessionToken> {
  return { session_token: token, expires_at: toRfc3339(session.expiresAt) };
}

/** An operator who signs in. */
interface SignIn {
  caller: Caller;
  key: CallerKey;
  /** The address that Cloudflare Access has confirmed; null: they signed in with an API key. */
  email: string | null;
}

/** An operator who sends an API key in the body. */
async function readSignInFromToken(
  c: Call,
  { token }: z.output<typeof signInBody>,
): Promise<SignIn> {
  return { ...(await requireKeyWithToken(c, token, OPERATOR_SIGN_IN, "fresh")), email: null };
}

/** An operator who came through Cloudflare Access and sends no API key; null: they came in another way. */
async function readSignInFromAccess(c: Call): Promise<SignIn | null> {
  const { access } = c.var.config;
  const assertion = c.req.header("Cf-Access-Jwt-Assertion");
  if (!access || assertion === undefined || (await readBodyText(c)).trim() !== "") return null;
  const now = Date.now();
  const email = await verifyAccessAssertion(access, assertion, now);
  if (email === null) return refuseAndCount(c, now, refusedAssertion);
  const organisationId = readOrganisationHeader(c);
  const person = { email, organisationId, ip: clientIp(c) };
  const choice = await chooseOperatorKey(c.var.db, person, now);
  if (!choice.ok) throw new Refused(choiceRefusals[choice.code]);
  const caller = await requireUsableKey(c, choice.key, OPERATOR_SIGN_IN);
  return { caller, key: choice.key, email };
}

const notASessionToken = {
  status: 400,
  code: "not-a-session-token",
  message: "This ends the session token in the Authorization header: an API key has none.",
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
