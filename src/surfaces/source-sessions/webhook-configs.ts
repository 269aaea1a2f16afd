/** Webhook endpoints in the ricloud format, over HTTP. */
import type { Hono } from "hono";
import { z } from "zod";
import { readBody, readOptionalBody } from "../../http/body";
import { keyed } from "../../http/guarded-routes";
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
import { toList, toWebhookConfig } from "./wire";

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
  app.post(
    PATH,
    keyed("webhooks:write", async (c, caller) => {
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
    keyed("webhooks:read", async (c, caller) => {
      const { organisationId } = caller;
      const { page } = readListQuery(c, listShape);
      const rows = await listEndpoints(c.var.db, organisationId, format, page);
      const data = rows.slice(0, page.limit).map((endpoint) => toWire(c, caller, endpoint));
      const hasMore = rows.length > page.limit;
      const isWhole = !hasMore && page.after === null && page.before === null;
      return c.json(toList(PATH, data, hasMore, isWhole ? data.length : null));
    }),
  );

  app.get(
    `${PATH}/:id`,
    keyed("webhooks:read", async (c, caller) => {
      return c.json(toWire(c, caller, await requireConfig(c, caller.organisationId)));
    }),
  );

  app.post(
    `${PATH}/:id`,
    keyed("webhooks:write", async (c, caller) => {
      const { organisationId } = caller;
      const { url: address, state } = await readOptionalBody(c, updateBody);
      const { id } = await requireConfig(c, organisationId);
      if (address !== undefined) requireSendable(c, "url", address);
      const change = {
        ...(address === undefined ? {} : { url: address }),
        ...(state === "deactivated" ? { enabled: false } : {}),
        ...(state === "new" ? { enabled: true, valid: null } : {}),
      };
      const endpoint = await updateEndpoint(c.var, organisationId, id, change, Date.now());
      if (!endpoint) throw new Refused(notFound);
      return c.json(toWire(c, caller, endpoint));
    }),
  );

  app.delete(
    `${PATH}/:id`,
    keyed("webhooks:write", async (c, caller) => {
      const { organisationId } = caller;
      const { id } = await requireConfig(c, organisationId);
      const deleted = await deleteEndpoint(c.var, organisationId, id, Date.now());
      if (!deleted) throw new Refused(notFound);
      return c.json(toWire(c, caller, deleted));
    }),
  );

  const test = keyed("webhooks:write", async (c, caller) => {
    const { organisationId } = caller;
    const endpoint = await requireConfig(c, organisationId);
    await queueTest(c.var, endpoint, Date.now());
    return c.json(toWire(c, caller, endpoint));
  });
  app.post(`${PATH}/:id/test`, test);
  // ricloud-py tests with a GET.
  app.get(`${PATH}/:id/test`, test);
}

async function requireConfig(c: Call, organisationId: number): Promise<WebhookEndpoint> {
  const endpoint = await findEndpoint(c.var.db, organisationId, c.req.param("id") ?? "");
  if (endpoint?.format !== format) throw new Refused(notFound);
  return endpoint;
}

/** With its secret for who may write: whoever reads it can sign as we do. */
function toWire(c: Call, { permissions }: Caller, endpoint: WebhookEndpoint) {
  const config = toWebhookConfig(endpoint, c.var.config.secret);
  return hasPermission(permissions, "webhooks:write") ? config : { ...config, secret: null };
}
