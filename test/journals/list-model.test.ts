/**
 * Lists against a model: each row once, newest first, whatever arrives between the pages, with every filter,
 * over days, borders of days and gaps, in however many journals a day is spread.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Answer, call, type Tenant } from "../support/client";
import { storeRecords } from "../support/journals";
import { type Made, make, organisationWith, STATUSES, TYPES } from "../support/made-records";
import { DELIVERIES, EVENTS } from "../support/webhooks";

const DAY_MS = 86_400_000;

/** A list with its filters, and what a model says of it. */
interface List {
  /** With its query, if only an empty one. */
  path: string;
  /** Which ids of a record it shows. */
  idsOf: (made: Made) => string[];
}

const isoOf = (at: number) => new Date(at).toISOString();
const today = () => Math.floor(Date.now() / DAY_MS) * DAY_MS;
/** Few moments, so that some events have the same one, and borders of days and of filters among them. */
const moments = fc
  .tuple(fc.integer({ min: 0, max: 12 }), fc.constantFrom(-1, 0, 1, 1_000))
  .map(([days, offset]) => today() - days * DAY_MS + offset);
/** Those that are whole seconds. */
const seconds = moments.map((at) => Math.ceil(at / 1_000) * 1_000);
/** Null: the query has no such filter. Many pages must have rows, so few filters fit nothing. */
const maybe = <T>(values: readonly T[]) => fc.option(fc.constantFrom(...values), { freq: 2 });
const queryOf = (filters: Record<string, string | null>) =>
  new URLSearchParams(Object.entries(filters).filter(([, value]) => value !== null) as never);

/** As ricloud's format shows an event's deliveries together. */
function stateOf({ deliveries }: Made): string {
  const all = deliveries.map(({ status }) => status);
  if (all.length === 0 || all.includes("pending")) return "pending";
  return all.every((status) => status === "delivered") ? "delivered" : "failed";
}

const events: fc.Arbitrary<List> = fc
  .record({
    type: maybe([...TYPES, ...TYPES, "connection.*", "key.*"]),
    since: fc.option(moments, { freq: 3 }),
  })
  .map(({ type, since }) => ({
    path: `${EVENTS}?${queryOf({ type, since: since === null ? null : isoOf(since) })}`,
    idsOf: ({ event }) =>
      (type === null || type === event.type || type === "connection.*") &&
      (since === null || event.at >= since)
        ? [event.id]
        : [],
  }));

const ricloudEvents: fc.Arbitrary<List> = fc
  .record({
    type: maybe(["connection", "connection", "connection", "session"]),
    action: maybe(["created", "deleted"]),
    state: maybe(["pending", "delivered", "failed"]),
    bound: fc.option(fc.tuple(fc.constantFrom("gte", "lt"), seconds), { freq: 3 }),
  })
  .map(({ type, action, state, bound }) => {
    const [order, at = 0] = bound ?? [];
    const date = order ? { [`date_created[${order}]`]: isoOf(at).replace(".000", "") } : {};
    return {
      path: `/events?${queryOf({ type, action, state, ...date })}`,
      idsOf: (made) =>
        type !== "session" &&
        (action === null || made.event.type.endsWith(action)) &&
        (state === null || stateOf(made) === state) &&
        (order === undefined || (order === "lt" ? made.event.at < at : made.event.at >= at))
          ? [made.event.id]
          : [],
    };
  });

const deliveries: fc.Arbitrary<List> = fc
  .record({
    status: maybe(STATUSES),
    endpoint: maybe(["whe_0", "whe_1", "whe_9"]),
    event_type: maybe([...TYPES, "connection.*"]),
  })
  .map((filters) => {
    const { status, endpoint, event_type: type } = filters;
    return {
      path: `${DELIVERIES}?${queryOf(filters)}`,
      idsOf: ({ event, deliveries }) =>
        deliveries
          .filter(
            (one) =>
              (status === null || one.status === status) &&
              (endpoint === null || one.endpointId === endpoint) &&
              (type === null || type === event.type || type === "connection.*"),
          )
          .map(({ id }) => id),
    };
  });

const record = fc.record({
  at: moments,
  type: fc.constantFrom(...TYPES),
  statuses: fc.array(fc.constantFrom(...STATUSES), { maxLength: 10 }),
});

/** The cursor after a page, of both formats; null: the list is over. */
function cursorOf(path: string, body: Answer["body"]): string | null {
  if (!path.startsWith("/events")) return body.next_cursor;
  return body.has_more ? (body.next_after_id ?? body.data.at(-1).id) : null;
}

/** Walks through a list; after each page, something else is recorded. */
async function walk(
  { key }: Tenant,
  path: string,
  arrives: (cursor: string) => Promise<void>,
): Promise<string[]> {
  const found: string[] = [];
  const name = path.startsWith("/events") ? "after_id" : "cursor";
  let query = "";
  for (let pages = 0; pages < 500; pages++) {
    const { status, body, text } = await call("GET", path + query, { key });
    expect(status, text).toBe(200);
    found.push(...body.data.map(({ id }: { id: string }) => id));
    const cursor = cursorOf(path, body);
    if (cursor === null) return found;
    query = `&${name}=${cursor}`;
    await arrives(cursor);
  }
  throw new Error("the list never ends");
}

test.each([
  ["/v1/events", events],
  ["ricloud's /events", ricloudEvents],
  ["deliveries", deliveries],
])(
  "pages of %s show what is there once and in order, and of what arrives meanwhile what is behind the page",
  async (_, lists) => {
    let [shown, hidden] = [0, 0];
    // By chance a round has no arrival in one of the places: then there is another one.
    for (let round = 0; round < 10 && Math.min(shown, hidden) === 0; round++) {
      await fc.assert(
        fc.asyncProperty(
          lists,
          fc.array(record, { maxLength: 25, size: "max" }),
          fc.array(record, { minLength: 1, maxLength: 12, size: "max" }),
          fc.integer({ min: 1, max: 4 }),
          fc.integer({ min: 1, max: 6 }),
          async ({ path, idsOf }, first, arriving, count, limit) => {
            const tenant = await organisationWith(count);
            const toMade = ({ at, type, statuses }: (typeof first)[number]) =>
              make(tenant, at, type, statuses);
            const model = first.map(toMade);
            await storeRecords(tenant.id, model);
            const expected = model.flatMap(idsOf);
            const later = arriving.map(toMade);
            const found = await walk(tenant, `${path}&limit=${limit}`, async (cursor) => {
              const one = later.shift();
              if (!one) return;
              await storeRecords(tenant.id, [one]);
              const behind = idsOf(one).filter((id) => id < cursor);
              expected.push(...behind);
              shown += behind.length;
              hidden += idsOf(one).length - behind.length;
            });
            expect(found).toEqual(expected.toSorted().toReversed());
          },
        ),
        { numRuns: 25 },
      );
    }
    // Things did arrive in both places.
    expect(Math.min(shown, hidden)).toBeGreaterThan(0);
  },
  300_000,
);
