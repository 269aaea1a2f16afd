/**
 * CORS: which pages of other origins may call an operation and read its answers. Each operation declares
 * whether it is open to every origin (`origins`). Called by `app.ts`.
 */
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { readConfig } from "../platform/config";
import type { Operation } from "./operation";
import type { AppEnv, Call } from "./request-context";
import { isUpgrade } from "./websocket-upgrade";

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

/** What both kinds of origins are told. Never credentials: cookies mean nothing here. */
const SHARED = {
  allowHeaders: [...REQUEST_HEADERS],
  exposeHeaders: [...ANSWER_HEADERS],
  maxAge: PREFLIGHT_SECONDS,
};

/**
 * Lets pages read answers. Those of every origin: of operations that are open to all. Those of the origins in
 * the var CORS_ORIGINS: of everything. A preflight of such a page is answered here, before D1 or an object
 * is asked. Any other OPTIONS goes on to the routes.
 * @param operationsAt the operations at a path, whatever their method
 */
export function crossOrigin(
  operationsAt: (path: string) => readonly Operation[],
): MiddlewareHandler<AppEnv> {
  const openMethodsAt = (path: string) =>
    operationsAt(path)
      .filter(({ origins }) => origins === "any")
      .map(({ method }) => method);
  const forAll = cors({
    ...SHARED,
    origin: "*",
    allowMethods: (_, c) => openMethodsAt(c.req.path),
  });
  const forListed = cors({
    ...SHARED,
    origin: (origin) => origin,
    allowMethods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
  });

  /** Whether every page may send this. A method that the path does not take is refused readably, too. */
  function isOpen(c: Call): boolean {
    const method = requestedMethod(c);
    const known = operationsAt(c.req.path);
    const meant = known.filter((operation) => operation.method === method);
    return (meant.length > 0 ? meant : known).some(({ origins }) => origins === "any");
  }

  return async (c, next) => {
    // Browsers ask no permission for a websocket, and show no page the answer to one.
    if (isUpgrade(c)) return next();
    if (isOpen(c)) return answerWith(forAll, c, next);
    const { corsOrigins } = readConfig(c.env);
    const origin = c.req.header("Origin");
    if (origin !== undefined && corsOrigins.includes(origin)) {
      return answerWith(forListed, c, next);
    }
    await next();
    if (corsOrigins.length > 0) c.header("Vary", "Origin", { append: true });
  };
}

/**
 * Answers a preflight, or adds the headers to the answer. They are added last, since idempotency keeps an
 * answer with its headers, and a page of another origin may ask for it again.
 */
async function answerWith(
  addHeaders: MiddlewareHandler,
  c: Call,
  next: () => Promise<void>,
): Promise<Response | undefined> {
  if (isPreflight(c)) return (await addHeaders(c, next)) ?? undefined;
  await next();
  if (c.req.method !== "OPTIONS") await addHeaders(c, async () => {});
}

function isPreflight(c: Call): boolean {
  const asked = ["Origin", "Access-Control-Request-Method"].map((name) => c.req.header(name));
  return c.req.method === "OPTIONS" && !asked.includes(undefined);
}

/** The method of the request, or the one that a preflight asks about. HEAD is a GET. */
function requestedMethod(c: Call): string | undefined {
  const method = isPreflight(c) ? c.req.header("Access-Control-Request-Method") : c.req.method;
  return method === "HEAD" ? "GET" : method;
}
