/** Three Workers that say which address the caller has: bare, with Hono, and with all that comes with an answer. */
import { Hono } from "hono";
import { answer } from "./guard.mjs";

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

const FOR_EVERY_PAGE = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers":
    "X-Request-Id,Retry-After,Link,Location,Idempotent-Replayed,X-D1-Bookmark",
};

/** With the headers, the id and the line in the log that Drawbridge's answer has. */
export async function emptyAnswered(request) {
  const public_ip = request.headers.get("CF-Connecting-IP") ?? "127.0.0.1";
  return answer(request, { public_ip }, FOR_EVERY_PAGE);
}
