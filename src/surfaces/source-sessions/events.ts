/** The operations of events in ricloud's format. */
import * as z from "zod";
import { findEvent, listEvents } from "../../events/journal-lists";
import { key, type OperationGroup, operation } from "../../http/operation";
import { Refused } from "../../http/request-context";
import { journalsOf } from "../../http/services";
import { EVENT_ID, eventIdForm } from "../shared/id-forms";
import { notFound } from "./errors";
import { ricloudEvent, toRicloudEvent } from "./event-wire";
import { listOf, toList, totalOfOnePage } from "./lists";
import { LISTS, listQuery, textId } from "./queries";

const eventsQuery = listQuery({
  filters: {
    type: z
      .string()
      .optional()
      .meta({ description: "Only about this kind of thing, such as `session`." }),
    action: z.string().optional().meta({ description: "Only of this action, such as `expired`." }),
    state: z
      .enum(["pending", "delivered", "failed"], "must be pending, delivered or failed")
      .optional()
      .meta({ description: "Only those whose deliveries have come so far." }),
  },
  dates: { date_created: "happened" },
  id: textId(EVENT_ID),
});

/** Events, in ricloud's format. */
export const ricloudEvents: OperationGroup = {
  name: "Events (ricloud)",
  description:
    "What happened in your organisation, for clients of ricloud. `/v1/events` shows the same in our format.",
  page: "from-ricloud.md",
  operations: [
    operation({
      id: "listRicloudEvents",
      method: "GET",
      path: "/events",
      caller: key("events:read"),
      summary: "List events, newest first",
      description: LISTS,
      query: eventsQuery,
      answers: { 200: listOf(ricloudEvent, z.string()) },
      example: { query: { type: "session", limit: "10" } },
      async handle(c, { query: { filter, dateRange, page }, caller }) {
        const { type: subject, action, state } = filter;
        const created = dateRange("date_created");
        const { rows, next } = await listEvents(journalsOf(c), caller.organisationId, {
          subject: subject ?? null,
          action: action ?? null,
          state: state ?? null,
          pattern: null,
          since: created.from,
          until: created.until,
          below: page.after,
          above: page.before,
          limit: page.limit,
        });
        const data = rows.map((event) => toRicloudEvent(event, event.delivery));
        const hasMore = next !== null;
        // Where a page is full, its last id already says where the next one begins.
        const stoppedAt = rows.length < page.limit ? next : null;
        const total = totalOfOnePage(data.length, hasMore, page);
        return { status: 200, body: toList("/events", { data, hasMore, total, stoppedAt }) };
      },
    }),
    operation({
      id: "getRicloudEvent",
      method: "GET",
      path: "/events/{id}",
      params: { id: eventIdForm },
      caller: key("events:read"),
      summary: "Show an event",
      description: "`state` says whether its webhooks have arrived.",
      answers: { 200: ricloudEvent },
      refusals: { 404: [notFound.code] },
      example: { params: { id: "01936a1e-7c1c-4c1e-8a51-0d9d9f6f2a10" } },
      async handle(c, { params: { id }, caller }) {
        const event = EVENT_ID.test(id)
          ? await findEvent(journalsOf(c), caller.organisationId, id)
          : null;
        if (!event) throw new Refused(notFound);
        return { status: 200, body: toRicloudEvent(event, event.delivery) };
      },
    }),
  ],
};
