/** The operations on `/v1` with which operators sign in and out, and ask who they are: `docs/api-keys.md`. */
import * as z from "zod";
import { earliest } from "../../http/authenticate";
import { withIdempotencyKey } from "../../http/mount";
import {
  key,
  type OperationGroup,
  open,
  operation,
  type Shown,
  toResponse,
} from "../../http/operation";
import { countCall, requireBelowLimit } from "../../http/rate-limits";
import { type Caller, Refused } from "../../http/request-context";
import { OPERATOR_SIGN_IN } from "../../keys/permissions";
import { signOut } from "../../operators/operator-store";
import {
  newOperatorSession,
  type OperatorSession,
  signSessionToken,
} from "../../operators/session-token";
import { findOrganisations, type Organisation } from "../../organisations/organisation-store";
import { time, toRfc3339 } from "../shared/wire-time";
import { readSignIn, signInBody, useUpCode } from "./sign-in";
import { createSignInCode } from "./sign-in-codes";
import { listSignInMethods } from "./sign-in-methods";

const sessionToken = z
  .object({
    session_token: z
      .string()
      .meta({ description: "A bearer token, in place of the API key. It is shown this once." }),
    expires_at: time,
  })
  .meta({ id: "SessionToken" });

const callerIdentity = z
  .object({
    key_id: z.int().meta({ description: "The API key that calls, or as which they signed in." }),
    key_name: z.string(),
    signed_in: z.boolean().meta({
      description: "`true`: an operator with a session token. `false`: the API key itself.",
    }),
    email: z.string().nullable().meta({
      description: "The operator's address, if Cloudflare Access has confirmed it; else null.",
    }),
    permissions: z
      .array(z.string())
      .meta({ description: "What the key holds. `*` includes every other." }),
    organisation_id: z
      .int()
      .meta({ description: "The organisation in which this call acts: see `X-Organisation-Id`." }),
    organisations: z
      .array(z.object({ id: z.int(), name: z.string() }))
      .meta({ description: "All organisations of the key. It acts in the first by default." }),
    expires_at: time
      .nullable()
      .meta({ description: "When this credential ends at the latest; null: it has no end." }),
    server_time: time.meta({
      description: "The time of the service, for pages on machines whose clock is wrong.",
    }),
  })
  .meta({ id: "CallerIdentity" });

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
      // The credential is in the body, or is the assertion that Cloudflare Access adds.
      caller: open,
      summary: "Sign in as an operator",
      description: `Send an API key that holds \`${OPERATOR_SIGN_IN}\`, or a sign-in code, in the body. Whoever came through Cloudflare Access sends no body: the header \`Cf-Access-Jwt-Assertion\`, which Access adds, says who they are. The headers \`Idempotency-Key\` and \`X-Organisation-Id\` mean what they mean for other calls.`,
      body: signInBody,
      bodyIsOptional: true,
      headers: ["Idempotency-Key", "X-Organisation-Id"],
      answers: { 201: sessionToken },
      answerTexts: {
        201: "The session token, which takes the place of the API key. It is shown this once.",
      },
      refusals: {
        400: ["invalid-idempotency-key"],
        401: [
          "unauthenticated",
          "unknown-key",
          "blocked-key",
          "expired-key",
          "access-refused",
          "unknown-sign-in-code",
          "sign-in-code-ended",
          "sign-in-code-used",
        ],
        403: ["address-refused", "missing-permission", "not-an-operator"],
        404: ["organisation-not-found"],
        409: ["several-organisations", "idempotency-key-running", "idempotent-answer-lost"],
        422: ["idempotency-key-reused"],
        429: ["too-many-failures", "too-many-requests", "too-many-sign-ins"],
      },
      example: { body: { token: "drb_unknown" } },
      async handle(c, { readBody }) {
        const signIn = await readSignIn(c, readBody);
        const { key, email, scope } = signIn;
        return withIdempotencyKey(c, scope, async () => {
          const now = Date.now();
          // Before the code is used up: a code whose sign-in was refused is still good.
          requireBelowLimit(c, "signIns", now, String(key.id));
          await useUpCode(c, signIn, now);
          countCall(c, "signIns", now, String(key.id));
          const session = newOperatorSession(key, email, now);
          const token = await signSessionToken(c.get("config").secret, session, now);
          return toResponse({ status: 201, body: toSessionToken(session, token) });
        });
      },
    }),
    operation({
      id: "getSessionToken",
      method: "GET",
      path: "/v1/auth/session-tokens",
      caller: key(null),
      summary: "Ask who you are",
      description:
        "It says whose credential `Authorization` has, what it may do, and in which organisations.",
      answers: { 200: callerIdentity },
      example: {},
      async handle(c, { caller }) {
        const organisations = await findOrganisations(c.get("db"), caller.organisationIds);
        return { status: 200, body: toIdentity(caller, organisations, Date.now()) };
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
        await signOut(c.get("db"), session);
        return { status: 204 };
      },
    }),
    createSignInCode,
    listSignInMethods,
  ],
};

function toSessionToken(session: OperatorSession, token: string): Shown<typeof sessionToken> {
  return { session_token: token, expires_at: toRfc3339(session.expiresAt) };
}

function toIdentity(
  caller: Caller,
  organisations: readonly Organisation[],
  now: number,
): Shown<typeof callerIdentity> {
  const { keyId, keyName, session, permissions, organisationId, expiresAt } = caller;
  // The key may have got an end after the operator had signed in.
  const endsAt = earliest(session?.expiresAt ?? null, expiresAt);
  return {
    key_id: keyId,
    key_name: keyName,
    signed_in: session !== null,
    email: session?.email ?? null,
    permissions,
    organisation_id: organisationId,
    organisations: organisations.map(({ id, name }) => ({ id, name })),
    expires_at: toRfc3339(endsAt),
    server_time: toRfc3339(now),
  };
}

const notASessionToken = {
  status: 400,
  code: "not-a-session-token",
  message: "This ends the session token in the Authorization header: an API key has none.",
} as const;
