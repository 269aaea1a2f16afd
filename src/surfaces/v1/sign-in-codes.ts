/** The operation on `/v1` that makes sign-in codes, for whoever runs the deployment: `docs/api-keys.md`. */
import * as z from "zod";
import { operation, root } from "../../http/operation";
import { type HttpRefusal, Refused } from "../../http/request-context";
import { wholeNumber } from "../../http/whole-numbers";
import { type CallerKey, isUsable } from "../../keys/key";
import { findKeyById } from "../../keys/key-cache";
import { hasPermission, OPERATOR_SIGN_IN } from "../../keys/permissions";
import { newSignInCode } from "../../operators/sign-in-code";
import { time, toRfc3339 } from "../shared/wire-time";

const newCodeBody = z.strictObject({
  key_id: wholeNumber(1, Number.MAX_SAFE_INTEGER).meta({
    description: `The \`id\` of the API key to sign in as. The key must hold \`${OPERATOR_SIGN_IN}\`.`,
  }),
});

const newCode = z
  .object({
    code: z.string().meta({
      description: "The sign-in code. It is shown this once. It may stand in a URL's fragment.",
    }),
    expires_at: time,
  })
  .meta({ id: "SignInCode" });

/** Makes a code with which a person signs in once as an API key. */
export const createSignInCode = operation({
  id: "createSignInCode",
  method: "POST",
  path: "/v1/auth/sign-in-codes",
  caller: root,
  summary: "Make a sign-in code",
  description:
    "A person signs in with the code, as this API key and without its token: `POST /v1/auth/session-tokens`. A code is good once, for ten minutes at most. It ends earlier with its key, and when the key is refreshed.",
  body: newCodeBody,
  answers: { 201: newCode },
  answerTexts: { 201: "The new sign-in code." },
  refusals: { 404: ["api-key-not-found"], 409: ["key-cannot-sign-in"] },
  example: { body: { key_id: 999_999 } },
  async handle(c, { body: { key_id: id } }) {
    const now = Date.now();
    const key = await findKeyById(c.get("db"), id, now, "fresh");
    if (!key || key.organisationIds.length === 0) throw new Refused(noSuchKey);
    const obstacle = findObstacle(key, now);
    if (obstacle !== null) throw new Refused(cannotSignIn(obstacle));
    const { code, expiresAt } = newSignInCode(c.get("config").secret, key, now);
    return { status: 201, body: { code, expires_at: toRfc3339(expiresAt) } };
  },
});

/** Why nobody can sign in as this key now: how a sentence about it goes on. Null: they can. */
function findObstacle(key: CallerKey, now: number): string | null {
  if (!hasPermission(key.permissions, OPERATOR_SIGN_IN)) {
    return `lacks the permission ${OPERATOR_SIGN_IN}. Add it, or name another key`;
  }
  if (key.blocked) return "is blocked. Unblock it, or name another key";
  return isUsable(key, now) ? null : "has expired. Give it a later end, or name another key";
}

const noSuchKey: HttpRefusal = {
  status: 404,
  code: "api-key-not-found",
  message: "There is no API key with this id in any organisation.",
};

function cannotSignIn(obstacle: string): HttpRefusal {
  return {
    status: 409,
    lasts: false,
    code: "key-cannot-sign-in",
    message: `Nobody can sign in as this API key: it ${obstacle}.`,
  };
}
