/**
 * The HTTP side of Drawbridge: the list of all surfaces with their routes, and what is answered where there is
 * none. Called by `worker.ts`.
 */
import { Hono } from "hono";
import { answer, openServices, type Place } from "./http/answer";
import { isOpenTo, isPreflight, preflightReply, requestedMethod } from "./http/cors";
import { type Handler, toHandler } from "./http/mount";
import type { Operation } from "./http/operation";
import {
  type AppEnv,
  type Call,
  type HttpRefusal,
  Refused,
  type Surface,
} from "./http/request-context";
import { TemplateRouter } from "./http/template-router";
import { isUpgrade } from "./http/websocket-upgrade";
import { OPERATIONS, ownSurface, SURFACES } from "./surfaces/all";
import { asksForPage, homePage } from "./surfaces/home-page";

/** The surface that words the errors at this path, even if no route matches. */
export function surfaceAt(path: string): Surface {
  return SURFACES.find(([surface]) => surface.owns(path))?.[0] ?? ownSurface;
}

/**
 * Builds the app. A slash at the end of a path makes no difference: `c.req.path` comes without it, the URL as
 * it was sent.
 */
export function createApp(): Hono<AppEnv> {
  const app = new Hono<AppEnv>({ router: new TemplateRouter(), strict: false });
  for (const operation of OPERATIONS) mount(app, operation);
  const byPath = new TemplateRouter<Operation>();
  for (const operation of OPERATIONS) byPath.add(operation.method, operation.path, operation);
  app.notFound((c) => answerUnmatched(c as Call, byPath.at(c.req.path)));
  return app;
}

function mount(app: Hono<AppEnv>, operation: Operation): void {
  const { method, path, origins, answers } = operation;
  const handle = toHandler(operation);
  const isHome = method === "GET" && path === "/";
  const place: Place = {
    surface: surfaceAt(path),
    route: path,
    isOpen: origins === "any",
    // A browser finds a page there, and programs the RPC.
    ...(isHome ? { headers: { Vary: "Accept" } } : {}),
  };
  const handler: Handler = (c) => {
    openServices(c);
    return isHome && asksForPage(c) ? homePage(c) : handle(c);
  };
  // Browsers ask no permission for a websocket, and show no page the answer to one.
  const ofUpgrade: Place = { ...place, isOpen: null };
  const maybeUpgrade = 101 in answers;
  app.on(method, path, (c) => answer(c, maybeUpgrade && isUpgrade(c) ? ofUpgrade : place, handler));
}

/**
 * Answers where no route is: a preflight, any other OPTIONS, and what is refused.
 * @param known the operations at this path, whatever their method
 */
function answerUnmatched(c: Call, known: readonly Operation[]): Promise<Response> {
  const asks = isPreflight(c);
  const isOptions = c.req.method === "OPTIONS";
  const isOpen = isOpenTo(known, (asks && requestedMethod(c)) || c.req.method);
  const place: Place = {
    surface: surfaceAt(c.req.path),
    route: null,
    isOpen: isUpgrade(c) || (isOptions && !asks) ? null : isOpen,
  };
  return answer(c, place, async () => {
    // What is open to every page is answered without the settings: so a page can read that they are wrong.
    if (!asks || !isOpen) openServices(c);
    const allowed = asks ? preflightReply(c, known, isOpen) : null;
    if (allowed) return allowed;
    const methods = methodsOf(known);
    if (methods.length === 0) throw new Refused(unknownPath);
    if (isOptions) return { status: 204, headers: { Allow: methods.join(", ") } };
    throw new Refused(wrongMethod(methods));
  });
}

/** The methods that a path takes, for OPTIONS and for the answer 405: Hono answers 404 for a wrong one too. */
function methodsOf(operations: readonly Operation[]): string[] {
  const methods = new Set<string>(operations.map(({ method }) => method));
  if (methods.has("GET")) methods.add("HEAD");
  return methods.size === 0 ? [] : [...methods, "OPTIONS"];
}

function wrongMethod(allowed: string[]): HttpRefusal {
  return {
    status: 405,
    code: "method-not-allowed",
    message: `This path takes ${allowed.join(", ")}.`,
    headers: { Allow: allowed.join(", ") },
  };
}

const unknownPath: HttpRefusal = {
  status: 404,
  code: "unknown-path",
  message: "There is nothing at this path.",
};
