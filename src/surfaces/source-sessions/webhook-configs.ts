/** The operations of webhook endpoints in ricloud's format. */
import * as z from "zod";
import { key, type OperationGroup, operation, type Shown } from "../../http/operation";
import { type Call, type Caller, Refused } from "../../http/request-context";
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
import { listOf, toList, totalOfOnePage } from "./lists";
import { listQuery, textId } from "./queries";
import { toWebhookConfig, webhookConfig } from "./wire";

const LIST = "/configs/webhook";
const ONE = "/configs/webhook/{id}";
const format = "ricloud" as const;

const url = z.string("must be a string").meta({
  description:
    "An https address in the public Internet. We post to it, with `/{event id}` behind it.",
});
const createBody = z.object({ url });
const updateBody = z.object({
  url: url.optional(),
  state: z
    .enum(["new", "deactivated"], "must be new or deactivated")
    .optional()
    .meta({ description: "`deactivated` switches it off, `new` on again." }),
});

const configsQuery = listQuery({ filters: {}, dates: {}, id: textId(/^whe_[0-9a-f]{32}$/) });

const example = { params: { id: "whe_0123456789abcdef0123456789abcdef" } };

/** What both operations that send a test have in common: ricloud-py, a client, sends a GET for it. */
const test = {
  path: `${ONE}/test`,
  caller: key("webhooks:write"),
  summary: "Send a test to a webhook config",
  answers: { 200: webhookConfig },
  refusals: { 404: [notFound.code] },
  example,
} as const;

/** Webhook endpoints, in ricloud's format. */
export const webhookConfigs: OperationGroup = {
  name: "Webhook configs",
  description: "Webhook endpoints that get events in ricloud's format.",
  operations: [
    operation({
      id: "createWebhookConfig",
      method: "POST",
      path: LIST,
      caller: key("webhooks:write"),
      summary: "Make a webhook config",
      body: createBody,
      answers: { 201: webhookConfig },
      refusals: { 400: ["invalid-parameter"], 409: [tooManyEndpoints.code] },
      example: { body: { url: "https://hooks.example.com/ricloud" } },
      async handle(c, { body, caller }) {
        const { organisationId } = caller;
        requireSendable(c, "url", body.url);
        const { origin } = new URL(c.req.url);
        const input = { organisationId, url: body.url, format, origin, enabled: true };
        const endpoint = await createEndpoint(c.var, input, Date.now());
        if (!endpoint) throw new Refused(tooManyEndpoints);
        return { status: 201, body: toConfig(c, caller, endpoint) };
      },
    }),
    operation({
      id: "listWebhookConfigs",
      method: "GET",
      path: LIST,
      caller: key("webhooks:read"),
      summary: "List webhook configs, newest first",
      query: configsQuery,
      answers: { 200: listOf(webhookConfig, z.string()) },
      example: { query: { limit: "10" } },
      async handle(c, { query: { page }, caller }) {
        const rows = await listEndpoints(c.var.db, caller.organisationId, format, page);
        const data = rows.slice(0, page.limit).map((endpoint) => toConfig(c, caller, endpoint));
        const hasMore = rows.length > page.limit;
        const total = totalOfOnePage(data.length, hasMore, page);
        return { status: 200, body: toList(LIST, { data, hasMore, total }) };
      },
    }),
    operation({
      id: "getWebhookConfig",
      method: "GET",
      path: ONE,
      caller: key("webhooks:read"),
      summary: "Show a webhook config",
      answers: { 200: webhookConfig },
      refusals: { 404: [notFound.code] },
      example,
      async handle(c, { params, caller }) {
        const endpoint = await requireEndpoint(c, caller, params.id);
        return { status: 200, body: toConfig(c, caller, endpoint) };
      },
    }),
    operation({
      id: "updateWebhookConfig",
      method: "POST",
      path: ONE,
      caller: key("webhooks:write"),
      summary: "Change a webhook config, or switch it off or on",
      description: "What is left out stays as it is.",
      body: updateBody,
      bodyIsOptional: true,
      answers: { 200: webhookConfig },
      refusals: { 400: ["invalid-parameter"], 404: [notFound.code] },
      example: { ...example, body: { state: "deactivated" } },
      async handle(c, { params, body: { url: address, state }, caller }) {
        const { organisationId } = caller;
        const { id } = await requireEndpoint(c, caller, params.id);
        if (address !== undefined) requireSendable(c, "url", address);
        const change = {
          ...(address === undefined ? {} : { url: address }),
          ...(state === "deactivated" ? { enabled: false } : {}),
          ...(state === "new" ? { enabled: true, valid: null } : {}),
        };
        const endpoint = await updateEndpoint(c.var, { organisationId, id }, change, Date.now());
        if (!endpoint) throw new Refused(notFound);
        return { status: 200, body: toConfig(c, caller, endpoint) };
      },
    }),
    operation({
      id: "deleteWebhookConfig",
      method: "DELETE",
      path: ONE,
      caller: key("webhooks:write"),
      summary: "Delete a webhook config",
      description: "The answer shows it as it was.",
      answers: { 200: webhookConfig },
      refusals: { 404: [notFound.code] },
      example,
      async handle(c, { params, caller }) {
        const { organisationId } = caller;
        const { id } = await requireEndpoint(c, caller, params.id);
        const deleted = await deleteEndpoint(c.var, { organisationId, id }, Date.now());
        if (!deleted) throw new Refused(notFound);
        return { status: 200, body: toConfig(c, caller, deleted) };
      },
    }),
    operation({
      ...test,
      id: "testWebhookConfig",
      method: "POST",
      description: "The `state` says afterwards what came of it.",
      handle: sendTest,
    }),
    operation({
      ...test,
      id: "testWebhookConfigWithGet",
      method: "GET",
      description: "As with POST. The client ricloud-py sends a GET.",
      handle: sendTest,
    }),
  ],
};

async function sendTest(
  c: Call,
  { params, caller }: { params: { readonly id: string }; caller: Caller },
) {
  const endpoint = await requireEndpoint(c, caller, params.id);
  await queueTest(c.var, endpoint, Date.now());
  return { status: 200 as const, body: toConfig(c, caller, endpoint) };
}

async function requireEndpoint(
  c: Call,
  { organisationId }: Caller,
  id: string,
): Promise<WebhookEndpoint> {
  const endpoint = await findEndpoint(c.var.db, organisationId, id);
  if (endpoint?.format !== format) throw new Refused(notFound);
  return endpoint;
}

/**
 * An endpoint. Its secret is shown only to callers with `webhooks:write`: it can sign webhooks as
 * Drawbridge does.
 */
function toConfig(
  c: Call,
  { permissions }: Caller,
  endpoint: WebhookEndpoint,
): Shown<typeof webhookConfig> {
  const config = toWebhookConfig(endpoint, c.var.config.secret, Date.now());
  return hasPermission(permissions, "webhooks:write") ? config : { ...config, secret: null };
}
