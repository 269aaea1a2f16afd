import { type SQL, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import { retryChange } from "../db/retry";
import { webhookEndpoints } from "../db/schema/webhooks";
import { type DomainEvent, newEventId } from "../events/event";
import type { ChangeStore } from "../events/event-outbox";
import type { EventType } from "../events/event-types";
import { rotateSecret } from "../outbound/signing-secrets";
import {
  type EndpointEventData,
  MOST_ENDPOINTS,
  secretVersions,
  type WebhookEndpoint,
} from "./endpoint";
import { findEndpoint, isUnchangedEndpoint } from "./endpoint-store";

/** What a new endpoint is made of. */
export type NewEndpoint = Pick<
  WebhookEndpoint,
  "organisationId" | "url" | "format" | "origin" | "enabled"
> &
  Partial<Pick<WebhookEndpoint, "description" | "eventTypes">>;

/** What can be changed of an endpoint. */
export type EndpointChange = Partial<
  Pick<WebhookEndpoint, "url" | "enabled" | "valid" | "description" | "eventTypes">
>;

/** The event that tries an endpoint out, and goes to no other. */
export function testEvent(endpoint: WebhookEndpoint, now: number): DomainEvent<EndpointEventData> {
  const type = endpoint.format === "ricloud" ? "webhook_config.test" : "webhook-endpoint.test";
  return endpointEvent(type, endpoint, now);
}

/**
 * Stores a new endpoint; null when the organisation has as many as it can. One in ricloud's format is
 * tried out at once, as its clients expect.
 */
export async function createEndpoint(
  { db, events }: ChangeStore,
  input: NewEndpoint,
  now: number,
): Promise<WebhookEndpoint | null> {
  const endpoint: WebhookEndpoint = {
    description: "",
    eventTypes: null,
    ...input,
    // Ids begin with their time: the key is also the order of the list.
    id: `whe_${newEventId(now).replaceAll("-", "")}`,
    valid: null,
    secretVersion: 1,
    previousSecrets: [],
    disabledReason: null,
    failingSince: null,
    version: 1,
    createdAt: now,
  };
  const announced = [endpointEvent("webhook-endpoint.created", endpoint, now)];
  if (endpoint.format === "ricloud" && endpoint.enabled) announced.push(testEvent(endpoint, now));
  const room = sql`(select count(*) from ${webhookEndpoints}
    where organisation_id = ${endpoint.organisationId}) < ${MOST_ENDPOINTS}`;
  const columns = Object.entries(webhookEndpoints).map(([field, column]) =>
    sql.param(endpoint[field as keyof WebhookEndpoint], column),
  );
  const { stored } = await runBatch(db, {
    events: events.insertion(announced, room),
    stored: db
      .insert(webhookEndpoints)
      .select(sql`select ${sql.join(columns, sql`, `)} where ${room}`)
      .returning(),
  });
  if (!stored[0]) return null;
  events.announce(announced);
  return stored[0];
}

/** Has an endpoint tried out through the queue. */
export async function queueTest(
  { db, events }: ChangeStore,
  endpoint: WebhookEndpoint,
  now: number,
): Promise<void> {
  const test = testEvent(endpoint, now);
  await db.batch(events.insertion([test]));
  events.announce([test]);
}

/**
 * Changes an endpoint. Another address has to be tried again; one that is enabled again begins anew.
 * Null when there is none.
 */
export function updateEndpoint(
  deps: ChangeStore,
  organisationId: number,
  id: string,
  change: EndpointChange,
  now: number,
): Promise<WebhookEndpoint | null> {
  return alter(deps, organisationId, id, now, "webhook-endpoint.updated", (endpoint) => ({
    ...change,
    ...(change.url !== undefined && change.url !== endpoint.url
      ? { valid: null, failingSince: null }
      : {}),
    ...(change.enabled ? { disabledReason: null, failingSince: null } : {}),
  }));
}

/** Gives an endpoint a new secret; the others sign on for the grace, in milliseconds. Null: there is none. */
export function rotateEndpointSecret(
  deps: ChangeStore,
  organisationId: number,
  id: string,
  graceMs: number,
  now: number,
): Promise<WebhookEndpoint | null> {
  return alter(deps, organisationId, id, now, "webhook-endpoint.updated", (endpoint) => {
    const { version, previous } = rotateSecret(secretVersions(endpoint), graceMs, now);
    return { secretVersion: version, previousSecrets: [...previous] };
  });
}

/** Disables an endpoint, if it is enabled and `still` holds for it. */
export async function disableEndpoint(
  deps: ChangeStore,
  organisationId: number,
  id: string,
  reason: NonNullable<WebhookEndpoint["disabledReason"]>,
  now: number,
  still: (endpoint: WebhookEndpoint) => boolean,
): Promise<void> {
  await alter(deps, organisationId, id, now, "webhook-endpoint.disabled", (endpoint) =>
    endpoint.enabled && still(endpoint) ? { enabled: false, disabledReason: reason } : null,
  );
}

/**
 * Removes an endpoint, and returns it as it was. What is still owed to it is dropped. Null: there is none.
 * @throws ChangedMeanwhile
 */
export async function deleteEndpoint(
  { db, events }: ChangeStore,
  organisationId: number,
  id: string,
  now: number,
): Promise<WebhookEndpoint | null> {
  return retryChange(`the webhook endpoint ${id}`, async () => {
    const endpoint = await findEndpoint(db, organisationId, id);
    if (!endpoint) return null;
    const gone = { ...endpoint, version: endpoint.version + 1 };
    const announced = [endpointEvent("webhook-endpoint.deleted", gone, now)];
    const { deleted } = await runBatch(db, {
      events: events.insertion(announced, isStill(endpoint)),
      deleted: db.delete(webhookEndpoints).where(isUnchangedEndpoint(endpoint)).returning(),
    });
    if (!deleted[0]) return undefined;
    events.announce(announced);
    return deleted[0];
  });
}

/**
 * Makes a change of the endpoint as it is, with its event; `plan` says null where nothing is to be done.
 * @throws ChangedMeanwhile
 */
async function alter(
  { db, events }: ChangeStore,
  organisationId: number,
  id: string,
  now: number,
  type: EventType,
  plan: (endpoint: WebhookEndpoint) => Partial<WebhookEndpoint> | null,
): Promise<WebhookEndpoint | null> {
  return retryChange(`the webhook endpoint ${id}`, async () => {
    const endpoint = await findEndpoint(db, organisationId, id);
    const change = endpoint ? plan(endpoint) : null;
    if (!endpoint || !change || Object.keys(change).length === 0) return endpoint;
    const changed = { ...endpoint, ...change, version: endpoint.version + 1 };
    const announced = [endpointEvent(type, changed, now)];
    const { updated } = await runBatch(db, {
      events: events.insertion(announced, isStill(endpoint)),
      updated: db
        .update(webhookEndpoints)
        .set({ ...change, version: changed.version })
        .where(isUnchangedEndpoint(endpoint))
        .returning(),
    });
    if (!updated[0]) return undefined;
    events.announce(announced);
    return updated[0];
  });
}

function endpointEvent(
  type: EventType,
  endpoint: WebhookEndpoint,
  now: number,
): DomainEvent<EndpointEventData> {
  const { organisationId } = endpoint;
  return { id: newEventId(now), organisationId, type, at: now, data: { endpoint } };
}

/** The same as a condition of other statements. */
function isStill(endpoint: WebhookEndpoint): SQL {
  return sql`exists (select 1 from ${webhookEndpoints} where ${isUnchangedEndpoint(endpoint)})`;
}
