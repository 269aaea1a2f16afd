/** Webhook endpoints in D1: who wants to hear of an organisation's events. */
import { and, desc, eq, gt, inArray, lt, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { webhookEndpoints } from "../db/schema";
import { type DomainEvent, newEventId } from "../events/event";
import type { EventOutbox } from "../events/outbox";
import { deriveSecret } from "./signature";

/** The event that tries an endpoint out; it goes to that endpoint alone, once. */
export const TEST_EVENT = "webhook_config.test";

/** A webhook endpoint. Times are Unix milliseconds. */
export type WebhookEndpoint = typeof webhookEndpoints.$inferSelect;

/** What signs what goes to an endpoint. */
export function endpointSecret(
  rootSecret: string,
  { id, secretVersion }: Pick<WebhookEndpoint, "id" | "secretVersion">,
): string {
  return deriveSecret(rootSecret, `endpoint/${id}`, secretVersion);
}

/** Stores a new endpoint, and has it tried out. */
export async function createEndpoint(
  db: Database,
  outbox: EventOutbox,
  input: Pick<WebhookEndpoint, "organisationId" | "url" | "format" | "origin" | "enabled">,
  now: number,
): Promise<WebhookEndpoint> {
  const endpoint: WebhookEndpoint = {
    ...input,
    // Ids begin with their time: the key is also the order of the list.
    id: `whe_${newEventId(now).replaceAll("-", "")}`,
    valid: null,
    secretVersion: 1,
    createdAt: now,
  };
  const test = testOf(endpoint, now);
  await db.batch([db.insert(webhookEndpoints).values(endpoint), ...outbox.insertion([test])]);
  outbox.announce([test]);
  return endpoint;
}

/** Has an endpoint tried out; null when there is none. */
export async function testEndpoint(
  db: Database,
  outbox: EventOutbox,
  organisationId: number,
  id: string,
  now: number,
): Promise<WebhookEndpoint | null> {
  const endpoint = await findEndpoint(db, organisationId, id);
  if (!endpoint) return null;
  const test = testOf(endpoint, now);
  await db.batch(outbox.insertion([test]));
  outbox.announce([test]);
  return endpoint;
}

export async function findEndpoint(
  db: Database,
  organisationId: number,
  id: string,
): Promise<WebhookEndpoint | null> {
  const rows = await db.select().from(webhookEndpoints).where(isEndpoint(organisationId, id));
  return rows[0] ?? null;
}

/** A page of an organisation's endpoints of a format, newest ids first. */
export async function listEndpoints(
  db: Database,
  organisationId: number,
  format: WebhookEndpoint["format"],
  range: { after: string | null; before: string | null; limit: number },
): Promise<WebhookEndpoint[]> {
  const { after, before, limit } = range;
  return db
    .select()
    .from(webhookEndpoints)
    .where(
      and(
        eq(webhookEndpoints.organisationId, organisationId),
        eq(webhookEndpoints.format, format),
        after === null ? undefined : lt(webhookEndpoints.id, after),
        before === null ? undefined : gt(webhookEndpoints.id, before),
      ),
    )
    .orderBy(desc(webhookEndpoints.id))
    .limit(limit + 1);
}

/** Changes an endpoint; another address has to be tried again. Null when there is none. */
export async function updateEndpoint(
  db: Database,
  organisationId: number,
  id: string,
  change: Partial<Pick<WebhookEndpoint, "url" | "enabled" | "valid">>,
): Promise<WebhookEndpoint | null> {
  if (Object.keys(change).length === 0) return findEndpoint(db, organisationId, id);
  const rows = await db
    .update(webhookEndpoints)
    .set({ ...change, ...(change.url === undefined ? {} : { valid: null }) })
    .where(isEndpoint(organisationId, id))
    .returning();
  return rows[0] ?? null;
}

/** Removes an endpoint, and returns it as it was. What is still owed to it is dropped. */
export async function deleteEndpoint(
  db: Database,
  organisationId: number,
  id: string,
): Promise<WebhookEndpoint | null> {
  const rows = await db.delete(webhookEndpoints).where(isEndpoint(organisationId, id)).returning();
  return rows[0] ?? null;
}

/** Notes what a test delivery has found. */
export async function setEndpointValid(
  db: Database,
  organisationId: number,
  id: string,
  valid: boolean,
): Promise<void> {
  await db.update(webhookEndpoints).set({ valid }).where(isEndpoint(organisationId, id));
}

/** The endpoints of these organisations that are to hear of events. */
export async function findListening(
  db: Database,
  organisationIds: readonly number[],
): Promise<Pick<WebhookEndpoint, "organisationId" | "id" | "url" | "format">[]> {
  const ids = sql`(select value from json_each(${JSON.stringify([...new Set(organisationIds)])}))`;
  return db
    .select({
      organisationId: webhookEndpoints.organisationId,
      id: webhookEndpoints.id,
      url: webhookEndpoints.url,
      format: webhookEndpoints.format,
    })
    .from(webhookEndpoints)
    .where(and(inArray(webhookEndpoints.organisationId, ids), eq(webhookEndpoints.enabled, true)));
}

/** Removes all endpoints of a deleted organisation. */
export async function removeEndpoints(db: Database, organisationId: number): Promise<void> {
  await db.delete(webhookEndpoints).where(eq(webhookEndpoints.organisationId, organisationId));
}

function testOf(endpoint: WebhookEndpoint, now: number): DomainEvent {
  const { organisationId } = endpoint;
  return { id: newEventId(now), organisationId, type: TEST_EVENT, at: now, data: { endpoint } };
}

function isEndpoint(organisationId: number, id: string) {
  return and(eq(webhookEndpoints.organisationId, organisationId), eq(webhookEndpoints.id, id));
}
