/** Two routes of `/v1` without a key: whether Drawbridge works, and which address the caller has. */
import { sql } from "drizzle-orm";
import type { Hono } from "hono";
import packageJson from "../../../package.json";
import { type AppEnv, clientIp } from "../../http/request-context";

/** Adds the routes to the app. */
export function healthAndIpRoutes(app: Hono<AppEnv>): void {
  app.get("/v1/health", async (c) => {
    const startedAt = performance.now();
    const d1 = await c.var.db.get(sql`select 1`).then(
      () => "ok",
      () => "unreachable",
    );
    const body = {
      status: d1 === "ok" ? "ok" : "degraded",
      version: packageJson.version,
      d1: { status: d1, read_ms: Math.round(performance.now() - startedAt) },
    };
    return c.json(body, d1 === "ok" ? 200 : 503);
  });

  app.get("/v1/ip", (c) => c.json({ public_ip: clientIp(c) }));
}
