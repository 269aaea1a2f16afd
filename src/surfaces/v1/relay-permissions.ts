/**
 * The route on `/v1` that says whether one connection may send to another, and which permissions are
 * missing.
 */
import type { Hono } from "hono";
import * as z from "zod";
import { readBody } from "../../http/body";
import { keyRoute } from "../../http/guarded-routes";
import type { AppEnv } from "../../http/request-context";
import { checkRelay } from "../../relay-permissions/manage-permissions";
import type { MissingPermission } from "../../relay-permissions/permission";
import { connectionId } from "../relay-permissions/wire";

const checkBody = z.strictObject({ from: connectionId, to: connectionId });

/** Adds the route to the app. */
export function relayPermissionCheckRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/v1/relay-permissions:check",
    keyRoute("relay-permissions:get", async (c, { organisationId }) => {
      const { from, to } = await readBody(c, checkBody);
      const { allowed, missing } = await checkRelay(c.var.db, organisationId, from, to);
      return c.json({ allowed, missing: missing.map(toWire) });
    }),
  );
}

/**
 * A missing permission. `state` says what helps: create it if it is absent, enable it if it is
 * disabled.
 */
function toWire(missing: MissingPermission) {
  return {
    connection_id: missing.connectionId,
    remote_connection_id: missing.remoteConnectionId,
    direction: missing.direction,
    state: missing.state,
  };
}
