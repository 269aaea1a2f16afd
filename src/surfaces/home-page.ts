/** What a browser shows at `/`, where programs find the RPC of PolarClaw. Called by `app.ts`. */
import { accepts } from "hono/accepts";
import type { Call } from "../http/request-context";

/** Whether a GET or HEAD of `/` asks for the page: its caller prefers HTML, and names no action of the RPC. */
export function asksForPage(c: Call): boolean {
  return !namesAction(c) && prefersHtml(c);
}

/** The page of `pages/home/`. */
export async function homePage(c: Call): Promise<Response> {
  const page = await c.env.ASSETS.fetch(new URL("/home", c.req.url));
  // A copy, since the headers of what a binding answers cannot be changed.
  return new Response(page.body, page);
}

/** Whether this is a call of the RPC, even if a browser sends it. */
function namesAction(c: Call): boolean {
  return c.req.query("Action") !== undefined || c.req.header("x-acs-action") !== undefined;
}

/** Browsers ask for text/html by name. A bare wildcard, which curl and most libraries send, asks for nothing. */
function prefersHtml(c: Call): boolean {
  const supports = ["application/json", "text/html"];
  return accepts(c, { header: "Accept", supports, default: "application/json" }) === "text/html";
}
