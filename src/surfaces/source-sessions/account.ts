/** The routes with which a caller reads their organisation and its API keys, in ricloud's format. */
import type { Hono } from "hono";
import { keyRoute } from "../../http/guarded-routes";
import { type AppEnv, type Call, type Caller, Refused } from "../../http/request-context";
import { readIntegerId } from "../../http/whole-numbers";
import { findKeyRecord } from "../../keys/key-store";
import { hasPermission } from "../../keys/permissions";
import { findOrganisation } from "../../organisations/organisation-store";
import { notFound } from "./errors";
import { toKey, toOrganisation } from "./wire";

/** Adds the routes to the app. */
export function accountRoutes(app: Hono<AppEnv>): void {
  app.get(
    "/organisation",
    keyRoute(null, async (c, { organisationId }) => {
      const organisation = await findOrganisation(c.var.db, organisationId);
      if (!organisation) throw new Refused(notFound);
      return c.json(toOrganisation(organisation));
    }),
  );
  app.get(
    "/key",
    keyRoute(null, (c, caller) => showKey(c, caller, caller.keyId)),
  );
  app.get(
    "/keys/:id",
    keyRoute(null, (c, caller) => {
      const id = readIntegerId(c.req.param("id"));
      return showKey(c, caller, id);
    }),
  );
}

/** Shows a key. Its permissions are null unless the caller is that key, or holds `keys:read`. */
async function showKey(c: Call, caller: Caller, id: number): Promise<Response> {
  const { organisationId, keyId, permissions } = caller;
  const key = await findKeyRecord(c.var.db, organisationId, id);
  if (!key) throw new Refused(notFound);
  const shown = toKey(key, organisationId);
  const mayRead = key.id === keyId || hasPermission(permissions, "keys:read");
  return c.json(mayRead ? shown : { ...shown, permissions: null });
}
