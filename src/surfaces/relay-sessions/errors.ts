/** How relay sessions say what is wrong: `{"message": "…"}`, as Edgegap does. */
import { type HttpRefusal, pathsUnder, type Surface } from "../../http/request-context";
import type { AdmissionRefusal } from "../../session-object/admission";

/** The surface of relay sessions. */
export const relaySurface: Surface = {
  name: "relay-sessions",
  // Edgegap's clients take 401 for a missing header only.
  unknownKeyStatus: 403,
  owns: pathsUnder("/v1/relays"),
  refuse: (c, refusal) => c.json({ message: refusal.message }, refusal.status, refusal.headers),
};

/**
 * The one table from a session's refusals to this surface's errors. An ended session is gone for a
 * read (404), in conflict for a change (409), and gone for a socket (410).
 */
export function toRelayRefusal(refusal: AdmissionRefusal, whenEnded: 404 | 409 | 410): HttpRefusal {
  switch (refusal.code) {
    case "not-found":
      return notFound;
    case "ended":
      if (whenEnded === 404) return notFound;
      return {
        status: whenEnded,
        lasts: true,
        code: "session-ended",
        message: `The session has ended (${refusal.reason}). Create a new one.`,
      };
    case "not-active":
    case "not-pending":
      return {
        status: 409,
        lasts: false,
        code: "session-not-active",
        message: `The session is ${refusal.status}. Wait until it is ready.`,
      };
    case "full":
      return {
        status: 409,
        lasts: false,
        code: "session-full",
        message: `The session has ${refusal.maxUsers} users, as many as it may (max_users). Revoke one first.`,
      };
    case "unknown-user":
      return {
        status: 404,
        code: "unknown-user",
        message: "The session has no user with this authorization_token.",
      };
    case "exists":
      return {
        status: 409,
        lasts: true,
        code: "session-exists",
        message: "The session exists already.",
      };
    case "wrong-token":
      return {
        status: 403,
        code: "wrong-token",
        message:
          "session_token or user_token is wrong, revoked, or for the other link: user 0 uses the server link, everyone else the client link.",
      };
    case "user-revoked":
      return refusedUser(refusal.code, "This user was revoked while they connected.");
    case "device-not-paired":
      return refusedUser(
        refusal.code,
        "The device_id of this user is not of a device that is paired. Pair the device first.",
      );
    case "device-revoked":
      return refusedUser(
        refusal.code,
        "The device of this user was revoked, or its token was replaced. Use its newest token, or let it ask to be approved again.",
      );
    case "device-removed":
      return refusedUser(
        refusal.code,
        "The device of this user was removed. Let it ask to be approved again.",
      );
    case "session-not-shown":
      return tryAgain(
        refusal.code,
        "The session cannot be shown to those who may revoke your device or connection.",
      );
    case "device-not-read":
      return tryAgain(refusal.code, "Whether your device is still paired cannot be read.");
    case "permissions-not-read":
      return tryAgain(refusal.code, "The relay permissions of your connection cannot be read.");
    case "locked":
      return {
        status: 429,
        code: "locked",
        message: lockMessages[refusal.by],
        headers: { "Retry-After": String(refusal.retryAfterSeconds) },
      };
    case "over-limit":
      return {
        status: 429,
        code: "over-limit",
        message:
          "You have connected or sent more often than the relay allows. Wait as long as Retry-After says.",
        headers: { "Retry-After": String(refusal.retryAfterSeconds) },
      };
  }
}

const lockMessages = {
  address: "Too many wrong tokens from your address. Wait as long as Retry-After says.",
  session:
    "Too many wrong user tokens for this session: for now, only addresses that were connected before may connect. Wait as long as Retry-After says.",
};

/** The right tokens, of a user who may not be connected. */
function refusedUser(code: string, message: string): HttpRefusal {
  return { status: 403, code, message };
}

/** What lets a user with a device or a connection in cannot be known at this moment. */
function tryAgain(code: string, what: string): HttpRefusal {
  const message = `${what} Try again shortly.`;
  return { status: 503, code, message, headers: { "Retry-After": "2" } };
}

const notFound: HttpRefusal = {
  status: 404,
  code: "session-not-found",
  message: "There is no such session, or it has ended.",
};
