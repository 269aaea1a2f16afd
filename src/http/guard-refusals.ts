/**
 * What the guard says when it turns a request away. Called by `authenticate.ts`, and where a surface
 * says the same.
 */
import type { KeyRefusal } from "../keys/key";
import { isPublishable } from "../keys/permissions";
import type { Call, HttpRefusal } from "./request-context";

/** Why an API key that was found cannot be used, as an HTTP error. */
export function toUnusableKeyRefusal(c: Call, refusal: KeyRefusal): HttpRefusal {
  const status = c.get("surface").unknownKeyStatus;
  switch (refusal) {
    case "unknown":
      return unknownKey(c);
    case "blocked":
      return {
        status,
        code: "blocked-key",
        message: "This API key is blocked. An operator can unblock it.",
      };
    case "expired":
      return {
        status,
        code: "expired-key",
        message: "This API key has expired. An operator can extend it.",
      };
    case "ip-refused":
      return {
        status: 403,
        code: "address-refused",
        message:
          "This API key may not be used from your address. Add the address to its allowlist.",
      };
  }
}

/**
 * The key does not hold what the call needs.
 * @param permission what the call needs; null: nothing, but a publishable key may not call it
 */
export function missingPermission(held: readonly string[], permission: string | null): HttpRefusal {
  const other = permission === null ? "another key" : `a key with the permission ${permission}`;
  return {
    status: 403,
    code: "missing-permission",
    message: isPublishable(held)
      ? `This API key is publishable: it can host relay sessions (POST /v1/relays/host), and nothing else. Use ${other}.`
      : `This API key lacks the permission ${permission}. An operator can grant it.`,
  };
}

/** An organisation that is not the caller's. The answer is the same whether or not it exists. */
export const unknownOrganisation: HttpRefusal = {
  status: 404,
  code: "organisation-not-found",
  message: "There is no such organisation.",
};

/** The session token of an operator is over. */
export const endedSessionToken: HttpRefusal = {
  status: 401,
  code: "session-ended",
  message: "This session token is over: it expired, was signed out, or its key changed. Sign in.",
  headers: { "WWW-Authenticate": "Bearer" },
};

/** There is no API key with this token. */
export function unknownKey(c: Call): HttpRefusal {
  return {
    status: c.get("surface").unknownKeyStatus,
    code: "unknown-key",
    message: "This API key does not exist. Make one, or use another.",
  };
}

/**
 * The credential cannot be read.
 * @param problem how the sentence "The credential of the Authorization header …" goes on
 */
export function malformedCredential(problem: string): HttpRefusal {
  return {
    status: 401,
    code: "unauthenticated",
    message: `The credential of the Authorization header ${problem}.`,
    headers: { "WWW-Authenticate": "Bearer" },
  };
}
