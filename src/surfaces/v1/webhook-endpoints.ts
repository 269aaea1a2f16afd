/** The routes of webhook endpoints and their secrets on `/v1`. */
import type { Hono } from "hono";
import { readBody, readOptionalBody, readQuery } from "../../http/body";
import { idBeforeVerb, keyRoute } from "../../http/guarded-routes";
import { toKeysetPage } from "../../http/paging";
import { type AppEnv, type Call, Refused } from "../../http/request-context";
import { requireSendable } from "../../http/sendable-address";
import {
  endpointOwner,
  organisationOwner,
  type SecretVersions,
  signingSecrets,
} from "../../outbound/signing-secrets";
import { secretVersions, type WebhookEndpoint } from "../../webhooks/endpoint";
import {
  createEndpoint,
  deleteEndpoint,
  rotateEndpointSecret,
  updateEndpoint,
} from "../../webhooks/endpoint-changes";
import { findEndpoint, listEndpoints } from "../../webhooks/endpoint-store";
import { findWebhookSecrets, rotateWebhookSecret } from "../../webhooks/organisation-secret";
import { sendTest } from "../../webhooks/test-and-resend";
import { webhookBodies } from "../shared/webhook-bodies";
import { tooManyEndpoints } from "../shared/webhook-refusals";
import {
  changeEndpointBody,
  createEndpointBody,
  endpointsQuery,
  rotateSecretBody,
  toAttempt,
  toEndpoint,
} from "./webhook-wire";

const ENDPOINTS_PATH = "/v1/webhooks/endpoints";
const ENDPOINT_PATH = `${ENDPOINTS_PATH}/:id{[A-Za-z0-9_-]+}`;

/** Adds the routes to the app. */
export function webhookEndpointRoutes(app: Hono<AppEnv>): void {
  endpointListRoutes(app);
  oneEndpointRoutes(app);
  secretRoutes(app);

  app.post(
    `${ENDPOINTS_PATH}/:call{[^:]+:test}`,
    keyRoute("webhooks:write", async (c, { organisationId }) => {
      const endpoint = await requireEndpoint(c, organisationId, idBeforeVerb(c));
      const { db, config } = c.var;
      const services = { db, config, render: webhookBodies(config) };
      return c.json(toAttempt(await sendTest(services, endpoint, Date.now())));
    }),
  );
}

function endpointListRoutes(app: Hono<AppEnv>): void {
  app.post(
    ENDPOINTS_PATH,
    keyRoute("webhooks:write", async (c, { organisationId }) => {
      const body = await readBody(c, createEndpointBody);
      requireSendable(c, "url", body.url);
      const { origin } = new URL(c.req.url);
      const now = Date.now();
      const endpoint = await createEndpoint(c.var, { ...body, organisationId, origin }, now);
      if (!endpoint) throw new Refused(tooManyEndpoints);
      const secret = newestSecret(c, endpointOwner(endpoint.id), secretVersions(endpoint));
      return c.json({ ...toEndpoint(endpoint), secret }, 201);
    }),
  );

  app.get(
    ENDPOINTS_PATH,
    keyRoute("webhooks:read", async (c, { organisationId }) => {
      const range = readQuery(c, endpointsQuery);
      const rows = await listEndpoints(c.var.db, organisationId, null, range);
      return c.json(toKeysetPage(rows, range.limit, ({ id }) => id, toEndpoint));
    }),
  );
}

function oneEndpointRoutes(app: Hono<AppEnv>): void {
  app.get(
    ENDPOINT_PATH,
    keyRoute("webhooks:read", async (c, { organisationId }) => {
      return c.json(toEndpoint(await requireEndpoint(c, organisationId, c.req.param("id"))));
    }),
  );

  app.patch(
    ENDPOINT_PATH,
    keyRoute("webhooks:write", async (c, { organisationId }) => {
      const change = await readBody(c, changeEndpointBody);
      if (change.url !== undefined) requireSendable(c, "url", change.url);
      const id = c.req.param("id") ?? "";
      const endpoint = await updateEndpoint(c.var, { organisationId, id }, change, Date.now());
      if (!endpoint) throw new Refused(unknownEndpoint);
      return c.json(toEndpoint(endpoint));
    }),
  );

  app.delete(
    ENDPOINT_PATH,
    keyRoute("webhooks:write", async (c, { organisationId }) => {
      const id = c.req.param("id") ?? "";
      const deleted = await deleteEndpoint(c.var, { organisationId, id }, Date.now());
      if (!deleted) throw new Refused(unknownEndpoint);
      return c.body(null, 204);
    }),
  );
}

/** Secrets need `webhooks:write`: with a secret, one can sign webhooks as Drawbridge does. */
function secretRoutes(app: Hono<AppEnv>): void {
  app.get(
    `${ENDPOINT_PATH}/secret`,
    keyRoute("webhooks:write", async (c, { organisationId }) => {
      const endpoint = await requireEndpoint(c, organisationId, c.req.param("id"));
      return secretAnswer(c, endpointOwner(endpoint.id), secretVersions(endpoint));
    }),
  );

  app.post(
    `${ENDPOINT_PATH}/secret:rotate`,
    keyRoute("webhooks:write", async (c, { organisationId }) => {
      const { graceMs } = await readOptionalBody(c, rotateSecretBody);
      const id = c.req.param("id") ?? "";
      const now = Date.now();
      const endpoint = await rotateEndpointSecret(c.var, { organisationId, id }, graceMs, now);
      if (!endpoint) throw new Refused(unknownEndpoint);
      return secretAnswer(c, endpointOwner(id), secretVersions(endpoint));
    }),
  );

  app.get(
    "/v1/webhooks/secret",
    keyRoute("webhooks:write", async (c, { organisationId }) => {
      const versions = await findWebhookSecrets(c.var.db, organisationId);
      if (!versions) throw new Refused(unknownEndpoint);
      return secretAnswer(c, organisationOwner(organisationId), versions);
    }),
  );

  app.post(
    "/v1/webhooks/secret:rotate",
    keyRoute("webhooks:write", async (c, { organisationId }) => {
      const { graceMs } = await readOptionalBody(c, rotateSecretBody);
      const now = Date.now();
      const versions = await rotateWebhookSecret(c.var.db, organisationId, graceMs, now);
      return secretAnswer(c, organisationOwner(organisationId), versions);
    }),
  );
}

function secretAnswer(c: Call, owner: string, versions: SecretVersions): Response {
  return c.json({ secret: newestSecret(c, owner, versions) });
}

function newestSecret(c: Call, owner: string, versions: SecretVersions): string {
  return signingSecrets(c.var.config.secret, owner, versions, Date.now())[0];
}

/** The endpoint with this id, if it is the organisation's. */
export async function requireEndpoint(
  c: Call,
  organisationId: number,
  id: string | undefined,
): Promise<WebhookEndpoint> {
  const endpoint = id === undefined ? null : await findEndpoint(c.var.db, organisationId, id);
  if (!endpoint) throw new Refused(unknownEndpoint);
  return endpoint;
}

const unknownEndpoint = {
  status: 404,
  code: "webhook-endpoint-not-found",
  message: "There is no such webhook endpoint.",
} as const;
