/** The routes of webhook endpoints in ricloud's format. */
import type { Hono } from "hono";
import * as z from "zod";
import { readBody, readOptionalBody } from "../../http/body";
import { keyRoute } from "../../http/guarded-routes";
import { type AppEnv, type Call, type Caller, Refused } from "../../http/request-context";
import { requireSendable } from "../../http/sendable-address";
import { hasPermission } from "../../keys/permissions";
import type { WebhookEndpoint } from "../../webhooks/endpoint";
import {
  createEndpoint,
  deleteEndpoint,
  queueTest,
  updateEndpoint,
} from "../../webhooks/endpoint-changes";
import { findEndpoint, listEndpoints } from "../../webhooks/endpoint-store";
import { tooManyEndpoints } from "../shared/webhook-refusals";
import { notFound } from "./errors";
import { readListQuery, textId } from "./queries";
import { toList, totalOfOnePage, toWebhookConfig } from "./wire";

const PATH = "/configs/webhook";
const format = "ricloud" as const;
const url = z.string("must be a string");
const createBody = z.object({ url });
const updateBody = z.object({
  url: url.optional(),
  state: z.enum(["new", "deactivated"], "must be new or deactivated").optional(),
});
const listShape = { filters: {}, dates: [], id: textId(/^whe_[0-9a-f]{32}$/) };

/** Adds the routes to the app. */
export function webhookConfigRoutes(app: Hono<AppEnv>): void {
  configListRoutes(app);
  oneConfigRoutes(app);
}

function configListRoutes(app: Hono<AppEnv>): void {
  app.post(
    PATH,
    keyRoute("webhooks:write", async (c, caller) => {
      const { organisationId } = caller;
      const body = await readBody(c, createBody);
      requireSendable(c, "url", body.url);
      const { origin } = new URL(c.req.url);
      const input = { organisationId, url: body.url, format, origin, enabled: true };
      const endpoint = await createEndpoint(c.var, input, Date.now());
      if (!endpoint) throw new Refused(tooManyEndpoints);
      return c.json(toWire(c, caller, endpoint), 201);
    }),
  );

  app.get(
    PATH,
    keyRoute("webhooks:read", async (c, caller) => {
      const { organisationId } = caller;
      const { page } = readListQuery(c, listShape);
      const rows = await listEndpoints(c.var.db, organisationId, format, page);
      const data = rows.slice(0, page.limit).map((endpoint) => toWire(c, caller, endpoint));
      const hasMore = rows.length > page.limit;
      const total = totalOfOnePage(data.length, hasMore, page);
      return c.json(toList(PATH, { data, hasMore, total }));
    }),
  );
}

function oneConfigRoutes(app: Hono<AppEnv>): void {
  app.get(
    `${PATH}/:id`,
    keyRoute("webhooks:read", async (c, caller) => {
      return c.json(toWire(c, caller, await requireConfig(c, caller.organisationId)));
    }),
  );

  app.post(
    `${PATH}/:id`,
    keyRoute("webhooks:write", async (c, caller) => {
      const { organisationId } = caller;
      const { url: address, state } = await readOptionalBody(c, updateBody);
      const { id } = await requireConfig(c, organisationId);
      if (address !== undefined) requireSendable(c, "url", address);
      const change = {
        ...(address === undefined ? {} : { url: address }),
        ...(state === "deactivated" ? { enabled: false } : {}),
        ...(state === "new" ? { enabled: true, valid: null } : {}),
      };
      const endpoint = await updateEndpoint(c.var, { organisationId, id }, change, Date.now());
      if (!endpoint) throw new Refused(notFound);
      return c.json(toWire(c, caller, endpoint));
    }),
  );

  app.delete(
    `${PATH}/:id`,
    keyRoute("webhooks:write", async (c, caller) => {
      const { organisationId } = caller;
      const { id } = await requireConfig(c, organisationId);
      const deleted = await deleteEndpoint(c.var, { organisationId, id }, Date.now());
      if (!deleted) throw new Refused(notFound);
      return c.json(toWire(c, caller, deleted));
    }),
  );

  const test = keyRoute("webhooks:write", async (c, caller) => {
    const { organisationId } = caller;
    const endpoint = await requireConfig(c, organisationId);
    await queueTest(c.var, endpoint, Date.now());
    return c.json(toWire(c, caller, endpoint));
  });
  app.post(`${PATH}/:id/test`, test);
  // The client ricloud-py sends a GET for a test.
  app.get(`${PATH}/:id/test`, test);
}

async function requireConfig(c: Call, organisationId: number): Promise<WebhookEndpoint> {
  const endpoint = await findEndpoint(c.var.db, organisationId, c.req.param("id") ?? "");
  if (endpoint?.format !== format) throw new Refused(notFound);
  return endpoint;
}

/**
 * An endpoint. Its secret is shown only to callers with `webhooks:write`: it can sign webhooks as
 * Drawbridge does.
 */
function toWire(c: Call, { permissions }: Caller, endpoint: WebhookEndpoint) {
  const config = toWebhookConfig(endpoint, c.var.config.secret, Date.now());
  return hasPermission(permissions, "webhooks:write") ? config : { ...config, secret: null };
}
