/**
 * Changes of webhook endpoints. Each change is stored in one transaction with its event. Where somebody
 * else changed the endpoint in between, the change is decided again from the new state.
 */
import { type SQL, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import { retryChange } from "../db/retry";
import { webhookEndpoints } from "../db/schema/webhooks";
import { type DomainEvent, newEventId } from "../events/event";
import type { ChangeStore, EventOutbox } from "../events/event-outbox";
import type { EventType } from "../events/event-types";
import { rotateSecret } from "../outbound/signing-secrets";
import {
  type EndpointEventData,
  MAX_ENDPOINTS,
  secretVersions,
  type WebhookEndpoint,
} from "./endpoint";
import { findEndpoint, isUnchangedEndpoint } from "./endpoint-store";

/** Which endpoint. */
export type EndpointKey = Pick<WebhookEndpoint, "organisationId" | "id">;

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

/** The event that tests an endpoint. It goes to no other endpoint. */
export function testEvent(endpoint: WebhookEndpoint, now: number): DomainEvent<EndpointEventData> {
  const type = endpoint.format === "ricloud" ? "webhook_config.test" : "webhook-endpoint.test";
  return endpointEvent(type, endpoint, now);
}

/**
 * Stores a new endpoint; null when the organisation has the most that it may have. An endpoint in
 * ricloud's format is tested at once, as ricloud's clients expect.
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
    // Ids begin with their time, so the order of the key is that of the list.
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
    where organisation_id = ${endpoint.organisationId}) < ${MAX_ENDPOINTS}`;
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
  await announce(events, announced, now);
  return stored[0];
}

/** Has a test event recorded, which goes to this endpoint. */
export async function queueTest(
  { db, events }: ChangeStore,
  endpoint: WebhookEndpoint,
  now: number,
): Promise<void> {
  const test = testEvent(endpoint, now);
  await db.batch(events.insertion([test]));
  events.sendAfterAnswer([test]);
}

/**
 * Changes an endpoint; null when there is none. A new address has to be tested again, and an endpoint
 * that is enabled again has not failed yet.
 * @throws ChangedMeanwhile
 */
export function updateEndpoint(
  store: ChangeStore,
  key: EndpointKey,
  change: EndpointChange,
  now: number,
): Promise<WebhookEndpoint | null> {
  const plan = (endpoint: WebhookEndpoint) => ({
    ...change,
    ...(change.url !== undefined && change.url !== endpoint.url
      ? { valid: null, failingSince: null }
      : {}),
    ...(change.enabled ? { disabledReason: null, failingSince: null } : {}),
  });
  return changeEndpoint(store, key, { type: "webhook-endpoint.updated", plan }, now);
}

/**
 * Gives an endpoint a new secret; null when there is none. The older secrets sign on for the grace, in
 * milliseconds.
 * @throws ChangedMeanwhile
 */
export function rotateEndpointSecret(
  store: ChangeStore,
  key: EndpointKey,
  graceMs: number,
  now: number,
): Promise<WebhookEndpoint | null> {
  const plan = (endpoint: WebhookEndpoint) => {
    const { version, previous } = rotateSecret(secretVersions(endpoint), graceMs, now);
    return { secretVersion: version, previousSecrets: [...previous] };
  };
  return changeEndpoint(store, key, { type: "webhook-endpoint.updated", plan }, now);
}

/** Why an endpoint is to be disabled. */
export interface DisableRequest {
  reason: NonNullable<WebhookEndpoint["disabledReason"]>;
  /** Asked about the endpoint as it is when the change is made. */
  onlyIf: (endpoint: WebhookEndpoint) => boolean;
}

/**
 * Disables an endpoint, if it is enabled and `onlyIf` holds for it.
 * @throws ChangedMeanwhile
 */
export async function disableEndpoint(
  store: ChangeStore,
  key: EndpointKey,
  { reason, onlyIf }: DisableRequest,
  now: number,
): Promise<void> {
  const plan = (endpoint: WebhookEndpoint) =>
    endpoint.enabled && onlyIf(endpoint) ? { enabled: false, disabledReason: reason } : null;
  await changeEndpoint(store, key, { type: "webhook-endpoint.disabled", plan }, now);
}

/**
 * Removes an endpoint, and returns it as it was; null when there is none. Deliveries that wait for it
 * are not sent any more.
 * @throws ChangedMeanwhile
 */
export async function deleteEndpoint(
  { db, events }: ChangeStore,
  { organisationId, id }: EndpointKey,
  now: number,
): Promise<WebhookEndpoint | null> {
  return retryChange(`the webhook endpoint ${id}`, async () => {
    const endpoint = await findEndpoint(db, organisationId, id);
    if (!endpoint) return null;
    const gone = { ...endpoint, version: endpoint.version + 1 };
    const announced = [endpointEvent("webhook-endpoint.deleted", gone, now)];
    const { deleted } = await runBatch(db, {
      events: events.insertion(announced, existsUnchanged(endpoint)),
      deleted: db.delete(webhookEndpoints).where(isUnchangedEndpoint(endpoint)).returning(),
    });
    if (!deleted[0]) return undefined;
    await announce(events, announced, now);
    return deleted[0];
  });
}

/** A change, and the type of the event that tells of it. */
interface PlannedChange {
  type: EventType;
  /** What changes of the endpoint as it is; null: nothing. */
  plan: (endpoint: WebhookEndpoint) => Partial<WebhookEndpoint> | null;
}

async function changeEndpoint(
  { db, events }: ChangeStore,
  { organisationId, id }: EndpointKey,
  { type, plan }: PlannedChange,
  now: number,
): Promise<WebhookEndpoint | null> {
  return retryChange(`the webhook endpoint ${id}`, async () => {
    const endpoint = await findEndpoint(db, organisationId, id);
    const change = endpoint ? plan(endpoint) : null;
    if (!endpoint || !change || Object.keys(change).length === 0) return endpoint;
    const changed = { ...endpoint, ...change, version: endpoint.version + 1 };
    const announced = [endpointEvent(type, changed, now)];
    const { updated } = await runBatch(db, {
      events: events.insertion(announced, existsUnchanged(endpoint)),
      updated: db
        .update(webhookEndpoints)
        .set({ ...change, version: changed.version })
        .where(isUnchangedEndpoint(endpoint))
        .returning(),
    });
    if (!updated[0]) return undefined;
    await announce(events, announced, now);
    return updated[0];
  });
}

/** Tells the journals of today that endpoints have changed, and has the events of the change recorded. */
async function announce(
  events: EventOutbox,
  announced: readonly DomainEvent<EndpointEventData>[],
  now: number,
): Promise<void> {
  const [first] = announced;
  if (first) await events.journals.endpointsChanged(first.organisationId, now);
  events.sendAfterAnswer(announced);
}

function endpointEvent(
  type: EventType,
  endpoint: WebhookEndpoint,
  now: number,
): DomainEvent<EndpointEventData> {
  const { organisationId } = endpoint;
  return { id: newEventId(now), organisationId, type, at: now, data: { endpoint } };
}

/** `isUnchangedEndpoint` as a condition of statements on other tables. */
function existsUnchanged(endpoint: WebhookEndpoint): SQL {
  return sql`exists (select 1 from ${webhookEndpoints} where ${isUnchangedEndpoint(endpoint)})`;
}
