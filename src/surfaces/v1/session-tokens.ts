/** The routes on `/v1` with which operators sign in and out: `docs/api-keys.md`. */
import type { Hono } from "hono";
import * as z from "zod";
import {
  readOrganisationHeader,
  requireKeyWithToken,
  requireUsableKey,
} from "../../http/authenticate";
import { readBody, readBodyText } from "../../http/body";
import { refuseAndCount } from "../../http/failed-attempts";
import { keyRoute, withIdempotencyKey } from "../../http/guarded-routes";
import { idempotencyScope } from "../../http/idempotency";
import { countCall } from "../../http/rate-limits";
import { type AppEnv, type Call, type Caller, clientIp, Refused } from "../../http/request-context";
import type { CallerKey } from "../../keys/key";
import { OPERATOR_SIGN_IN } from "../../keys/permissions";
import { verifyAccessAssertion } from "../../operators/cloudflare-access";
import { signOut } from "../../operators/operator-store";
import { newOperatorSession, signSessionToken } from "../../operators/session-token";
import { chooseOperatorKey } from "../../operators/sign-in";
import { toRfc3339 } from "../shared/wire-time";

const signInBody = z.strictObject({ token: z.string("must be an API key") });

/** Adds the routes to the app. */
export function sessionTokenRoutes(app: Hono<AppEnv>): void {
  app.post("/v1/auth/session-tokens", async (c) => {
    const { caller, key, email } =
      (await readSignInFromAccess(c)) ?? (await readSignInFromToken(c));
    return withIdempotencyKey(c, idempotencyScope(caller, email), async () => {
      const now = Date.now();
      countCall(c, "signIns", now, String(key.id));
      const session = newOperatorSession(key, email, now);
      const token = await signSessionToken(c.var.config.secret, session, now);
      const expiresAt = toRfc3339(session.expiresAt);
      return c.json({ session_token: token, expires_at: expiresAt }, 201);
    });
  });

  app.delete(
    "/v1/auth/session-tokens",
    keyRoute(OPERATOR_SIGN_IN, async (c, { session }) => {
      if (!session) {
        throw new Refused({
          status: 400,
          code: "not-a-session-token",
          message: "This ends the session token in the Authorization header: an API key has none.",
        });
      }
      await signOut(c.var.db, session);
      return c.body(null, 204);
    }),
  );
}

/** An operator who signs in. */
interface SignIn {
  caller: Caller;
  key: CallerKey;
  /** The address that Cloudflare Access has confirmed; null: they signed in with an API key. */
  email: string | null;
}

/** An operator who sends an API key in the body. */
async function readSignInFromToken(c: Call): Promise<SignIn> {
  const { token } = await readBody(c, signInBody);
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
