/**
 * Webhook endpoints in D1: who wants to hear of an organisation's events. Each change is an event, in
 * the transaction of the change; a change that was made from another version is made again.
 */
import { and, desc, eq, gt, inArray, lt, type SQL, sql } from "drizzle-orm";
import { ChangedMeanwhile, type Database } from "../db/open";
import { webhookEndpoints } from "../db/schema";
import { type DomainEvent, type EndpointEventData, newEventId } from "../events/event";
import type { EventOutbox } from "../events/outbox";
import type { EventType } from "../events/types";
import { MOST_ENDPOINTS, secretVersions, type WebhookEndpoint } from "./endpoint";
import { rotate } from "./secrets";

/** How often a change is made again when others come between, before it is given up. */
const MOST_TRIES = 10;

/** What changes of endpoints stand on. */
export interface EndpointDeps {
  db: Database;
  events: EventOutbox;
}

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

/** Where a list of endpoints goes on: after one id and before another, from the newest. */
export interface EndpointRange {
  after: string | null;
  before: string | null;
  limit: number;
}

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
  { db, events }: EndpointDeps,
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
  const [, , stored] = await db.batch([
    ...events.insertion(announced, room),
    db
      .insert(webhookEndpoints)
      .select(sql`select ${sql.join(columns, sql`, `)} where ${room}`)
      .returning(),
  ]);
  if (!stored[0]) return null;
  events.announce(announced);
  return stored[0];
}

/** Has an endpoint tried out through the queue. */
export async function queueTest(
  { db, events }: EndpointDeps,
  endpoint: WebhookEndpoint,
  now: number,
): Promise<void> {
  const test = testEvent(endpoint, now);
  await db.batch(events.insertion([test]));
  events.announce([test]);
}

/** An endpoint of an organisation. */
export async function findEndpoint(
  db: Database,
  organisationId: number,
  id: string,
): Promise<WebhookEndpoint | null> {
  const rows = await db.select().from(webhookEndpoints).where(isEndpoint(organisationId, id));
  return rows[0] ?? null;
}

/** A page of an organisation's endpoints, newest first, and one more where there are more. */
export async function listEndpoints(
  db: Database,
  organisationId: number,
  format: WebhookEndpoint["format"] | null,
  { after, before, limit }: EndpointRange,
): Promise<WebhookEndpoint[]> {
  return db
    .select()
    .from(webhookEndpoints)
    .where(
      and(
        eq(webhookEndpoints.organisationId, organisationId),
        format === null ? undefined : eq(webhookEndpoints.format, format),
        after === null ? undefined : lt(webhookEndpoints.id, after),
        before === null ? undefined : gt(webhookEndpoints.id, before),
      ),
    )
    .orderBy(desc(webhookEndpoints.id))
    .limit(limit + 1);
}

/**
 * Changes an endpoint. Another address has to be tried again; one that is enabled again begins anew.
 * Null when there is none.
 */
export function updateEndpoint(
  deps: EndpointDeps,
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
  deps: EndpointDeps,
  organisationId: number,
  id: string,
  graceMs: number,
  now: number,
): Promise<WebhookEndpoint | null> {
  return alter(deps, organisationId, id, now, "webhook-endpoint.updated", (endpoint) => {
    const { version, previous } = rotate(secretVersions(endpoint), graceMs, now);
    return { secretVersion: version, previousSecrets: [...previous] };
  });
}

/** Disables an endpoint, if it is enabled and `still` holds for it. */
export async function disableEndpoint(
  deps: EndpointDeps,
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
  { db, events }: EndpointDeps,
  organisationId: number,
  id: string,
  now: number,
): Promise<WebhookEndpoint | null> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const endpoint = await findEndpoint(db, organisationId, id);
    if (!endpoint) return null;
    const gone = { ...endpoint, version: endpoint.version + 1 };
    const announced = [endpointEvent("webhook-endpoint.deleted", gone, now)];
    const [, , deleted] = await db.batch([
      ...events.insertion(announced, isStill(endpoint)),
      db.delete(webhookEndpoints).where(isUnchanged(endpoint)).returning(),
    ]);
    if (!deleted[0]) continue;
    events.announce(announced);
    return deleted[0];
  }
  throw new ChangedMeanwhile(id);
}

/** Notes what a test delivery has found. */
export async function setEndpointValid(
  db: Database,
  endpoint: Pick<WebhookEndpoint, "organisationId" | "id" | "url">,
  valid: boolean,
): Promise<void> {
  await db.update(webhookEndpoints).set({ valid }).where(isAtAddress(endpoint));
}

/** Notes since when nothing arrives; null: something did. */
export async function setFailingSince(
  db: Database,
  endpoint: Pick<WebhookEndpoint, "organisationId" | "id" | "url">,
  failingSince: number | null,
): Promise<void> {
  await db
    .update(webhookEndpoints)
    .set({ failingSince })
    .where(
      and(isAtAddress(endpoint), sql`(failing_since is null) = ${failingSince === null ? 0 : 1}`),
    );
}

/** The endpoints of these organisations that are to hear of events. */
export async function findListening(
  db: Database,
  organisationIds: readonly number[],
): Promise<Pick<WebhookEndpoint, "organisationId" | "id" | "url" | "format" | "eventTypes">[]> {
  const ids = sql`(select value from json_each(${JSON.stringify([...new Set(organisationIds)])}))`;
  return db
    .select({
      organisationId: webhookEndpoints.organisationId,
      id: webhookEndpoints.id,
      url: webhookEndpoints.url,
      format: webhookEndpoints.format,
      eventTypes: webhookEndpoints.eventTypes,
    })
    .from(webhookEndpoints)
    .where(and(inArray(webhookEndpoints.organisationId, ids), eq(webhookEndpoints.enabled, true)));
}

/** Removes all endpoints of a deleted organisation. */
export async function removeEndpoints(db: Database, organisationId: number): Promise<void> {
  await db.delete(webhookEndpoints).where(eq(webhookEndpoints.organisationId, organisationId));
}

/**
 * Makes a change of the endpoint as it is, with its event; `plan` says null where nothing is to be done.
 * @throws ChangedMeanwhile
 */
async function alter(
  { db, events }: EndpointDeps,
  organisationId: number,
  id: string,
  now: number,
  type: EventType,
  plan: (endpoint: WebhookEndpoint) => Partial<WebhookEndpoint> | null,
): Promise<WebhookEndpoint | null> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const endpoint = await findEndpoint(db, organisationId, id);
    const change = endpoint ? plan(endpoint) : null;
    if (!endpoint || !change || Object.keys(change).length === 0) return endpoint;
    const changed = { ...endpoint, ...change, version: endpoint.version + 1 };
    const announced = [endpointEvent(type, changed, now)];
    const [, , updated] = await db.batch([
      ...events.insertion(announced, isStill(endpoint)),
      db
        .update(webhookEndpoints)
        .set({ ...change, version: changed.version })
        .where(isUnchanged(endpoint))
        .returning(),
    ]);
    if (!updated[0]) continue;
    events.announce(announced);
    return updated[0];
  }
  throw new ChangedMeanwhile(id);
}

function endpointEvent(
  type: EventType,
  endpoint: WebhookEndpoint,
  now: number,
): DomainEvent<EndpointEventData> {
  const { organisationId } = endpoint;
  return { id: newEventId(now), organisationId, type, at: now, data: { endpoint } };
}

function isEndpoint(organisationId: number, id: string) {
  return and(eq(webhookEndpoints.organisationId, organisationId), eq(webhookEndpoints.id, id));
}

/** The endpoint, while it has this address: what was found at another is not noted for it. */
function isAtAddress({
  organisationId,
  id,
  url,
}: Pick<WebhookEndpoint, "organisationId" | "id" | "url">) {
  return and(isEndpoint(organisationId, id), eq(webhookEndpoints.url, url));
}

/** Also in what is noted without a new version: something may have arrived meanwhile. */
function isUnchanged({ organisationId, id, version, failingSince }: WebhookEndpoint) {
  return and(
    isEndpoint(organisationId, id),
    eq(webhookEndpoints.version, version),
    sql`failing_since is ${failingSince}`,
  );
}

/** The same as a condition of other statements. */
function isStill(endpoint: WebhookEndpoint): SQL {
  return sql`exists (select 1 from ${webhookEndpoints} where ${isUnchanged(endpoint)})`;
}
