/** All routes of the surface of source sessions: those parts of ricloud's API that sessions need. */
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
