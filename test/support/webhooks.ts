/** Webhook endpoints, deliveries and events as an organisation's backend manages them on `/v1`. */
import { expect } from "vitest";
import type { Attempt, DeliveryStatus } from "../../src/events/delivery-record";
import { type DomainEvent, newEventId } from "../../src/events/event";
import type { ConnectionEventData } from "../../src/relay-permissions/permission";
import { newDelivery } from "../../src/webhooks/delivery";
import { type Answer, call, type Tenant } from "./client";
import { type Endpoint, newEndpoint } from "./endpoints";
import { storeRecords } from "./journals";
import { eventually, newMailbox } from "./pipeline";

export const ENDPOINTS = "/v1/webhooks/endpoints";
export const DELIVERIES = "/v1/webhooks/deliveries";
export const EVENTS = "/v1/events";

/** An endpoint that a test made, and where it is. */
export interface TestEndpoint extends Endpoint {
  /** `/v1/webhooks/endpoints/{id}`. */
  path: string;
}

/** Makes an endpoint with these fields, at a mailbox of its own. */
export async function endpointWith(
  tenant: Tenant,
  fields: Record<string, unknown> = {},
): Promise<TestEndpoint> {
  const endpoint = await newEndpoint(tenant, newMailbox(), fields);
  return { ...endpoint, path: `${ENDPOINTS}/${endpoint.id}` };
}

/** Changes an endpoint. */
export function patch(tenant: Tenant, { path }: { path: string }, body: unknown): Promise<Answer> {
  return call("PATCH", path, { key: tenant.key, body });
}

/** Makes an event that starts nothing but webhooks: a connection is registered. */
export async function registerConnection(tenant: Tenant, connectionId: string): Promise<void> {
  const body = { connectionId };
  const answer = await call("POST", "/api/v2/connections/definition", { key: tenant.key, body });
  expect(answer.status, answer.text).toBe(201);
}

/** A delivery as `/v1` shows it. */
// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
export type ShownDelivery = any;

/** A page of deliveries; `query` without its question mark. */
export async function deliveriesOf(tenant: Tenant, query = ""): Promise<ShownDelivery[]> {
  const { status, body, text } = await call("GET", `${DELIVERIES}?${query}`, { key: tenant.key });
  expect(status, text).toBe(200);
  return body.data;
}

/** The only delivery of a list, once it is in this state. */
export function settled(
  tenant: Tenant,
  query: string,
  status = "delivered",
): Promise<ShownDelivery> {
  return eventually(async () => {
    const deliveries = await deliveriesOf(tenant, query);
    expect(deliveries).toMatchObject([{ status }]);
    return deliveries[0];
  });
}

/** All pages of a list, one after the other; `path` has a query, if only an empty one. */
export async function pagesOf(tenant: Tenant, path: string): Promise<{ id: string }[][]> {
  const pages: { id: string }[][] = [];
  let cursor: string | null = null;
  do {
    const more: string = cursor === null ? "" : `&cursor=${cursor}`;
    const { status, body, text } = await call("GET", path + more, { key: tenant.key });
    expect(status, text).toBe(200);
    pages.push(body.data);
    cursor = body.next_cursor;
  } while (cursor !== null);
  return pages;
}

/**
 * Stores an event and its delivery to an endpoint, as a failed or a successful attempt leaves it.
 */
export async function storeDelivery(
  tenant: Tenant,
  endpoint: TestEndpoint,
  status: DeliveryStatus,
  at = Date.now(),
): Promise<string> {
  const event = {
    id: newEventId(at),
    organisationId: tenant.id,
    type: "connection.created",
    at,
    data: { connection: { connectionId: "stored" } },
  } as DomainEvent<ConnectionEventData>;
  const delivery = newDelivery(event, "standard", endpoint.mailbox.url, endpoint.id);
  const statusCode = status === "delivered" ? 204 : 500;
  const attempt: Attempt = { at, durationMs: 7, statusCode, response: "", error: null };
  const made = { status, attempts: [attempt], scheduledAttempts: 1, nextAttemptAt: null };
  await storeRecords(tenant.id, [{ event, deliveries: [{ ...delivery, ...made }] }]);
  return delivery.id;
}
