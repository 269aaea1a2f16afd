/** Deliveries as the API shows them: one, and a list. */
import { and, between, desc, eq, lt, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { type ScannedPage, type ScanQuery, scanPage } from "../db/scan";
import { deliveries } from "../db/schema/webhooks";
import { eventTypeCondition } from "../events/event-store";
import {
  type DeliveryKey,
  type DeliveryStatus,
  deliveriesOf,
  type StoredDelivery,
} from "./delivery";
import { deliveryFromRow } from "./delivery-store";

/** The filters of a list of deliveries, and where the page begins. Null: no filter. */
export interface DeliveryQuery {
  /** Deliveries of one event: a range of the key. */
  eventId: string | null;
  endpointId: string | null;
  /** The name of a type of events, or the beginning of one with `.*` behind it. */
  pattern: string | null;
  status: DeliveryStatus | null;
  /** Only ids below. */
  below: string | null;
  limit: number;
}

/** A delivery of an organisation. */
export async function findDelivery(
  db: Database,
  { organisationId, id }: DeliveryKey,
): Promise<StoredDelivery | null> {
  const rows = await db
    .select()
    .from(deliveries)
    .where(and(eq(deliveries.organisationId, organisationId), eq(deliveries.id, id)));
  return rows[0] ? deliveryFromRow(rows[0]) : null;
}

/** A page of an organisation's deliveries, those of the newest events first. */
export function listDeliveries(
  db: Database,
  organisationId: number,
  { eventId, endpointId, pattern, status, below, limit }: DeliveryQuery,
): Promise<ScannedPage<StoredDelivery>> {
  const inOrganisation = eq(deliveries.organisationId, organisationId);
  // Deliveries that did not arrive have an index. SQLite uses it only if the query repeats its condition.
  const undelivered = status === "failed" || status === "discarded";
  const scan: ScanQuery = {
    table: deliveries,
    indexedBy: undelivered ? sql`deliveries_undelivered` : undefined,
    range: and(
      inOrganisation,
      below === null ? undefined : lt(deliveries.id, below),
      eventId === null ? undefined : between(deliveries.id, ...deliveriesOf(eventId)),
      undelivered ? sql`status in ('failed', 'discarded')` : undefined,
    ),
    tests: and(
      status === null ? undefined : eq(deliveries.status, status),
      endpointId === null ? undefined : eq(deliveries.endpointId, endpointId),
      pattern === null ? undefined : eventTypeCondition(deliveries.eventType, pattern),
    ),
    limit,
  };
  return scanPage(db, scan, async (where, most) => {
    const rows = await db
      .select()
      .from(deliveries)
      .where(and(inOrganisation, where))
      .orderBy(desc(deliveries.id))
      .limit(most);
    return rows.map(deliveryFromRow);
  });
}
