/** The operations of webhook endpoints on `/v1`. Their secrets are in `webhook-secrets.ts`. */
import * as z from "zod";
import { key, type OperationGroup, operation } from "../../http/operation";
import { pageOf, toKeysetPage } from "../../http/paging";
import { type Call, Refused } from "../../http/request-context";
import { requireSendable } from "../../http/sendable-address";
import { changeStoreOf, journalsOf } from "../../http/services";
import { ADDRESS_REFUSALS } from "../../outbound/address";
import { endpointOwner, type SecretVersions, signingSecrets } from "../../outbound/signing-secrets";
import { secretVersions, type WebhookEndpoint } from "../../webhooks/endpoint";
import { createEndpoint, deleteEndpoint, updateEndpoint } from "../../webhooks/endpoint-changes";
import { findEndpoint, listEndpoints } from "../../webhooks/endpoint-store";
import { sendTest } from "../../webhooks/test-and-resend";
import { webhookBodies } from "../shared/webhook-bodies";
import { tooManyEndpoints } from "../shared/webhook-refusals";
import {
  changeEndpointBody,
  createEndpointBody,
  ENDPOINT_ID,
  endpointsQuery,
  toAttempt,
  toEndpoint,
  webhookAttempt,
  webhookEndpoint,
} from "./webhook-wire";

const newWebhookEndpoint = z
  .object({
    ...webhookEndpoint.shape,
    secret: z.string().meta({ description: "Signs what is sent to this endpoint." }),
  })
  .meta({ id: "NewWebhookEndpoint" });

/** Of an operation on one endpoint: the parameter of its path, and an example. */
export const byEndpointId = {
  params: {
    id: z
      .string()
      .regex(ENDPOINT_ID)
      .meta({ description: "The `id` of a webhook endpoint: `whe_` and 32 hexadecimal digits." }),
  },
  example: { params: { id: "whe_01a215769ad472f19a9013f37028eea0" } },
} as const;

/** Addresses that hear of the organisation's events. */
export const webhookEndpoints: OperationGroup = {
  name: "Webhook endpoints",
  description:
    "A webhook endpoint is an address of yours that hears of events. Each event is posted to it, signed.",
  page: "webhooks.md",
  operations: [
    operation({
      id: "createWebhookEndpoint",
      method: "POST",
      path: "/v1/webhooks/endpoints",
      caller: key("webhooks:write"),
      addsRows: true,
      summary: "Make a webhook endpoint",
      description: "It hears of every event from now on that `event_types` names.",
      body: createEndpointBody,
      answers: { 201: newWebhookEndpoint },
      answerTexts: { 201: "The new endpoint, with the secret that signs what it gets." },
      refusals: { 400: ADDRESS_REFUSALS, 409: ["limit-exceeded"] },
      example: { body: { url: "https://example.com/hooks", event_types: ["session.*"] } },
      async handle(c, { body, caller: { organisationId } }) {
        requireSendable(c, "url", body.url);
        const { origin } = new URL(c.req.url);
        const now = Date.now();
        const endpoint = await createEndpoint(
          changeStoreOf(c),
          { ...body, organisationId, origin },
          now,
        );
        if (!endpoint) throw new Refused(tooManyEndpoints);
        const secret = newestSecret(c, endpointOwner(endpoint.id), secretVersions(endpoint));
        return { status: 201, body: { ...toEndpoint(endpoint), secret } };
      },
    }),
    operation({
      id: "listWebhookEndpoints",
      method: "GET",
      path: "/v1/webhooks/endpoints",
      caller: key("webhooks:read"),
      readsNearby: true,
      summary: "List webhook endpoints, newest first",
      query: endpointsQuery,
      answers: { 200: pageOf(webhookEndpoint) },
      example: { query: { limit: "10" } },
      async handle(c, { query, caller: { organisationId } }) {
        const rows = await listEndpoints(c.get("db"), organisationId, null, query);
        return {
          status: 200,
          body: toKeysetPage(rows, query.limit, ({ id }) => id, toEndpoint),
        };
      },
    }),
    operation({
      id: "getWebhookEndpoint",
      method: "GET",
      ...byEndpointId,
      path: "/v1/webhooks/endpoints/{id}",
      caller: key("webhooks:read"),
      summary: "Show a webhook endpoint",
      answers: { 200: webhookEndpoint },
      refusals: { 404: ["webhook-endpoint-not-found"] },
      async handle(c, { params, caller: { organisationId } }) {
        return {
          status: 200,
          body: toEndpoint(await requireEndpoint(c, organisationId, params.id)),
        };
      },
    }),
    operation({
      id: "updateWebhookEndpoint",
      method: "PATCH",
      ...byEndpointId,
      path: "/v1/webhooks/endpoints/{id}",
      caller: key("webhooks:write"),
      summary: "Change a webhook endpoint",
      description:
        "What you leave out stays as it is. `enabled: true` enables an endpoint that Drawbridge has disabled.",
      body: changeEndpointBody,
      answers: { 200: webhookEndpoint },
      refusals: { 400: ADDRESS_REFUSALS, 404: ["webhook-endpoint-not-found"] },
      example: { ...byEndpointId.example, body: { enabled: true } },
      async handle(c, { params: { id }, body: change, caller: { organisationId } }) {
        if (change.url !== undefined) requireSendable(c, "url", change.url);
        const endpoint = await updateEndpoint(
          changeStoreOf(c),
          { organisationId, id },
          change,
          Date.now(),
        );
        if (!endpoint) throw new Refused(unknownEndpoint);
        return { status: 200, body: toEndpoint(endpoint) };
      },
    }),
    operation({
      id: "deleteWebhookEndpoint",
      method: "DELETE",
      ...byEndpointId,
      path: "/v1/webhooks/endpoints/{id}",
      caller: key("webhooks:write"),
      summary: "Delete a webhook endpoint",
      description: "What is still owed to it is not sent any more.",
      answers: { 204: null },
      refusals: { 404: ["webhook-endpoint-not-found"] },
      async handle(c, { params: { id }, caller: { organisationId } }) {
        const deleted = await deleteEndpoint(changeStoreOf(c), { organisationId, id }, Date.now());
        if (!deleted) throw new Refused(unknownEndpoint);
        return { status: 204 };
      },
    }),
    operation({
      id: "testWebhookEndpoint",
      method: "POST",
      ...byEndpointId,
      path: "/v1/webhooks/endpoints/{id}:test",
      caller: key("webhooks:write"),
      summary: "Send a test event to a webhook endpoint",
      description:
        "It is sent at once, and once, to this endpoint alone, also while it is disabled. The answer is 200 whether or not it arrived.",
      answers: { 200: webhookAttempt },
      answerTexts: { 200: "What the receiver answered, or why nothing came." },
      refusals: { 404: ["webhook-endpoint-not-found"] },
      async handle(c, { params: { id }, caller: { organisationId } }) {
        const [db, config] = [c.get("db"), c.get("config")];
        const services = { db, config, journals: journalsOf(c), render: webhookBodies(config) };
        const attempt = await sendTest(services, { organisationId, id }, Date.now());
        if (!attempt) throw new Refused(unknownEndpoint);
        return { status: 200, body: toAttempt(attempt) };
      },
    }),
  ],
};

/** The secret that signs now; `owner` is the endpoint or the organisation. */
export function newestSecret(c: Call, owner: string, versions: SecretVersions): string {
  return signingSecrets(c.get("config").secret, owner, versions, Date.now())[0];
}

/**
 * The endpoint with this id, if it is the organisation's.
 * @throws Refused 404
 */
export async function requireEndpoint(
  c: Call,
  organisationId: number,
  id: string,
): Promise<WebhookEndpoint> {
  const endpoint = await findEndpoint(c.get("db"), organisationId, id);
  if (!endpoint) throw new Refused(unknownEndpoint);
  return endpoint;
}

/** The refusal of an endpoint that the organisation does not have. */
export const unknownEndpoint = {
  status: 404,
  code: "webhook-endpoint-not-found",
  message: "There is no such webhook endpoint.",
} as const;
