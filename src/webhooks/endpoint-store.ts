/**
 * Webhook endpoints in D1: who wants to hear of an organisation's events. Each change is an event, in
 * the transaction of the change; a change that was made from another version is made again.
 */
import { and, desc, eq, gt, inArray, lt, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { webhookEndpoints } from "../db/schema/webhooks";
import type { WebhookEndpoint } from "./endpoint";

/** Where a list of endpoints goes on: after one id and before another, from the newest. */
export interface EndpointRange {
  after: string | null;
  before: string | null;
  limit: number;
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
export async function findListeningEndpoints(
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
export function isUnchangedEndpoint({
  organisationId,
  id,
  version,
  failingSince,
}: WebhookEndpoint) {
  return and(
    isEndpoint(organisationId, id),
    eq(webhookEndpoints.version, version),
    sql`failing_since is ${failingSince}`,
  );
}
