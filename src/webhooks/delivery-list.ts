/** Deliveries as people look at them. */
import { and, eq, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { SCANNED_ROWS, type ScannedPage, scanPage } from "../db/scan";
import { deliveries } from "../db/schema";
import { likePattern } from "../events/store";
import {
  type DeliveryKey,
  type DeliveryStatus,
  type StoredDelivery,
  toStored,
} from "./delivery-store";

/** What a list of deliveries is narrowed to, and where it goes on. Null: no bound. */
export interface DeliveryQuery {
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
  return rows[0] ? toStored(rows[0]) : null;
}

/** A page of an organisation's deliveries, those of the newest events first. */
export function listDeliveries(
  db: Database,
  organisationId: number,
  { endpointId, pattern, status, below, limit }: DeliveryQuery,
): Promise<ScannedPage<StoredDelivery>> {
  const range: SQL[] = [sql`organisation_id = ${organisationId}`];
  if (below !== null) range.push(sql`id < ${below}`);
  // Those that did not arrive have an index, which says its condition back.
  const undelivered = status === "failed" || status === "discarded";
  if (undelivered) range.push(sql`status in ('failed', 'discarded')`);
  const from = undelivered
    ? sql`${deliveries} indexed by deliveries_undelivered`
    : sql`${deliveries}`;
  const filters: SQL[] = [];
  if (status !== null) filters.push(sql`status = ${status}`);
  if (endpointId !== null) filters.push(sql`endpoint_id = ${endpointId}`);
  if (pattern !== null) filters.push(likePattern(deliveries.eventType, pattern));
  return scanPage(
    limit,
    filters.length === 0
      ? null
      : async () => {
          const rows = await db.all<{ id: string }>(
            sql`select id from ${from} where ${sql.join(range, sql` and `)}
              order by id desc limit 1 offset ${SCANNED_ROWS - 1}`,
          );
          return rows[0]?.id ?? null;
        },
    async (edge, most) => {
      const all = [...range, ...filters];
      if (edge !== null) all.push(sql`id >= ${edge}`);
      const ids = sql`select id from ${from} where ${sql.join(all, sql` and `)}
        order by id desc limit ${most}`;
      const rows = await db
        .select()
        .from(deliveries)
        .where(and(eq(deliveries.organisationId, organisationId), sql`id in (${ids})`))
        .orderBy(sql`id desc`);
      return rows.map(toStored);
    },
  );
}
