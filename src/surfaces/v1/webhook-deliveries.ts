/**
 * The operations of deliveries on `/v1`: what was sent, what the receiver answered, and sending again one
 * or all that did not arrive.
 */
import * as z from "zod";
import { findDelivery, listDeliveries } from "../../events/journal-lists";
import { key, type OperationGroup, operation } from "../../http/operation";
import { pageOf } from "../../http/paging";
import { type HttpRefusal, Refused } from "../../http/request-context";
import { journalsOf } from "../../http/services";
import { findRecovery, startRecovery } from "../../webhooks/recovery";
import { type ResendRefusal, requestResend } from "../../webhooks/test-and-resend";
import { byEndpointId, requireEndpoint } from "./webhook-endpoints";
import {
  DELIVERY_ID,
  deliveriesQuery,
  startRecoveryBody,
  toDelivery,
  toRecovery,
  webhookDelivery,
  webhookRecovery,
} from "./webhook-wire";

const noBody = z.strictObject({});

const byDeliveryId = {
  params: {
    id: z
      .string()
      .regex(DELIVERY_ID)
      .meta({ description: "The `id` of a delivery: `whd_`, then hexadecimal digits." }),
  },
  example: { params: { id: "whd_01a215769b07799ebdd052ed60dbc868_9f0e00ec35a6" } },
} as const;

/** What was sent, and sending it again. */
export const webhookDeliveries: OperationGroup = {
  name: "Webhook deliveries",
  description:
    "A delivery is one event that is owed to one address. Each request for it is an attempt.",
  page: "webhooks.md",
  operations: [
    operation({
      id: "listWebhookDeliveries",
      method: "GET",
      path: "/v1/webhooks/deliveries",
      caller: key("webhooks:read"),
      summary: "List deliveries, those of the newest events first",
      description:
        "A page may be shorter than `limit`, even empty, while the list goes on: follow `next_cursor` until it is null.",
      query: deliveriesQuery,
      answers: { 200: pageOf(webhookDelivery) },
      example: { query: { status: "failed", event_type: "session.*" } },
      async handle(c, { query, caller: { organisationId } }) {
        const { rows, next } = await listDeliveries(journalsOf(c), organisationId, query);
        return { status: 200, body: { data: rows.map(toDelivery), next_cursor: next } };
      },
    }),
    operation({
      id: "getWebhookDelivery",
      method: "GET",
      ...byDeliveryId,
      path: "/v1/webhooks/deliveries/{id}",
      caller: key("webhooks:read"),
      summary: "Show a delivery with its attempts",
      answers: { 200: webhookDelivery },
      refusals: { 404: ["delivery-not-found"] },
      async handle(c, { params: { id }, caller: { organisationId } }) {
        const delivery = await findDelivery(journalsOf(c), organisationId, id);
        if (!delivery) throw new Refused(refusals["not-found"]);
        return { status: 200, body: toDelivery(delivery) };
      },
    }),
    operation({
      id: "resendWebhookDelivery",
      method: "POST",
      ...byDeliveryId,
      path: "/v1/webhooks/deliveries/{id}:resend",
      caller: key("webhooks:write"),
      summary: "Send a delivery once more",
      description:
        "It may be pending, delivered or failed. If more attempts are planned, they stay planned.",
      body: noBody,
      bodyIsOptional: true,
      answers: { 202: webhookDelivery },
      answerTexts: { 202: "The delivery as it is now. It is sent in the background." },
      refusals: {
        404: ["delivery-not-found"],
        409: ["endpoint-deleted", "endpoint-disabled", "too-many-attempts"],
      },
      async handle(c, { params: { id }, caller: { organisationId } }) {
        const wanted = { organisationId, id };
        const db = c.get("db");
        const services = { db, journals: journalsOf(c), deliveries: c.env.DELIVERIES };
        const result = await requestResend(services, wanted, Date.now());
        if (!result.ok) throw new Refused(refusals[result.refusal]);
        return { status: 202, body: toDelivery(result.delivery) };
      },
    }),
    operation({
      id: "startWebhookRecovery",
      method: "POST",
      ...byEndpointId,
      path: "/v1/webhooks/endpoints/{id}:recover",
      caller: key("webhooks:write"),
      summary: "Send everything again that did not arrive at a webhook endpoint",
      description:
        "It sends again every delivery that has failed or was discarded, and at once what still waits for its next attempt, of events that happened between `since` and `until`: 14 days at most.",
      body: startRecoveryBody,
      answers: { 202: webhookRecovery },
      answerTexts: {
        202: "The recovery. It works in the background: the header `Location` is where to ask how far it is.",
      },
      refusals: {
        404: ["webhook-endpoint-not-found"],
        409: ["endpoint-disabled", "recovery-running"],
      },
      example: {
        ...byEndpointId.example,
        body: { since: "2026-11-22T08:00:00Z", until: "2026-11-23T08:00:00Z" },
      },
      async handle(c, { params, body: window, caller: { organisationId } }) {
        const now = Date.now();
        const endpoint = await requireEndpoint(c, organisationId, params.id);
        if (!endpoint.enabled) throw new Refused(refusals["endpoint-disabled"]);
        // A recovery may be of any number of deliveries: it must not stand before those of others.
        const services = { db: c.get("db"), deliveries: c.env.BULK_DELIVERIES };
        const input = { ...window, organisationId, endpointId: endpoint.id };
        const recovery = await startRecovery(services, input, now);
        if (!recovery) throw new Refused(recoveryRunning);
        const headers = { Location: `/v1/webhooks/recoveries/${recovery.id}` };
        return { status: 202, body: toRecovery(recovery), headers };
      },
    }),
    operation({
      id: "getWebhookRecovery",
      method: "GET",
      path: "/v1/webhooks/recoveries/{id}",
      params: {
        id: z
          .string()
          .meta({ description: "The `id` of a recovery: `whr_` and 32 hexadecimal digits." }),
      },
      caller: key("webhooks:read"),
      summary: "Show a recovery, and how far it is",
      answers: { 200: webhookRecovery },
      refusals: { 404: ["recovery-not-found"] },
      example: { params: { id: "whr_01a21576a6f47ed2a85cd137d604b80b" } },
      async handle(c, { params: { id }, caller: { organisationId } }) {
        const recovery = await findRecovery(c.get("db"), organisationId, id);
        if (!recovery) throw new Refused(unknownRecovery);
        return { status: 200, body: toRecovery(recovery) };
      },
    }),
  ],
};

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
