/** Operators sign in and out on `/v1`: `contracts/api-keys.md`. */
import type { Hono } from "hono";
import { z } from "zod";
import { namedOrganisation, requireToken, requireUsable } from "../../http/authenticate";
import { readBody, readBodyText } from "../../http/body";
import { countCall } from "../../http/calls-per-minute";
import { fail } from "../../http/failed-attempts";
import { keyed, once } from "../../http/guarded-routes";
import { scopeOf } from "../../http/idempotency";
import { type AppEnv, type Call, type Caller, clientIp, Refused } from "../../http/request-context";
import type { CallerKey } from "../../keys/key";
import { OPERATOR_SIGN_IN } from "../../keys/permissions";
import { verifyAccessAssertion } from "../../operators/cloudflare-access";
import { signOut } from "../../operators/operator-store";
import { newOperatorSession, signSessionToken } from "../../operators/session-token";
import { chooseOperatorKey } from "../../operators/sign-in";

const signInBody = z.strictObject({ token: z.string("must be an API key") });

/** Adds the routes to the app. */
export function sessionTokenRoutes(app: Hono<AppEnv>): void {
  app.post("/v1/auth/session-tokens", async (c) => {
    const { caller, key, email } =
      (await readPersonFromAccess(c)) ?? (await readPersonFromToken(c));
    return once(c, scopeOf(caller, email), async () => {
      const now = Date.now();
      countCall(c, "signIns", now, String(key.id));
      const session = newOperatorSession(key, email, now);
      const token = await signSessionToken(c.var.config.secret, session, now);
      const expiresAt = new Date(session.expiresAt).toISOString();
      return c.json({ session_token: token, expires_at: expiresAt }, 201);
    });
  });

  app.delete(
    "/v1/auth/session-tokens",
    keyed(OPERATOR_SIGN_IN, async (c, { session }) => {
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

interface Person {
  caller: Caller;
  key: CallerKey;
  /** Null where nobody vouches for one. */
  email: string | null;
}

/** Who sends an API key. */
async function readPersonFromToken(c: Call): Promise<Person> {
  const { token } = await readBody(c, signInBody);
  return { ...(await requireToken(c, token, OPERATOR_SIGN_IN, "fresh")), email: null };
}

/** Who came through Cloudflare Access and sends no API key; null where that is not how they come. */
async function readPersonFromAccess(c: Call): Promise<Person | null> {
  const { access } = c.var.config;
  const assertion = c.req.header("Cf-Access-Jwt-Assertion");
  if (!access || assertion === undefined || (await readBodyText(c)).trim() !== "") return null;
  const now = Date.now();
  const email = await verifyAccessAssertion(access, assertion, now);
  if (email === null) return fail(c, now, refusedAssertion);
  const organisationId = namedOrganisation(c);
  const choice = await chooseOperatorKey(c.var.db, { email, organisationId, ip: clientIp(c) }, now);
  if (!choice.ok) throw new Refused(choiceRefusals[choice.code]);
  const caller = await requireUsable(c, choice.key, OPERATOR_SIGN_IN);
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
