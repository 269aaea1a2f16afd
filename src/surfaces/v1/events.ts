/** The routes of events on `/v1`, for services that missed a webhook or have no endpoint. */
import type { Hono } from "hono";
import * as z from "zod";
import { findEvent, listEvents } from "../../events/event-store";
import { readQuery } from "../../http/body";
import { keyRoute } from "../../http/guarded-routes";
import { pageCursor, pageLimit } from "../../http/paging";
import { type AppEnv, Refused } from "../../http/request-context";
import { EVENT_ID } from "../shared/id-forms";
import { toListedEvent } from "./event-wire";
import { eventTypeQuery, timeQuery } from "./webhook-wire";

const listQuery = z
  .strictObject({
    limit: pageLimit,
    cursor: pageCursor(EVENT_ID),
    type: eventTypeQuery,
    since: timeQuery,
  })
  .transform(({ limit, cursor, type, since }) => ({ limit, below: cursor, pattern: type, since }));

/** Adds the routes to the app. */
export function eventRoutes(app: Hono<AppEnv>): void {
  app.get(
    "/v1/events",
    keyRoute("events:read", async (c, { organisationId }) => {
      const query = readQuery(c, listQuery);
      const { rows, next } = await listEvents(c.var.db, organisationId, query);
      return c.json({ data: rows.map(toListedEvent), next_cursor: next });
    }),
  );

  app.get(
    "/v1/events/:id",
    keyRoute("events:read", async (c, { organisationId }) => {
      const event = await findEvent(c.var.db, organisationId, c.req.param("id") ?? "");
      if (!event) throw new Refused(unknownEvent);
      return c.json(toListedEvent(event));
    }),
  );
}

const unknownEvent = {
  status: 404,
  code: "event-not-found",
  message: "There is no such event. They are kept for RETENTION_DAYS.",
} as const;
