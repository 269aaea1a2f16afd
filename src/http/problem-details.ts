/** Errors as RFC 9457 problem details: the format of `/v1` and of every surface whose vendor has none. */
import * as z from "zod";
import type { Call, ErrorFormat, HttpRefusal, Surface } from "./request-context";

/** A surface whose errors are `application/problem+json`. */
export function problemSurface(name: string, owns: Surface["owns"]): Surface {
  return { name, unknownKeyStatus: 401, owns, refuse: problem, errors };
}

const problemDetails = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: "What is wrong, and what to do about it. For people." }),
    code: z.string().meta({ description: "What is wrong. For programs." }),
    request_id: z.string(),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .meta({ description: "Every wrong field of the body or the query." }),
  })
  .meta({ id: "Problem", description: "RFC 9457 problem details." });

const errors: ErrorFormat = {
  mediaType: "application/problem+json",
  body: (codes) => z.intersection(problemDetails, z.object({ code: z.enum(codes) })),
};

function problem(c: Call, refusal: HttpRefusal): Response {
  const body = {
    type: `urn:drawbridge:problem:${refusal.code}`,
    title: titles[refusal.status],
    status: refusal.status,
    detail: refusal.message,
    code: refusal.code,
    request_id: c.get("requestId"),
    ...(refusal.problems ? { errors: refusal.problems } : {}),
    ...refusal.more,
  };
  return c.body(JSON.stringify(body), refusal.status, {
    ...refusal.headers,
    "Content-Type": "application/problem+json",
  });
}

const titles: Record<HttpRefusal["status"], string> = {
  400: "Bad request",
  401: "Not authenticated",
  403: "Not allowed",
  404: "Not found",
  405: "Method not allowed",
  409: "Conflict",
  410: "Gone",
  413: "Body too large",
  415: "Unsupported content",
  422: "Cannot be processed",
  426: "Upgrade required",
  429: "Too many requests",
  500: "Internal error",
  503: "Unavailable",
};
