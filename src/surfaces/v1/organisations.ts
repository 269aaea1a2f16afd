/** The routes of organisations on `/v1`. The root token makes, lists and deletes them. */
import type { Hono } from "hono";
import { z } from "zod";
import { readBody, readQuery } from "../../http/body";
import { unknownOrganisation } from "../../http/guard-refusals";
import { rootRoute } from "../../http/guarded-routes";
import { humanText } from "../../http/human-text";
import { idPageQuery, toIdPage } from "../../http/paging";
import { type AppEnv, Refused } from "../../http/request-context";
import { readIntegerId } from "../../http/whole-numbers";
import { deriveAccessKey } from "../../keys/access-key";
import { newToken } from "../../keys/key-token";
import { ALL_PERMISSIONS } from "../../keys/permissions";
import { removeOrganisationKeys } from "../../keys/retention";
import {
  createOrganisation,
  listOrganisations,
  markOrganisationDeleted,
  type Organisation,
  organisationSlug,
} from "../../organisations/organisation-store";
import { FIRST_SECRET, organisationOwner, signingSecrets } from "../../outbound/signing-secrets";
import { toRfc3339 } from "../shared/wire-time";

const createBody = z.strictObject({ name: humanText(1, 100) });

/** Adds the routes to the app. */
export function organisationRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/v1/organisations",
    rootRoute(async (c) => {
      const { name } = await readBody(c, createBody);
      const { secret } = c.var.config;
      const token = newToken();
      const now = Date.now();
      const { organisation, key } = await createOrganisation(c.var.db, name, token, now);
      const owner = organisationOwner(organisation.id);
      const [webhookSecret] = signingSecrets(secret, owner, FIRST_SECRET, now);
      const body = {
        ...toWire(organisation),
        webhook_secret: webhookSecret,
        api_key: {
          id: key.id,
          token,
          access_key: deriveAccessKey(secret, key),
          permissions: [ALL_PERMISSIONS],
        },
      };
      return c.json(body, 201);
    }),
  );

  app.get(
    "/v1/organisations",
    rootRoute(async (c) => {
      const { limit, after } = readQuery(c, idPageQuery);
      const rows = await listOrganisations(c.var.db, { before: after, limit: limit + 1 });
      return c.json(toIdPage(rows, limit, toWire));
    }),
  );

  app.delete(
    "/v1/organisations/:id",
    rootRoute(async (c) => {
      const id = readIntegerId(c.req.param("id"));
      const deleted = await markOrganisationDeleted(c.var.db, id, Date.now());
      if (!deleted) {
        throw new Refused(unknownOrganisation);
      }
      await removeOrganisationKeys(c.var.db, id);
      return c.body(null, 204);
    }),
  );
}

function toWire(organisation: Organisation) {
  return {
    id: organisation.id,
    name: organisation.name,
    short: organisationSlug(organisation.name),
    created_at: toRfc3339(organisation.createdAt),
  };
}
