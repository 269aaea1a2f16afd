/**
 * What every request passes through: it gets an id, is finished even if its caller hangs up, and whatever comes
 * of it becomes an answer with the headers that all answers have, and perhaps a line in the log. Called by
 * `app.ts`.
 *
 * It stands around each handler, and not before it as middleware of Hono: with one handler for a path, Hono (4.13)
 * calls that one directly, and composes no chain of promises for the request.
 */
import { openDatabase } from "../db/open";
import { ChangedMeanwhile } from "../db/retry";
import { ConfigError, readConfig } from "../platform/config";
import { describeError, isDatabaseError, log } from "../platform/log";
import { UnavailableError } from "../platform/unavailable";
import { answerHeaders } from "./cors";
import { changeHeaders } from "./d1-bookmark";
import type { Handler } from "./mount";
import { toResponse } from "./operation";
import { type Call, type HttpRefusal, Refused, type Surface } from "./request-context";
import { logRequest } from "./request-log";

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** What is known of a request before its handler runs. */
export interface Place {
  /** It words the errors. */
  surface: Surface;
  /** The path template of the operation; null: there is none at this path. */
  route: string | null;
  /** Whether pages of every origin may read the answer. Null: the answer says nothing of CORS. */
  isOpen: boolean | null;
  /** Headers of every answer there. */
  headers?: Readonly<Record<string, string>>;
}

/** Answers a request. It throws nothing. */
export function answer(c: Call, place: Place, handle: Handler): Promise<Response> {
  // When a caller hangs up, the platform stops all work that was not given to waitUntil. A request that
  // has begun is finished even then, so that what it did is stored and its events are recorded.
  // It begins after that call.
  const work = Promise.resolve().then(() => answerNow(c, place, handle));
  c.executionCtx.waitUntil(work);
  return work;
}

async function answerNow(c: Call, place: Place, handle: Handler): Promise<Response> {
  const startedAt = Date.now();
  const sent = c.req.header("X-Request-Id");
  const requestId = sent !== undefined && REQUEST_ID.test(sent) ? sent : crypto.randomUUID();
  c.set("requestId", requestId);
  c.set("surface", place.surface);
  c.set("caller", null);
  c.set("bodyBytes", null);
  c.set("bodyText", null);
  let response: Response;
  try {
    const reply = await handle(c);
    const headers = headersOf(c, place);
    response = reply instanceof Response ? withHeaders(reply, headers) : toResponse(reply, headers);
  } catch (error) {
    const refusal = toRefusal(error);
    if (refusal.status >= 500) {
      log("request failed", { request_id: requestId, error: describeError(error) });
    }
    response = withHeaders(place.surface.refuse(c, refusal), headersOf(c, place));
  }
  logRequest(c, { route: place.route, status: response.status, startedAt }, Date.now());
  return response;
}

/**
 * Gives a request the settings and D1.
 * @throws ConfigError
 */
export function openServices(c: Call): void {
  c.set("config", readConfig(c.env));
  c.set("db", openDatabase(c.env));
}

/** The headers that an answer has beside its handler's own. */
function headersOf(c: Call, { isOpen, headers }: Place): Record<string, string> {
  const cors = isOpen === null ? undefined : answerHeaders(c, isOpen);
  const all: Record<string, string> = {
    "X-Request-Id": c.get("requestId"),
    // Most answers show a secret, or data of one organisation: no cache may keep them.
    "Cache-Control": "no-store",
    ...headers,
    ...cors,
    ...changeHeaders(c),
  };
  if (headers?.Vary && cors?.Vary) all.Vary = `${headers.Vary}, ${cors.Vary}`;
  return all;
}

/** Adds headers to an answer that is made already. Those of a websocket's cannot be changed. */
function withHeaders(answer: Response, headers: Readonly<Record<string, string>>): Response {
  if (answer.status === 101) return answer;
  for (const name in headers) {
    if (name === "Vary") answer.headers.append(name, headers[name] ?? "");
    else answer.headers.set(name, headers[name] ?? "");
  }
  return answer;
}

function toRefusal(error: unknown): HttpRefusal {
  if (error instanceof Refused) return error.refusal;
  if (error instanceof ConfigError) {
    return { status: 503, code: "not-configured", message: error.message };
  }
  if (error instanceof ChangedMeanwhile) {
    return {
      status: 503,
      code: "changed-meanwhile",
      message:
        "Others kept changing this at the same moment, and nothing of yours was stored. Try again shortly.",
      headers: { "Retry-After": "1" },
    };
  }
  if (error instanceof UnavailableError || isDatabaseError(error)) {
    const seconds = error instanceof UnavailableError ? error.retryAfterSeconds : 2;
    return {
      status: 503,
      code: "unavailable",
      message: "Something that Drawbridge stands on is not reachable. Try again shortly.",
      headers: { "Retry-After": String(seconds) },
    };
  }
  return {
    status: 500,
    code: "internal-error",
    message: "Something went wrong on our side. Tell us the X-Request-Id.",
  };
}
