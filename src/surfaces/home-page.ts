/** What a browser shows at `/`, where programs find the RPC of PolarClaw. Called by `app.ts`. */
import type { MiddlewareHandler } from "hono";
import { accepts } from "hono/accepts";
import type { AppEnv, Call } from "../http/request-context";

/**
 * Answers GET and HEAD with the page of `pages/home/`, if the caller prefers HTML and names no action of
 * the RPC. All other requests go on to the RPC.
 */
export const homePage: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (c.req.method !== "GET" && c.req.method !== "HEAD") return next();
  if (namesAction(c) || !prefersHtml(c)) {
    await next();
  } else {
    const page = await c.env.ASSETS.fetch(new URL("/home", c.req.url));
    // A copy, since the headers of what a binding answers cannot be changed.
    c.res = new Response(page.body, page);
  }
  c.header("Vary", "Accept", { append: true });
};

/** Whether this is a call of the RPC, even if a browser sends it. */
function namesAction(c: Call): boolean {
  return c.req.query("Action") !== undefined || c.req.header("x-acs-action") !== undefined;
}

/** Browsers ask for text/html by name. A bare wildcard, which curl and most libraries send, asks for nothing. */
function prefersHtml(c: Call): boolean {
  const supports = ["application/json", "text/html"];
  return accepts(c, { header: "Accept", supports, default: "application/json" }) === "text/html";
}
