/**
 * How relay sessions say what is wrong: `{"message": "…"}`, as Edgegap does, with a `code` for programs.
 * Called by their operations.
 */
import * as z from "zod";
import { MOST_SKIPPED_ROWS } from "../../db/numbered-pages";
import { type HttpRefusal, pathsUnder, Refused, type Surface } from "../../http/request-context";
import { RELAY_SESSION_ID } from "../../session/relay-session-id";
import type { AdmissionRefusal } from "../../session-object/admission";

/** The surface of relay sessions. */
export const relaySurface: Surface = {
  name: "relay-sessions",
  // Edgegap's clients understand 401 as a missing header only.
  unknownKeyStatus: 403,
  owns: pathsUnder("/v1/relays"),
  refuse: (c, { message, code, status, headers }) => c.json({ message, code }, status, headers),
  errors: {
    mediaType: "application/json",
    body: (codes) => z.intersection(relayError, z.object({ code: z.enum(codes) })),
  },
};

const relayError = z
  .object({
    message: z.string().meta({
      description: "What is wrong, and what to do about it. For people: its words may change.",
    }),
    code: z
      .string()
      .meta({ description: "What is wrong. For programs. Edgegap's own errors have none." }),
  })
  .meta({ id: "RelayError", description: "What is wrong with a call of relay sessions." });

/**
 * A session's refusal as an error of this surface.
 * @param whenEnded the status of a session that has ended: 404 for a read, 409 for a change, 410 for a
 *   websocket
 */
export function toRelayRefusal(refusal: AdmissionRefusal, whenEnded: 404 | 409 | 410): HttpRefusal {
  switch (refusal.code) {
    case "ended":
      if (whenEnded === 404) return REFUSALS["not-found"];
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
        message: `The session has ${refusal.maxUsers} users, as many as it may (max_users). Somebody has to go first, or be revoked.`,
      };
    case "locked":
      return tooMany(refusal.code, LOCK_MESSAGES[refusal.by], refusal.retryAfterSeconds);
    case "over-limit":
      return tooMany(
        refusal.code,
        "You have connected or sent more often than the relay allows. Wait as long as Retry-After says.",
        refusal.retryAfterSeconds,
      );
    default:
      return REFUSALS[refusal.code];
  }
}

/** Refusals whose error is always the same. */
const REFUSALS = {
  "not-found": {
    status: 404,
    code: "session-not-found",
    message: "There is no such session, or it has ended.",
  },
  "unknown-user": {
    status: 404,
    code: "unknown-user",
    message: "The session has no user with this authorization_token.",
  },
  "session-on-relay-node": {
    status: 409,
    lasts: true,
    code: "session-on-relay-node",
    message:
      "A relay node carries this session, and there the host cannot change. Create a session with transport websocket.",
  },
  exists: {
    status: 409,
    lasts: true,
    code: "session-exists",
    message: "The session exists already.",
  },
  "wrong-token": {
    status: 403,
    code: "wrong-token",
    message:
      "session_token or user_token is wrong or revoked. Or it is for the other link: the host uses the server link, everyone else the client link.",
  },
  // The tokens are right, but this user may not connect.
  "user-revoked": {
    status: 403,
    code: "user-revoked",
    message: "This user was revoked while they connected.",
  },
  "device-not-paired": {
    status: 403,
    code: "device-not-paired",
    message: "The device_id of this user is not of a device that is paired. Pair the device first.",
  },
  "device-revoked": {
    status: 403,
    code: "device-revoked",
    message:
      "The device of this user was revoked, or its token was replaced. Use its newest token, or let it ask to be approved again.",
  },
  "device-removed": {
    status: 403,
    code: "device-removed",
    message: "The device of this user was removed. Let it ask to be approved again.",
  },
  // D1 cannot be read or written, so nobody knows whether this user may connect.
  "session-not-shown": tryAgain(
    "session-not-shown",
    "The session cannot be shown to those who may revoke your device or connection.",
  ),
  "device-not-read": tryAgain(
    "device-not-read",
    "Whether your device is still paired cannot be read.",
  ),
  "permissions-not-read": tryAgain(
    "permissions-not-read",
    "The relay permissions of your connection cannot be read.",
  ),
} satisfies Record<string, HttpRefusal>;

/** The object of a session does not answer. */
export const sessionUnreachable = tryAgain("unavailable", "The session cannot be reached.");

/** The page is far from the beginning and the end of a very long list. */
export const pageTooDeep: HttpRefusal = {
  status: 400,
  code: "page-too-deep",
  message: `This page is more than ${MOST_SKIPPED_ROWS} sessions away from the beginning and the end of the list. Read the pages one after another, from the first on.`,
};

/** There is no such session, or none any more. */
export const sessionNotFound: HttpRefusal = REFUSALS["not-found"];

/**
 * Refuses an id of another form. It never existed, so no Durable Object is woken for it.
 * @throws Refused 404
 */
export function requireSessionId(id: string): string {
  if (!RELAY_SESSION_ID.test(id)) throw new Refused(sessionNotFound);
  return id;
}

const LOCK_MESSAGES = {
  address: "Too many wrong tokens from your address. Wait as long as Retry-After says.",
  session:
    "Too many wrong user tokens for this session. For now, only addresses that were connected before may connect. Wait as long as Retry-After says.",
};

function tooMany(code: string, message: string, seconds: number): HttpRefusal {
  return { status: 429, code, message, headers: { "Retry-After": String(seconds) } };
}

function tryAgain(code: string, what: string): HttpRefusal {
  const message = `${what} Try again shortly.`;
  return { status: 503, code, message, headers: { "Retry-After": "2" } };
}
