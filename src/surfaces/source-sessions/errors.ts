/**
 * How source sessions say what is wrong: `{"error": "kebab-code", "message", "params"?}`, as ricloud
 * does.
 */
import * as z from "zod";
import { type HttpRefusal, pathsUnder, type Surface } from "../../http/request-context";
import type { SessionRefusal } from "../../session/machine";

/**
 * The paths of ricloud's API, those included that Drawbridge does not have: its clients cannot read
 * another 404.
 */
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

/** The surface of source sessions, with its users, sources, events and webhook endpoints. */
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
  errors: {
    mediaType: "application/json",
    // A wrong body is worded differently where its fields are named.
    shown: ({ status, code }) => [
      { status, code: codeOf({ status, code }) },
      { status, code: codeOf({ status, code, problems: [] }) },
    ],
    body: (codes) => z.intersection(sourceError, z.object({ error: z.enum(codes) })),
  },
};

const sourceError = z
  .object({
    error: z.string().meta({ description: "What is wrong. For programs." }),
    message: z
      .string()
      .meta({ description: "What is wrong, and what to do about it. For people." }),
    params: z
      .record(z.string(), z.string())
      .optional()
      .meta({ description: "What is wrong with each field." }),
  })
  .meta({ id: "SourceError" });

/**
 * The code for ricloud's clients, which know only a few: one of them where it fits, else Drawbridge's
 * own.
 */
function codeOf({
  status,
  code,
  problems,
}: Pick<HttpRefusal, "status" | "code" | "problems">): string {
  if (status === 401) return "unauthorized";
  if (status === 404) return "not-found";
  if (status === 429) return "limit-exceeded";
  if (code === "missing-permission") return "missing-scope";
  if (code === "invalid-body" && problems) return "invalid-parameter";
  // An address to which we would not send; not the 403 of a key's allowlist.
  if (status === 400 && code.startsWith("address-")) return "invalid-parameter";
  return code;
}

/** There is no such thing, or it is another organisation's. The answer is the same for both. */
export const notFound: HttpRefusal = {
  status: 404,
  code: "not-found",
  message: "There is nothing of yours with this id.",
};

/** A field of the body or the query has a value that is refused. */
export function invalidParameter(path: string, message: string): HttpRefusal {
  return {
    status: 400,
    code: "invalid-parameter",
    message: `${path} ${message}.`,
    problems: [{ path, message }],
  };
}

/** A session's refusal as an error of this surface. */
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
    case "session-on-relay-node":
      return {
        status: 409,
        lasts: false,
        code: "session-not-active",
        message: "The session is in a state in which this cannot be done.",
      };
  }
}
