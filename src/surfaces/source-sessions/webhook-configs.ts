/** The operations of webhook endpoints in ricloud's format. */
import * as z from "zod";
import { key, type OperationGroup, operation, type Shown } from "../../http/operation";
import { type Call, type Caller, Refused } from "../../http/request-context";
import { requireSendable } from "../../http/sendable-address";
import { changeStoreOf } from "../../http/services";
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
import { LISTS, listQuery, textId } from "./queries";
import { toWebhookConfig, webhookConfig } from "./wire";

const LIST = "/configs/webhook";
const ONE = "/configs/webhook/{id}";
const format = "ricloud" as const;

const url = z.string("must be a string").meta({
  description:
    "An https address in the public Internet. Events are posted to it, with `/` and the id of the event behind its path.",
});
const createBody = z.object({ url });
const updateBody = z.object({
  url: url.optional(),
  state: z.enum(["new", "deactivated"], "must be new or deactivated").optional().meta({
    description: "`deactivated` switches it off, `new` on again. Left out: it stays as it is.",
  }),
});

const CONFIG_ID = /^whe_[0-9a-f]{32}$/;

const configsQuery = listQuery({ filters: {}, dates: {}, id: textId(CONFIG_ID) });

const byId = {
  params: {
    id: z
      .string()
      .regex(CONFIG_ID)
      .meta({ description: "The `id` of a webhook config: `whe_` and 32 hexadecimal digits." }),
  },
  example: { params: { id: "whe_01a215769ad472f19a9013f37028eea0" } },
} as const;

/** What both operations that send a test have in common: ricloud-py, a client, sends a GET for it. */
const test = {
  ...byId,
  path: `${ONE}/test`,
  caller: key("webhooks:write"),
  summary: "Send a test to a webhook config",
  answers: { 200: webhookConfig },
  refusals: { 404: [notFound.code] },
} as const;

/** Webhook endpoints, in ricloud's format. */
export const webhookConfigs: OperationGroup = {
  name: "Webhook configs (ricloud)",
  description:
    "Webhook endpoints that get events in ricloud's format, for clients of ricloud. `/v1/webhooks/endpoints` has them too.",
  page: "from-ricloud.md",
  operations: [
    operation({
      id: "createWebhookConfig",
      method: "POST",
      path: LIST,
      caller: key("webhooks:write"),
      addsRows: true,
      summary: "Make a webhook config",
      description: "A test is sent to it at once: `state` says afterwards what came of it.",
      body: createBody,
      answers: { 201: webhookConfig },
      answerTexts: { 201: "The new webhook config, with the secret that signs what it gets." },
      refusals: { 400: ["invalid-parameter"], 409: [tooManyEndpoints.code] },
      example: { body: { url: "https://hooks.example.com/ricloud" } },
      async handle(c, { body, caller }) {
        const { organisationId } = caller;
        requireSendable(c, "url", body.url);
        const { origin } = new URL(c.req.url);
        const input = { organisationId, url: body.url, format, origin, enabled: true };
        const endpoint = await createEndpoint(changeStoreOf(c), input, Date.now());
        if (!endpoint) throw new Refused(tooManyEndpoints);
        return { status: 201, body: toConfig(c, caller, endpoint) };
      },
    }),
    operation({
      id: "listWebhookConfigs",
      method: "GET",
      path: LIST,
      caller: key("webhooks:read"),
      readsNearby: true,
      summary: "List webhook configs, newest first",
      description: LISTS,
      query: configsQuery,
      answers: { 200: listOf(webhookConfig, z.string()) },
      example: { query: { limit: "10" } },
      async handle(c, { query: { page }, caller }) {
        const rows = await listEndpoints(c.get("db"), caller.organisationId, format, page);
        const data = rows.slice(0, page.limit).map((endpoint) => toConfig(c, caller, endpoint));
        const hasMore = rows.length > page.limit;
        const total = totalOfOnePage(data.length, hasMore, page);
        return { status: 200, body: toList(LIST, { data, hasMore, total }) };
      },
    }),
    operation({
      id: "getWebhookConfig",
      method: "GET",
      ...byId,
      path: ONE,
      caller: key("webhooks:read"),
      summary: "Show a webhook config",
      answers: { 200: webhookConfig },
      refusals: { 404: [notFound.code] },
      async handle(c, { params, caller }) {
        const endpoint = await requireEndpoint(c, caller, params.id);
        return { status: 200, body: toConfig(c, caller, endpoint) };
      },
    }),
    operation({
      id: "updateWebhookConfig",
      method: "POST",
      ...byId,
      path: ONE,
      caller: key("webhooks:write"),
      summary: "Change a webhook config, or switch it off or on",
      description: "What you leave out stays as it is.",
      body: updateBody,
      bodyIsOptional: true,
      answers: { 200: webhookConfig },
      refusals: { 400: ["invalid-parameter"], 404: [notFound.code] },
      example: { ...byId.example, body: { state: "deactivated" } },
      async handle(c, { params, body: { url: address, state }, caller }) {
        const { organisationId } = caller;
        const { id } = await requireEndpoint(c, caller, params.id);
        if (address !== undefined) requireSendable(c, "url", address);
        const change = {
          ...(address === undefined ? {} : { url: address }),
          ...(state === "deactivated" ? { enabled: false } : {}),
          ...(state === "new" ? { enabled: true, valid: null } : {}),
        };
        const endpoint = await updateEndpoint(
          changeStoreOf(c),
          { organisationId, id },
          change,
          Date.now(),
        );
        if (!endpoint) throw new Refused(notFound);
        return { status: 200, body: toConfig(c, caller, endpoint) };
      },
    }),
    operation({
      id: "deleteWebhookConfig",
      method: "DELETE",
      ...byId,
      path: ONE,
      caller: key("webhooks:write"),
      summary: "Delete a webhook config",
      description: "The answer shows it as it was.",
      answers: { 200: webhookConfig },
      refusals: { 404: [notFound.code] },
      async handle(c, { params, caller }) {
        const { organisationId } = caller;
        const { id } = await requireEndpoint(c, caller, params.id);
        const deleted = await deleteEndpoint(changeStoreOf(c), { organisationId, id }, Date.now());
        if (!deleted) throw new Refused(notFound);
        return { status: 200, body: toConfig(c, caller, deleted) };
      },
    }),
    operation({
      ...test,
      id: "testWebhookConfig",
      method: "POST",
      description: "The test is sent in the background: `state` says afterwards what came of it.",
      handle: sendTest,
    }),
    operation({
      ...test,
      id: "testWebhookConfigWithGet",
      method: "GET",
      description: "The same as with POST. The client ricloud-py sends a GET.",
      handle: sendTest,
    }),
  ],
};

async function sendTest(
  c: Call,
  { params, caller }: { params: { readonly id: string }; caller: Caller },
) {
  const endpoint = await requireEndpoint(c, caller, params.id);
  await queueTest(changeStoreOf(c), endpoint, Date.now());
  return { status: 200 as const, body: toConfig(c, caller, endpoint) };
}

async function requireEndpoint(
  c: Call,
  { organisationId }: Caller,
  id: string,
): Promise<WebhookEndpoint> {
  const endpoint = await findEndpoint(c.get("db"), organisationId, id);
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
  const config = toWebhookConfig(endpoint, c.get("config").secret, Date.now());
  return hasPermission(permissions, "webhooks:write") ? config : { ...config, secret: null };
}
