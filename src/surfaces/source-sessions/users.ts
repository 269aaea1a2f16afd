/** The routes of users and their sources: `docs/source-sessions.md`. */
import type { Hono } from "hono";
import * as z from "zod";
import { readBody, readOptionalBody } from "../../http/body";
import { keyRoute } from "../../http/guarded-routes";
import { type AppEnv, Refused } from "../../http/request-context";
import { readIntegerId } from "../../http/whole-numbers";
import { SOURCE_STATES } from "../../sources/source";
import {
  findOrMakeSource,
  findSources,
  listSources,
  setSourceState,
} from "../../sources/source-store";
import { findOrMakeUser, findUser, listUsers, renameUser } from "../../sources/user-store";
import { identifier, identifierQuery, sourceSpec } from "./bodies";
import { invalidParameter, notFound } from "./errors";
import { integerId, readListQuery } from "./queries";
import { toList, toSource, toUser } from "./wire";

const userBody = z.object({ identifier });
const userChange = z.object({ identifier: identifier.optional() });
const sourceChange = z.object({
  state: z.enum(["active", "deactivated"], "must be active or deactivated").optional(),
});

const userList = { filters: { identifier: identifierQuery.optional() }, dates: [], id: integerId };
const sourceList = {
  filters: {
    user: integerId.optional(),
    identifier: identifierQuery.optional(),
    type: z.string().optional(),
    state: z.enum(SOURCE_STATES, `must be one of ${SOURCE_STATES.join(", ")}`).optional(),
  },
  dates: [],
  id: integerId,
};

/** Adds the routes to the app. */
export function userRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/users",
    keyRoute("sessions:write", async (c, { organisationId }) => {
      const body = await readBody(c, userBody);
      const user = await findOrMakeUser(c.var.db, organisationId, body.identifier, Date.now());
      return c.json(toUser(user), 201);
    }),
  );

  app.get(
    "/users",
    keyRoute("sessions:read", async (c, { organisationId }) => {
      const { filter, page } = readListQuery(c, userList);
      const { identifier } = filter;
      const users = await listUsers(c.var.db, organisationId, { identifier }, page);
      const { rows, hasMore, total } = users;
      return c.json(toList("/users", { data: rows.map(toUser), hasMore, total }));
    }),
  );

  app.get(
    "/users/:id",
    keyRoute("sessions:read", async (c, { organisationId }) => {
      const user = await findUser(c.var.db, organisationId, readIntegerId(c.req.param("id")));
      if (!user) throw new Refused(notFound);
      return c.json(toUser(user));
    }),
  );

  app.post(
    "/users/:id",
    keyRoute("sessions:write", async (c, { organisationId }) => {
      const id = readIntegerId(c.req.param("id"));
      const change = await readOptionalBody(c, userChange);
      const user =
        change.identifier === undefined
          ? await findUser(c.var.db, organisationId, id)
          : await renameUser(c.var.db, organisationId, id, change.identifier);
      if (!user) throw new Refused(notFound);
      if (user === "taken") {
        throw new Refused(invalidParameter("identifier", "is another user's"));
      }
      return c.json(toUser(user));
    }),
  );
}

/** Adds the routes to the app. */
export function sourceRoutes(app: Hono<AppEnv>): void {
  sourceListRoutes(app);
  oneSourceRoutes(app);
}

function sourceListRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/sources",
    keyRoute("sessions:write", async (c, { organisationId }) => {
      const spec = await readBody(c, sourceSpec);
      const found = await findOrMakeSource(
        c.var.db,
        { organisationId, ...spec },
        { mustHaveConnector: false, now: Date.now() },
      );
      if (!found.ok) {
        throw new Refused(invalidParameter("user", "must be the id of one of your users"));
      }
      return c.json(toSource(found.source), 201);
    }),
  );

  app.get(
    "/sources",
    keyRoute("sessions:read", async (c, { organisationId }) => {
      const { filter, page } = readListQuery(c, sourceList);
      const sources = await listSources(
        c.var.db,
        organisationId,
        {
          userId: filter.user,
          identifier: filter.identifier,
          type: filter.type,
          state: filter.state,
        },
        page,
      );
      const { rows, hasMore, total, stoppedAt } = sources;
      return c.json(toList("/sources", { data: rows.map(toSource), hasMore, total, stoppedAt }));
    }),
  );
}

function oneSourceRoutes(app: Hono<AppEnv>): void {
  app.get(
    "/sources/:id",
    keyRoute("sessions:read", async (c, { organisationId }) => {
      const id = readIntegerId(c.req.param("id"));
      const source = (await findSources(c.var.db, organisationId, [id])).get(id);
      if (!source) throw new Refused(notFound);
      return c.json(toSource(source));
    }),
  );

  app.post(
    "/sources/:id",
    keyRoute("sessions:write", async (c, { organisationId }) => {
      const id = readIntegerId(c.req.param("id"));
      const { state } = await readOptionalBody(c, sourceChange);
      const source =
        state === undefined
          ? (await findSources(c.var.db, organisationId, [id])).get(id)
          : await setSourceState(c.var.db, { organisationId, id }, state, Date.now());
      if (!source) throw new Refused(notFound);
      if (state !== undefined && source.state !== state) {
        const problem = `cannot become ${state}: the source is ${source.state}, which is not yours to change`;
        throw new Refused(invalidParameter("state", problem));
      }
      return c.json(toSource(source));
    }),
  );
}
