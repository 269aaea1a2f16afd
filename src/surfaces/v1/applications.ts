/** Applications on `/v1`: an organisation makes, lists and reads what its devices pair with. */
import type { Hono } from "hono";
import { newApplicationId } from "../../devices/application-id";
import {
  insertApplication,
  listApplications,
  selectApplication,
} from "../../devices/application-store";
import { readBody, readQuery } from "../../http/body";
import { keyRoute } from "../../http/guarded-routes";
import { readTimeCursor, toKeysetPage, toTimeCursor } from "../../http/paging";
import type { AppEnv } from "../../http/request-context";
import { APPLICATION_PATH, applicationNotFound, applicationRef } from "./device-paths";
import { applicationBody, applicationsQuery, toApplicationWire } from "./device-wire";

/** How many ids are tried. An id is one of 2⁷²: if three are taken, something is broken. */
const MAX_ID_TRIES = 3;

/** Adds the routes to the app. */
export function applicationRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/v1/applications",
    keyRoute("devices:manage", async (c, { organisationId }) => {
      const { name } = await readBody(c, applicationBody);
      const createdAt = Date.now();
      for (let i = 0; i < MAX_ID_TRIES; i++) {
        const id = newApplicationId();
        if (await insertApplication(c.var.db, { id, organisationId, name, createdAt })) {
          return c.json(toApplicationWire({ id, name, createdAt }), 201);
        }
      }
      throw new Error("no free application id was drawn");
    }),
  );

  app.get(
    "/v1/applications",
    keyRoute("devices:list", async (c, { organisationId }) => {
      const { limit, cursor } = readQuery(c, applicationsQuery);
      const query = { organisationId, after: readTimeCursor(cursor), limit: limit + 1 };
      const rows = await listApplications(c.var.db, query);
      return c.json(toKeysetPage(rows, limit, toTimeCursor, toApplicationWire));
    }),
  );

  app.get(
    APPLICATION_PATH,
    keyRoute("devices:list", async (c, caller) => {
      const { organisationId, applicationId } = applicationRef(c, caller);
      const [application] = await selectApplication(c.var.db, organisationId, applicationId);
      if (!application) throw applicationNotFound();
      return c.json(toApplicationWire(application));
    }),
  );
}
