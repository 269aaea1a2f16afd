/** How source sessions say what is wrong: `{"error": "kebab-code", "message", "params"?}`, as ricloud does. */
import { type HttpRefusal, pathsUnder, type Surface } from "../../http/request-context";
import type { SessionRefusal } from "../../session/machine";

/** What ricloud's clients call, also where Drawbridge has no such thing: they can read no other 404. */
const PATHS = [
  "/sessions",
  "/users",
  "/sources",
  "/organisation",
  "/key",
  "/keys",
  "/events",
  "/configs",
  "/polls",
  "/tasks",
  "/results",
  "/subscriptions",
];

/** The surface of source sessions, and of all that belongs to it. */
export const sourceSurface: Surface = {
  name: "source-sessions",
  unknownKeyStatus: 401,
  owns: pathsUnder(...PATHS),
  refuse: (c, refusal) => {
    const params = refusal.problems?.map(({ path, message }) => [path, message]);
    const body = {
      error: codeOf(refusal),
      message: refusal.message,
      ...(params ? { params: Object.fromEntries(params) } : {}),
    };
    return c.json(body, refusal.status, refusal.headers);
  },
};

/** Its clients know a few codes; what all surfaces share is said with them where they fit. */
function codeOf({ status, code, problems }: HttpRefusal): string {
  if (status === 401) return "unauthorized";
  if (status === 404) return "not-found";
  if (status === 429) return "limit-exceeded";
  if (code === "missing-permission") return "missing-scope";
  if (code === "invalid-body" && problems) return "invalid-parameter";
  if (code.startsWith("address-")) return "invalid-parameter";
  return code;
}

/** Nothing here, or nothing of the caller's: the same answer for both. */
export const notFound: HttpRefusal = {
  status: 404,
  code: "not-found",
  message: "There is nothing of yours with this id.",
};

/** A parameter of the body or the query that cannot be. */
export function invalidParameter(path: string, message: string): HttpRefusal {
  return {
    status: 400,
    code: "invalid-parameter",
    message: `${path} ${message}.`,
    problems: [{ path, message }],
  };
}

/** The one table from a session's refusals to this surface's errors. */
export function toSourceSessionRefusal(refusal: SessionRefusal): HttpRefusal {
  switch (refusal.code) {
    case "not-found":
      return notFound;
    case "ended":
      return {
        status: 409,
        lasts: true,
        code: "session-expired",
        message: `The session has ended (${refusal.reason}). Create a new one.`,
      };
    case "not-active":
    case "not-pending":
    case "exists":
    case "full":
    case "unknown-user":
      return {
        status: 409,
        lasts: false,
        code: "session-not-active",
        message: "The session is in a state in which this cannot be done.",
      };
  }
}
