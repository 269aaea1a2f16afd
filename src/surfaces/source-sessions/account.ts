/** Who is calling, over HTTP: the organisation and its keys. */
import type { Hono } from "hono";
import { type AppEnv, type Call, Refused } from "../../http/context";
import { keyed } from "../../http/routes";
import { findKeyRecord } from "../../keys/store";
import { findOrganisation } from "../../organisations/store";
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
    keyed(null, (c, { organisationId, keyId }) => showKey(c, organisationId, keyId)),
  );
  app.get(
    "/keys/:id",
    keyed(null, (c, { organisationId }) => {
      const id = Number(/^[0-9]{1,15}$/.exec(c.req.param("id") ?? "")?.[0] ?? 0);
      return showKey(c, organisationId, id);
    }),
  );
}

async function showKey(c: Call, organisationId: number, id: number): Promise<Response> {
  const key = await findKeyRecord(c.var.db, organisationId, id);
  if (!key) throw new Refused(notFound);
  return c.json(toKey(key, organisationId));
}
