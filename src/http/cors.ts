/**
 * CORS: which pages of other origins may call an operation and read its answers. Each operation declares
 * whether it is open to every origin (`origins`). Called by `answer.ts`.
 */
import type { Config } from "../platform/config";
import type { AnyReply, Operation } from "./operation";
import type { Call } from "./request-context";

/** The headers that operations read. `X-Request-Id` becomes the id of the answer. */
export const REQUEST_HEADERS: readonly string[] = [
  "Authorization",
  "Content-Type",
  "Idempotency-Key",
  "X-Organisation-Id",
  "X-D1-Bookmark",
  "X-Request-Id",
  "Ricloud-Await",
];

/** The headers of answers that a page may read, beside those that every page may. */
export const ANSWER_HEADERS: readonly string[] = [
  "X-Request-Id",
  "Retry-After",
  "Link",
  "Location",
  "Idempotent-Replayed",
  "X-D1-Bookmark",
];

/** How long a browser may remember what it was allowed, in seconds: Chromium's most (November 2026). */
const PREFLIGHT_SECONDS = 7_200;

/** What pages of listed origins may send. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/** What pages of every origin are told. Never credentials: cookies mean nothing here. */
const forAll = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers": ANSWER_HEADERS.join(","),
};

/**
 * The headers that let a page read the answer to its call: every page, or those of the origins in the var
 * CORS_ORIGINS. Added last, since idempotency keeps an answer with its headers, and a page of another origin
 * may ask for it again.
 * @param isOpen whether every page may call this
 */
export function answerHeaders(c: Call, isOpen: boolean): Readonly<Record<string, string>> {
  if (isOpen) return forAll;
  const config: Config | undefined = c.get("config");
  // Without settings nothing is listed; without listed origins, nothing depends on the caller's.
  if (config === undefined || config.corsOrigins.length === 0) return {};
  const origin = c.req.header("Origin");
  if (origin === undefined || !config.corsOrigins.includes(origin)) return { Vary: "Origin" };
  return { ...forAll, "Access-Control-Allow-Origin": origin, Vary: "Origin" };
}

/** Whether this is a preflight: a browser asks whether a page may send a request. */
export function isPreflight(c: Call): boolean {
  return (
    c.req.method === "OPTIONS" &&
    c.req.header("Origin") !== undefined &&
    requestedMethod(c) !== undefined
  );
}

/** The method that a preflight asks about. */
export function requestedMethod(c: Call): string | undefined {
  return c.req.header("Access-Control-Request-Method");
}

/**
 * Answers a preflight. Null: the page may not send it, and gets the answer to any other OPTIONS.
 * @param known the operations at the path, whatever their method
 * @param isOpen whether every page may send it; if not, the settings are read already
 */
export function preflightReply(
  c: Call,
  known: readonly Operation[],
  isOpen: boolean,
): AnyReply | null {
  if (!("Access-Control-Allow-Origin" in answerHeaders(c, isOpen))) return null;
  const open = known.filter(({ origins }) => origins === "any").map(({ method }) => method);
  return {
    status: 204,
    headers: {
      "Access-Control-Allow-Methods": (isOpen ? open : METHODS).join(","),
      "Access-Control-Allow-Headers": REQUEST_HEADERS.join(","),
      "Access-Control-Max-Age": String(PREFLIGHT_SECONDS),
    },
  };
}

/**
 * Whether every page may send this. A method that the path does not take is refused readably, too.
 * @param sent the method; HEAD is a GET
 */
export function isOpenTo(known: readonly Operation[], sent: string | undefined): boolean {
  const method = sent === "HEAD" ? "GET" : sent;
  const meant = known.filter((operation) => operation.method === method);
  return (meant.length > 0 ? meant : known).some(({ origins }) => origins === "any");
}
