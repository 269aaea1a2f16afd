/**
 * The routes of deliveries on `/v1`: what was sent, what the receiver answered, and sending again one
 * or all that failed.
 */
import type { Hono } from "hono";
import * as z from "zod";
import { readBody, readOptionalBody, readQuery } from "../../http/body";
import { idBeforeVerb, keyRoute } from "../../http/guarded-routes";
import { type AppEnv, type HttpRefusal, Refused } from "../../http/request-context";
import { findDelivery, listDeliveries } from "../../webhooks/delivery-list";
import { findRecovery, startRecovery } from "../../webhooks/recovery";
import { type ResendRefusal, requestResend } from "../../webhooks/test-and-resend";
import { requireEndpoint } from "./webhook-endpoints";
import { deliveriesQuery, startRecoveryBody, toDelivery, toRecovery } from "./webhook-wire";

const DELIVERIES_PATH = "/v1/webhooks/deliveries";
const noBody = z.strictObject({});

/** Adds the routes to the app. */
export function webhookDeliveryRoutes(app: Hono<AppEnv>): void {
  deliveryRoutes(app);
  recoveryRoutes(app);
}

function deliveryRoutes(app: Hono<AppEnv>): void {
  app.get(
    DELIVERIES_PATH,
    keyRoute("webhooks:read", async (c, { organisationId }) => {
      const query = readQuery(c, deliveriesQuery);
      const { rows, next } = await listDeliveries(c.var.db, organisationId, query);
      return c.json({ data: rows.map(toDelivery), next_cursor: next });
    }),
  );

  app.get(
    `${DELIVERIES_PATH}/:id{[A-Za-z0-9_-]+}`,
    keyRoute("webhooks:read", async (c, { organisationId }) => {
      const id = c.req.param("id") ?? "";
      const delivery = await findDelivery(c.var.db, { organisationId, id });
      if (!delivery) throw new Refused(refusals["not-found"]);
      return c.json(toDelivery(delivery));
    }),
  );

  app.post(
    `${DELIVERIES_PATH}/:call{[^:]+:resend}`,
    keyRoute("webhooks:write", async (c, { organisationId }) => {
      await readOptionalBody(c, noBody);
      const key = { organisationId, id: idBeforeVerb(c) };
      const result = await requestResend(c.var.db, c.env.DELIVERIES, key, Date.now());
      if (!result.ok) throw new Refused(refusals[result.refusal]);
      return c.json(toDelivery(result.delivery), 202);
    }),
  );
}

function recoveryRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/v1/webhooks/endpoints/:call{[^:]+:recover}",
    keyRoute("webhooks:write", async (c, { organisationId }) => {
      const now = Date.now();
      const window = await readBody(c, startRecoveryBody(now));
      const endpoint = await requireEndpoint(c, organisationId, idBeforeVerb(c));
      if (!endpoint.enabled) throw new Refused(refusals["endpoint-disabled"]);
      const services = { db: c.var.db, deliveries: c.env.DELIVERIES };
      const input = { ...window, organisationId, endpointId: endpoint.id };
      const recovery = await startRecovery(services, input, now);
      if (!recovery) throw new Refused(recoveryRunning);
      c.header("Location", `/v1/webhooks/recoveries/${recovery.id}`);
      return c.json(toRecovery(recovery), 202);
    }),
  );

  app.get(
    "/v1/webhooks/recoveries/:id",
    keyRoute("webhooks:read", async (c, { organisationId }) => {
      const recovery = await findRecovery(c.var.db, organisationId, c.req.param("id") ?? "");
      if (!recovery) throw new Refused(unknownRecovery);
      return c.json(toRecovery(recovery));
    }),
  );
}

const refusals: Record<ResendRefusal, HttpRefusal> = {
  "not-found": {
    status: 404,
    code: "delivery-not-found",
    message: "There is no such delivery. They are kept for RETENTION_DAYS.",
  },
  "endpoint-deleted": {
    status: 409,
    lasts: true,
    code: "endpoint-deleted",
    message: "The webhook endpoint of this delivery was deleted: there is nowhere to send it.",
  },
  "endpoint-disabled": {
    status: 409,
    lasts: false,
    code: "endpoint-disabled",
    message: 'The webhook endpoint is disabled. Enable it first: PATCH it with {"enabled": true}.',
  },
  "too-many-attempts": {
    status: 409,
    lasts: true,
    code: "too-many-attempts",
    message: "This delivery was sent too often to be sent again. Fetch its event instead.",
  },
};

const recoveryRunning: HttpRefusal = {
  status: 409,
  lasts: false,
  code: "recovery-running",
  message: "A recovery of this endpoint is running. Start another when it is finished.",
};

const unknownRecovery: HttpRefusal = {
  status: 404,
  code: "recovery-not-found",
  message: "There is no such recovery.",
};
