/** Webhook endpoints in D1: reads, and what is written without a new version of the endpoint. */
import { and, desc, eq, gt, isNull, lt, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { organisations } from "../db/schema/organisations";
import { webhookEndpoints } from "../db/schema/webhooks";
import type { SecretVersions } from "../outbound/signing-secrets";
import type { WebhookEndpoint } from "./endpoint";
import type { ListeningEndpoint } from "./fan-out";

/** Which page of the list, newest first: behind the id `after`, and in front of the id `before`. */
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

/** An endpoint of an organisation, with the organisation's own secrets (null: it was deleted), in one read. */
export async function findEndpointToTest(
  db: Database,
  organisationId: number,
  id: string,
): Promise<{ endpoint: WebhookEndpoint; organisationSecrets: SecretVersions | null } | null> {
  const known = endpointsToTest.get(db) ?? prepareEndpointToTest(db);
  endpointsToTest.set(db, known);
  const row = await known.get({ organisationId, id });
  if (!row) return null;
  const { version, previous, endpoint } = row;
  const organisationSecrets = version === null || previous === null ? null : { version, previous };
  return { endpoint, organisationSecrets };
}

/** Prepared once: building the SQL would take as long as running it. */
const endpointsToTest = new WeakMap<Database, ReturnType<typeof prepareEndpointToTest>>();

function prepareEndpointToTest(db: Database) {
  return db
    .select({
      endpoint: webhookEndpoints,
      version: organisations.webhookSecretVersion,
      previous: organisations.previousWebhookSecrets,
    })
    .from(webhookEndpoints)
    .leftJoin(
      organisations,
      and(eq(organisations.id, webhookEndpoints.organisationId), isNull(organisations.deletedAt)),
    )
    .where(
      and(
        eq(webhookEndpoints.organisationId, sql.placeholder("organisationId")),
        eq(webhookEndpoints.id, sql.placeholder("id")),
      ),
    )
    .prepare();
}

/** A page of an organisation's endpoints, newest first, and one endpoint more if the list goes on. */
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

/** Records whether a test delivery arrived. */
export async function setEndpointValid(
  db: Database,
  endpoint: Pick<WebhookEndpoint, "organisationId" | "id" | "url">,
  valid: boolean,
): Promise<void> {
  await db.update(webhookEndpoints).set({ valid }).where(isAtAddress(endpoint));
}

/** Records since when the endpoint fails (Unix milliseconds); null: it works again. */
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

/** The endpoints of an organisation that are enabled. */
export async function findListeningEndpoints(
  db: Database,
  organisationId: number,
): Promise<ListeningEndpoint[]> {
  return db
    .select({
      id: webhookEndpoints.id,
      url: webhookEndpoints.url,
      format: webhookEndpoints.format,
      eventTypes: webhookEndpoints.eventTypes,
    })
    .from(webhookEndpoints)
    .where(
      and(eq(webhookEndpoints.organisationId, organisationId), eq(webhookEndpoints.enabled, true)),
    );
}

/** Removes all endpoints of a deleted organisation. */
export async function removeEndpoints(db: Database, organisationId: number): Promise<void> {
  await db.delete(webhookEndpoints).where(eq(webhookEndpoints.organisationId, organisationId));
}

function isEndpoint(organisationId: number, id: string) {
  return and(eq(webhookEndpoints.organisationId, organisationId), eq(webhookEndpoints.id, id));
}

/** The condition that a row is this endpoint and still has this address. */
function isAtAddress({
  organisationId,
  id,
  url,
}: Pick<WebhookEndpoint, "organisationId" | "id" | "url">) {
  return and(isEndpoint(organisationId, id), eq(webhookEndpoints.url, url));
}

/**
 * The condition that an endpoint has not changed since it was read. `failingSince` is compared as well,
 * because it changes without a new version.
 */
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
