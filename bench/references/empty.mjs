/** Two Workers that say which address the caller has: bare, and with Hono. */
import { Hono } from "hono";

/** Bare. */
export function empty(request) {
  return Response.json({ public_ip: request.headers.get("CF-Connecting-IP") ?? "127.0.0.1" });
}

const app = new Hono();
app.get("/hono", (c) => c.json({ public_ip: c.req.header("CF-Connecting-IP") ?? "127.0.0.1" }));

/** With Hono, and one route. */
export function emptyWithHono(request, env, ctx) {
  return app.fetch(request, env, ctx);
}
