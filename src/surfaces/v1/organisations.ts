/** Organisations on `/v1`: made, listed and deleted with the root token. */
import type { Hono } from "hono";
import { z } from "zod";
import { readBody, readQuery } from "../../http/body";
import { unknownOrganisation } from "../../http/guard-refusals";
import { rooted } from "../../http/guarded-routes";
import { humanText } from "../../http/human-text";
import { cursorQuery, toPage } from "../../http/paging";
import { type AppEnv, Refused } from "../../http/request-context";
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

const createBody = z.strictObject({ name: humanText(1, 100) });

/** Adds the routes to the app. */
export function organisationRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/v1/organisations",
    rooted(async (c) => {
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
    rooted(async (c) => {
      const { limit, after } = readQuery(c, cursorQuery);
      const rows = await listOrganisations(c.var.db, { before: after, limit: limit + 1 });
      return c.json(toPage(rows, limit, toWire));
    }),
  );

  app.delete(
    "/v1/organisations/:id",
    rooted(async (c) => {
      const id = Number(/^[0-9]{1,15}$/.exec(c.req.param("id") ?? "")?.[0] ?? 0);
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
    created_at: new Date(organisation.createdAt).toISOString(),
  };
}
