/** The routes of events in ricloud's format. */
import type { Hono } from "hono";
import * as z from "zod";
import { findEventWithDeliveries, listEventsWithDeliveries } from "../../events/event-list";
import { keyRoute } from "../../http/guarded-routes";
import { type AppEnv, Refused } from "../../http/request-context";
import { EVENT_ID } from "../shared/id-forms";
import { notFound } from "./errors";
import { readListQuery, textId } from "./queries";
import { toList, toRicloudEvent, totalOfOnePage } from "./wire";

const listShape = {
  filters: {
    type: z.string().optional(),
    action: z.string().optional(),
    state: z
      .enum(["pending", "delivered", "failed"], "must be pending, delivered or failed")
      .optional(),
  },
  dates: ["date_created"],
  id: textId(EVENT_ID),
};

/** Adds the routes to the app. */
export function ricloudEventRoutes(app: Hono<AppEnv>): void {
  app.get(
    "/events",
    keyRoute("events:read", async (c, { organisationId }) => {
      const { filter, dateRange, page } = readListQuery(c, listShape);
      const { type: subject, action, state } = filter;
      const created = dateRange("date_created");
      const narrowed = { subject, action, state, created };
      const { rows, next } = await listEventsWithDeliveries(
        c.var.db,
        organisationId,
        narrowed,
        page,
      );
      const data = rows.map((event) => toRicloudEvent(event, event.delivery));
      const hasMore = next !== null;
      // Where a page is full, its last id already says where the next one begins.
      const stoppedAt = rows.length < page.limit ? next : null;
      const total = totalOfOnePage(data.length, hasMore, page);
      return c.json(toList("/events", { data, hasMore, total, stoppedAt }));
    }),
  );

  app.get(
    "/events/:id",
    keyRoute("events:read", async (c, { organisationId }) => {
      const id = c.req.param("id") ?? "";
      const event = EVENT_ID.test(id)
        ? await findEventWithDeliveries(c.var.db, organisationId, id)
        : null;
      if (!event) throw new Refused(notFound);
      return c.json(toRicloudEvent(event, event.delivery));
    }),
  );
}
