/** Who is calling, over HTTP: the organisation and its keys. */
import type { Hono } from "hono";
import { keyed } from "../../http/guarded-routes";
import { type AppEnv, type Call, type Caller, Refused } from "../../http/request-context";
import { findKeyRecord } from "../../keys/key-store";
import { hasPermission } from "../../keys/permissions";
import { findOrganisation } from "../../organisations/organisation-store";
import { notFound } from "./errors";
import { toKey, toOrganisation } from "./wire";

/** Adds the routes to the app. */
export function accountRoutes(app: Hono<AppEnv>): void {
  app.get(
    "/organisation",
    keyed(null, async (c, { organisationId }) => {
      const organisation = await findOrganisation(c.var.db, organisationId);
      if (!organisation) throw new Refused(notFound);
      return c.json(toOrganisation(organisation));
    }),
  );
  app.get(
    "/key",
    keyed(null, (c, caller) => showKey(c, caller, caller.keyId)),
  );
  app.get(
    "/keys/:id",
    keyed(null, (c, caller) => {
      const id = Number(/^[0-9]{1,15}$/.exec(c.req.param("id") ?? "")?.[0] ?? 0);
      return showKey(c, caller, id);
    }),
  );
}

/** What a key may do is for whoever may read keys, and for the key itself: to others it is null. */
async function showKey(c: Call, caller: Caller, id: number): Promise<Response> {
  const { organisationId, keyId, permissions } = caller;
  const key = await findKeyRecord(c.var.db, organisationId, id);
  if (!key) throw new Refused(notFound);
  const shown = toKey(key, organisationId);
  const mayRead = key.id === keyId || hasPermission(permissions, "keys:read");
  return c.json(mayRead ? shown : { ...shown, permissions: null });
}
