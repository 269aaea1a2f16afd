/** The operations of events on `/v1`, for services that missed a webhook or have no endpoint. */
import * as z from "zod";
import { findEvent, listEvents } from "../../events/journal-lists";
import { key, type OperationGroup, operation } from "../../http/operation";
import { pageCursor, pageLimit, pageOf } from "../../http/paging";
import { Refused } from "../../http/request-context";
import { journalsOf } from "../../http/services";
import { EVENT_ID, eventIdForm } from "../shared/id-forms";
import { listedEvent, toListedEvent } from "./event-wire";
import { eventTypeQuery, timeQuery } from "./webhook-wire";

const listQuery = z
  .strictObject({
    limit: pageLimit,
    cursor: pageCursor(EVENT_ID),
    type: eventTypeQuery,
    since: timeQuery,
  })
  .transform(({ limit, cursor, type, since }) => ({ limit, below: cursor, pattern: type, since }));

/** What happened in the organisation. */
export const events: OperationGroup = {
  name: "Events",
  description:
    "What happened in your organisation. Webhook endpoints are told of it. This is the record, for those who missed a webhook or have no endpoint.",
  page: "webhooks.md",
  operations: [
    operation({
      id: "listEvents",
      method: "GET",
      path: "/v1/events",
      caller: key("events:read"),
      summary: "List events, newest first",
      description:
        "A page may be shorter than `limit`, even empty, while the list goes on: follow `next_cursor` until it is null.",
      query: listQuery,
      answers: { 200: pageOf(listedEvent) },
      example: { query: { type: "session.*", since: "2026-11-22T08:00:00Z" } },
      async handle(c, { query, caller: { organisationId } }) {
        const filter = {
          ...query,
          above: null,
          until: null,
          subject: null,
          action: null,
          state: null,
        };
        const { rows, next } = await listEvents(journalsOf(c), organisationId, filter);
        return { status: 200, body: { data: rows.map(toListedEvent), next_cursor: next } };
      },
    }),
    operation({
      id: "getEvent",
      method: "GET",
      path: "/v1/events/{id}",
      params: { id: eventIdForm },
      caller: key("events:read"),
      summary: "Show an event",
      description: "Its `id` is the `webhook-id` of the webhooks that told of it.",
      answers: { 200: listedEvent },
      refusals: { 404: ["event-not-found"] },
      example: { params: { id: "01a21576-9b07-799e-bdd0-52ed60dbc868" } },
      async handle(c, { params, caller: { organisationId } }) {
        const event = await findEvent(journalsOf(c), organisationId, params.id);
        if (!event) throw new Refused(unknownEvent);
        return { status: 200, body: toListedEvent(event) };
      },
    }),
  ],
};

const unknownEvent = {
  status: 404,
  code: "event-not-found",
  message: "There is no such event. They are kept for RETENTION_DAYS.",
} as const;
