/** The surface of source sessions: ricloud's API, as far as sessions need it. */
import type { Hono } from "hono";
import type { AppEnv } from "../../http/request-context";
import { accountRoutes } from "./account";
import { ricloudEventRoutes } from "./events";
import { sessionRoutes } from "./sessions";
import { sourceRoutes, userRoutes } from "./users";
import { webhookConfigRoutes } from "./webhook-configs";

/** Adds the surface to the app. */
export function sourceSessionRoutes(app: Hono<AppEnv>): void {
  sessionRoutes(app);
  userRoutes(app);
  sourceRoutes(app);
  accountRoutes(app);
  ricloudEventRoutes(app);
  webhookConfigRoutes(app);
}
