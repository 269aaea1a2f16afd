/** The list of an organisation's events, with what has become of their deliveries. */
import { and, eq, gt, gte, inArray, lt, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { events } from "../db/schema";
import type { DomainEvent } from "./event";
import { firstIdAt } from "./store";

/** What has become of an event's deliveries. Times are Unix milliseconds. */
export interface DeliveryState {
  /** `pending` also where nobody was to be told. */
  state: "pending" | "delivered" | "failed";
  /** Attempts after the first one. */
  retries: number;
  deliveredAt: number | null;
}

export type ListedEvent = DomainEvent & { delivery: DeliveryState };

/** What a list of events can be narrowed to. */
export interface EventFilter {
  /** The part of the type before its first dot. */
  subject: string | undefined;
  /** The part behind it. */
  action: string | undefined;
  state: DeliveryState["state"] | undefined;
  /** Half-open; null: no bound. */
  created: { from: number | null; until: number | null };
}

// A delivery's id begins with the event's: those of one event are a range of the key.
const ofEvent = sql`from deliveries d where d.organisation_id = ${events.organisationId}
  and d.id > 'whd_' || replace(${events.id}, '-', '') || '_'
  and d.id < 'whd_' || replace(${events.id}, '-', '') || '\`'`;

const deliveryState = sql<DeliveryState["state"]>`(select case
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
export async function findListedEvent(
  db: Database,
  organisationId: number,
  id: string,
): Promise<ListedEvent | null> {
  const rows = await db
    .select(columns)
    .from(events)
    .where(and(eq(events.organisationId, organisationId), eq(events.id, id)));
  return rows[0] ? toListed(rows[0]) : null;
}

/** So many events are tested for one page, where more than the moment is asked for. */
export const SCAN = 2_000;

/** A page of events, newest first, and one more where there are more. */
export interface EventPage {
  events: ListedEvent[];
  /** The last event that was looked at, where that ended the page before it was full. */
  stoppedAt: string | null;
}

/**
 * A page of events. The moment is found by the key; the other filters are tested on one event after
 * the other, on `SCAN` of them at most.
 */
export async function listEvents(
  db: Database,
  organisationId: number,
  filter: EventFilter,
  range: { after: string | null; before: string | null; limit: number },
): Promise<EventPage> {
  const { subject, action, state, created } = filter;
  const place = and(
    eq(events.organisationId, organisationId),
    range.after === null ? undefined : lt(events.id, range.after),
    range.before === null ? undefined : gt(events.id, range.before),
    created.from === null ? undefined : gte(events.id, firstIdAt(created.from)),
    created.until === null ? undefined : lt(events.id, firstIdAt(created.until)),
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
  const newest = sql`${events.id} desc`;
  const scanned = sql`(select id from (select * from ${events} where ${place} order by ${newest}
    limit ${SCAN}) as ${events} where ${tests} order by ${newest} limit ${range.limit + 1})`;
  const isFound = and(eq(events.organisationId, organisationId), inArray(events.id, scanned));
  const rows = await db
    .select(columns)
    .from(events)
    .where(tests ? isFound : place)
    .orderBy(newest)
    .limit(range.limit + 1);
  const found = rows.map(toListed);
  if (!tests || found.length > range.limit) return { events: found, stoppedAt: null };
  const end = db.select({ id: events.id }).from(events).where(place).orderBy(newest);
  const [last] = await end.limit(1).offset(SCAN - 1);
  if (!last) return { events: found, stoppedAt: null };
  // Newer events may have come meanwhile: what is behind the end is for the next page then.
  return { events: found.filter(({ id }) => id >= last.id), stoppedAt: last.id };
}

function toListed(row: {
  organisationId: number;
  id: string;
  type: DomainEvent["type"];
  at: number;
  data: string;
  state: DeliveryState["state"];
  retries: number;
  deliveredAt: number | null;
}): ListedEvent {
  const { state, retries, deliveredAt, data, ...event } = row;
  return { ...event, data: JSON.parse(data), delivery: { state, retries, deliveredAt } };
}
