/** How relay sessions say what is wrong: `{"message": "…"}`, as Edgegap does. */
import type { HttpRefusal, Surface } from "../../http/context";
import type { AdmissionRefusal } from "../../session-object/admission";

/** The surface of relay sessions. */
export const relaySurface: Surface = {
  name: "relay-sessions",
  // Edgegap's clients take 401 for a missing header only.
  unknownKeyStatus: 403,
  refuse: (c, refusal) => c.json({ message: refusal.message }, refusal.status, refusal.headers),
};

/**
 * The one table from a session's refusals to this surface's errors. An ended session is gone for a
 * read (404), in conflict for a change (409), and gone for a socket (410).
 */
export function toHttpRefusal(refusal: AdmissionRefusal, whenEnded: 404 | 409 | 410): HttpRefusal {
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
    case "unavailable":
      return {
        status: 503,
        code: "unavailable",
        message: "The relay permissions of your connection cannot be read. Try again shortly.",
        headers: { "Retry-After": "2" },
      };
    case "locked":
      return {
        status: 429,
        code: "locked",
        message: "Too many wrong tokens from your address. Wait as long as Retry-After says.",
        headers: { "Retry-After": String(refusal.retryAfterSeconds) },
      };
  }
}

const notFound: HttpRefusal = {
  status: 404,
  code: "session-not-found",
  message: "There is no such session, or it has ended.",
};
