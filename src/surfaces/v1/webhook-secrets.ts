/**
 * The operations of secrets that sign webhooks, on `/v1`. All need `webhooks:write`: with a secret, one can
 * sign webhooks as Drawbridge does.
 */
import * as z from "zod";
import { key, type OperationGroup, operation } from "../../http/operation";
import { Refused } from "../../http/request-context";
import { changeStoreOf } from "../../http/services";
import { endpointOwner, organisationOwner } from "../../outbound/signing-secrets";
import { secretVersions } from "../../webhooks/endpoint";
import { rotateEndpointSecret } from "../../webhooks/endpoint-changes";
import { findWebhookSecrets, rotateWebhookSecret } from "../../webhooks/organisation-secret";
import { byEndpointId, newestSecret, requireEndpoint, unknownEndpoint } from "./webhook-endpoints";
import { rotateSecretBody } from "./webhook-wire";

const webhookSecret = z
  .object({
    secret: z
      .string()
      .meta({ description: "The one that signs now: `whsec_`, and base64 of 32 bytes." }),
  })
  .meta({ id: "WebhookSecret" });

/** Secrets that sign webhooks. */
export const webhookSecrets: OperationGroup = {
  name: "Webhook secrets",
  description:
    "Each endpoint has a secret that signs what is sent to it. The organisation has one more, which signs what is sent to the `webhook_url` of a relay session.",
  page: "webhooks.md",
  operations: [
    operation({
      id: "getWebhookEndpointSecret",
      method: "GET",
      ...byEndpointId,
      path: "/v1/webhooks/endpoints/{id}/secret",
      caller: key("webhooks:write"),
      summary: "Show the secret of a webhook endpoint",
      description:
        "With it, one can sign webhooks as Drawbridge does: keep it as you keep an API key.",
      answers: { 200: webhookSecret },
      refusals: { 404: ["webhook-endpoint-not-found"] },
      async handle(c, { params, caller: { organisationId } }) {
        const endpoint = await requireEndpoint(c, organisationId, params.id);
        const secret = newestSecret(c, endpointOwner(endpoint.id), secretVersions(endpoint));
        return { status: 200, body: { secret } };
      },
    }),
    operation({
      id: "rotateWebhookEndpointSecret",
      method: "POST",
      ...byEndpointId,
      path: "/v1/webhooks/endpoints/{id}/secret:rotate",
      caller: key("webhooks:write"),
      summary: "Give a webhook endpoint a new secret",
      description:
        "Until the grace is over, both secrets sign. In the format `ricloud` the new one signs alone.",
      body: rotateSecretBody,
      bodyIsOptional: true,
      answers: { 200: webhookSecret },
      refusals: { 404: ["webhook-endpoint-not-found"] },
      example: { ...byEndpointId.example, body: { grace_seconds: 3_600 } },
      async handle(c, { params: { id }, body: { graceMs }, caller: { organisationId } }) {
        const now = Date.now();
        const endpoint = await rotateEndpointSecret(
          changeStoreOf(c),
          { organisationId, id },
          graceMs,
          now,
        );
        if (!endpoint) throw new Refused(unknownEndpoint);
        const secret = newestSecret(c, endpointOwner(id), secretVersions(endpoint));
        return { status: 200, body: { secret } };
      },
    }),
    operation({
      id: "getOrganisationWebhookSecret",
      method: "GET",
      path: "/v1/webhooks/secret",
      caller: key("webhooks:write"),
      summary: "Show the webhook secret of the organisation",
      description: "It signs what is sent to the `webhook_url` of a relay session.",
      answers: { 200: webhookSecret },
      refusals: { 404: ["webhook-endpoint-not-found"] },
      example: {},
      async handle(c, { caller: { organisationId } }) {
        const versions = await findWebhookSecrets(c.get("db"), organisationId);
        if (!versions) throw new Refused(unknownEndpoint);
        const secret = newestSecret(c, organisationOwner(organisationId), versions);
        return { status: 200, body: { secret } };
      },
    }),
    operation({
      id: "rotateOrganisationWebhookSecret",
      method: "POST",
      path: "/v1/webhooks/secret:rotate",
      caller: key("webhooks:write"),
      summary: "Give the organisation a new webhook secret",
      description: "Until the grace is over, both secrets sign.",
      body: rotateSecretBody,
      bodyIsOptional: true,
      answers: { 200: webhookSecret },
      example: { body: { grace_seconds: 3_600 } },
      async handle(c, { body: { graceMs }, caller: { organisationId } }) {
        const now = Date.now();
        const versions = await rotateWebhookSecret(c.get("db"), organisationId, graceMs, now);
        const secret = newestSecret(c, organisationOwner(organisationId), versions);
        return { status: 200, body: { secret } };
      },
    }),
  ],
};
