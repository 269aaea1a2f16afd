/** Relay permissions on `/v1`: may one connection send to another, and why not. */
import type { Hono } from "hono";
import { z } from "zod";
import { readBody } from "../../http/body";
import { keyed } from "../../http/guarded-routes";
import type { AppEnv } from "../../http/request-context";
import { checkRelay } from "../../relay-permissions/manage-permissions";
import type { MissingPermission } from "../../relay-permissions/permission";
import { connectionId } from "../relay-permissions/wire";

const checkBody = z.strictObject({ from: connectionId, to: connectionId });

/** Adds the route to the app. */
export function relayPermissionCheckRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/v1/relay-permissions:check",
    keyed("relay-permissions:get", async (c, { organisationId }) => {
      const { from, to } = await readBody(c, checkBody);
      const { allowed, missing } = await checkRelay(c.var.db, organisationId, from, to);
      return c.json({ allowed, missing: missing.map(toWire) });
    }),
  );
}

/** `state` says what to do: create an absent one, enable a disabled one. */
function toWire(missing: MissingPermission) {
  return {
    connection_id: missing.connectionId,
    remote_connection_id: missing.remoteConnectionId,
    direction: missing.direction,
    state: missing.state,
  };
}
