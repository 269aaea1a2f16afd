/** Events with a summary of their deliveries. ricloud's operations show them. */
import { and, desc, eq, gt, gte, lt, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { type ScannedPage, scanPage } from "../db/scan";
import { events } from "../db/schema/events";
import type { DomainEvent } from "./event";
import { eventFromRow, firstEventIdAt } from "./event-store";

/** A summary of an event's deliveries. Times are Unix milliseconds. */
export interface DeliverySummary {
  /** Also `pending` where the event has no deliveries. */
  state: "pending" | "delivered" | "failed";
  /** How many attempts followed the first one, of the delivery that has the most. */
  retries: number;
  deliveredAt: number | null;
}

/** An event and the summary of its deliveries. */
export type EventWithDeliveries = DomainEvent & { delivery: DeliverySummary };

/** The filters of the list. */
export interface EventFilter {
  /** The part of the type before its first dot. */
  subject: string | undefined;
  /** The part after that dot. */
  action: string | undefined;
  state: DeliverySummary["state"] | undefined;
  /** Half-open; null: no bound. */
  created: { from: number | null; until: number | null };
}

// A delivery's id begins with the id of its event, so the deliveries of an event are a range of the key.
const ofEvent = sql`from deliveries d where d.organisation_id = ${events.organisationId}
  and d.id > 'whd_' || replace(${events.id}, '-', '') || '_'
  and d.id < 'whd_' || replace(${events.id}, '-', '') || '\`'`;

const deliveryState = sql<DeliverySummary["state"]>`(select case
  when count(*) = 0 or sum(d.status = 'pending') > 0 then 'pending'
  when sum(d.status in ('failed', 'discarded')) > 0 then 'failed' else 'delivered' end ${ofEvent})`;

const columns = {
  organisationId: events.organisationId,
  id: events.id,
  type: events.type,
  at: events.at,
  data: events.data,
  state: deliveryState,
  retries: sql<number>`(select coalesce(max(max(d.attempt_count - 1, 0)), 0) ${ofEvent})`,
  deliveredAt: sql<
    number | null
  >`(select max(d.attempts ->> '$[#-1].at') ${ofEvent} and d.status = 'delivered')`,
};

/** An event of an organisation. */
export async function findEventWithDeliveries(
  db: Database,
  organisationId: number,
  id: string,
): Promise<EventWithDeliveries | null> {
  const rows = await db
    .select(columns)
    .from(events)
    .where(and(eq(events.organisationId, organisationId), eq(events.id, id)));
  return rows[0] ? toListed(rows[0]) : null;
}

/**
 * A page of events, newest first. The primary key finds the time range. The other filters are tested
 * event by event.
 */
export function listEventsWithDeliveries(
  db: Database,
  organisationId: number,
  filter: EventFilter,
  range: { after: string | null; before: string | null; limit: number },
): Promise<ScannedPage<EventWithDeliveries>> {
  const { subject, action, state, created } = filter;
  const timeRange = and(
    eq(events.organisationId, organisationId),
    range.after === null ? undefined : lt(events.id, range.after),
    range.before === null ? undefined : gt(events.id, range.before),
    created.from === null ? undefined : gte(events.id, firstEventIdAt(created.from)),
    created.until === null ? undefined : lt(events.id, firstEventIdAt(created.until)),
  );
  const tests = and(
    subject === undefined
      ? undefined
      : sql`substr(${events.type}, 1, instr(${events.type} || '.', '.') - 1) = ${subject}`,
    action === undefined
      ? undefined
      : sql`substr(${events.type}, instr(${events.type} || '.', '.') + 1) = ${action}`,
    state === undefined ? undefined : sql`${deliveryState} = ${state}`,
  );
  const scan = { table: events, range: timeRange, tests, limit: range.limit };
  return scanPage(db, scan, async (where, most) => {
    const rows = await db
      .select(columns)
      .from(events)
      .where(and(eq(events.organisationId, organisationId), where))
      .orderBy(desc(events.id))
      .limit(most);
    return rows.map(toListed);
  });
}

function toListed(row: {
  organisationId: number;
  id: string;
  type: string;
  at: number;
  data: string;
  state: DeliverySummary["state"];
  retries: number;
  deliveredAt: number | null;
}): EventWithDeliveries {
  const { state, retries, deliveredAt, ...event } = row;
  return { ...eventFromRow(event), delivery: { state, retries, deliveredAt } };
}
