/** The routes of source sessions: `docs/source-sessions.md`. */
import type { Hono } from "hono";
import * as z from "zod";
import { readBody, readBodyText } from "../../http/body";
import { keyRoute } from "../../http/guarded-routes";
import { type AppEnv, type Call, Refused } from "../../http/request-context";
import type { Session } from "../../session/session";
import type { SessionResult } from "../../session/session-calls";
import { answerWaitMs } from "../../sources/connector";
import { SOURCE_SESSION_ID } from "../../sources/duplicate-requests";
import { refuseSession, sourceOfSession } from "../../sources/source";
import { listSourceSessions, type Position } from "../../sources/source-session-list";
import { createSourceSession, verifySession } from "../../sources/source-sessions";
import { findOrMakeSource, findSources } from "../../sources/source-store";
import { sourceSpec } from "./bodies";
import { invalidParameter, notFound, toSourceSessionRefusal } from "./errors";
import { integerId, readListQuery, textId } from "./queries";
import { toList, toSession } from "./wire";

const createBody = z.object({
  source: sourceSpec,
  payload: z.record(z.string(), z.unknown(), "must be an object with what the service asks for"),
});

const state = z.enum(
  ["pending", "active", "failed", "expired"],
  "must be pending, active, failed or expired",
);

const listShape = {
  filters: {
    key: integerId.optional(),
    user: integerId.optional(),
    source: integerId.optional(),
    state: z.array(state).default([]),
  },
  dates: ["date_created", "date_expired"],
  repeatable: ["state"],
  id: textId(SOURCE_SESSION_ID),
};

/** Adds the routes to the app. */
export function sessionRoutes(app: Hono<AppEnv>): void {
  createRoute(app);
  listRoute(app);
  oneSessionRoutes(app);
}

function createRoute(app: Hono<AppEnv>): void {
  app.post(
    "/sessions",
    keyRoute("sessions:write", async (c, { organisationId, keyId }) => {
      const { source: spec, payload } = await readBody(c, createBody);
      const awaitMs = awaitMilliseconds(c);
      const { db, sessions, config } = c.var;
      const found = await findOrMakeSource(
        db,
        { organisationId, ...spec },
        { mustHaveConnector: true, now: Date.now() },
      );
      if (!found.ok) throw new Refused(missing[found.missing](spec.type));
      const { source, connector } = found;
      if (!connector) throw new Refused(missing.connector(spec.type));
      requireOpen(source.state);
      const request = { organisationId, keyId, body: await readBodyText(c) };
      const { origin } = new URL(c.req.url);
      const made = await createSourceSession({ sessions, secret: config.secret }, request, {
        source,
        connector,
        origin,
        now: Date.now(),
      });
      // The session now exists. Whatever fails from here on, the caller must get its id, or they would
      // make another.
      if (made.isNew) {
        const services = { config, db, sessions };
        c.executionCtx.waitUntil(verifySession(services, connector, made.view.session, payload));
      }
      const heldMs = made.isNew ? answerWaitMs(connector) : 0;
      const session = await outcomeOf(c, made.view.session, Math.max(awaitMs, heldMs));
      return c.json(toSession(session, null, null), 201);
    }),
  );
}

function listRoute(app: Hono<AppEnv>): void {
  app.get(
    "/sessions",
    keyRoute("sessions:read", async (c, { organisationId }) => {
      const { filter, dateRange, page } = readListQuery(c, listShape);
      const { rows, hasMore, total, stoppedAt } = await listSourceSessions(c.var.db, {
        organisationId,
        filter: {
          keyId: filter.key ?? null,
          userId: filter.user ?? null,
          sourceId: filter.source ?? null,
          states: filter.state,
          created: dateRange("date_created"),
          expired: dateRange("date_expired"),
        },
        after: await positionOf(c, organisationId, "after_id", page.after),
        before: await positionOf(c, organisationId, "before_id", page.before),
        limit: page.limit,
        now: Date.now(),
      });
      const ids = rows.flatMap(({ source }) => source?.sourceId ?? []);
      const sources = await findSources(c.var.db, organisationId, ids);
      const data = rows.map((session) =>
        toSession(session, sources.get(session.source?.sourceId ?? 0) ?? null, null),
      );
      return c.json(toList("/sessions", { data, hasMore, total, stoppedAt: stoppedAt?.id }));
    }),
  );
}

function oneSessionRoutes(app: Hono<AppEnv>): void {
  app.get(
    "/sessions/:id",
    keyRoute("sessions:read", async (c, { organisationId }) => {
      const id = requireId(c.req.param("id"));
      return showSession(c, await c.var.sessions.read(organisationId, id));
    }),
  );

  app.delete(
    "/sessions/:id",
    keyRoute("sessions:write", async (c, { organisationId }) => {
      const id = requireId(c.req.param("id"));
      const result = await c.var.sessions.expire(organisationId, id, "organisation");
      // A session that has ended is shown as it is.
      const ended = !result.ok && result.refusal.code === "ended";
      return showSession(c, ended ? await c.var.sessions.read(organisationId, id) : result);
    }),
  );
}

/** Answers with the session and its source, as both are now. */
async function showSession(c: Call, result: SessionResult): Promise<Response> {
  if (!result.ok) throw new Refused(toSourceSessionRefusal(result.refusal));
  const { session, usedAt } = result;
  const known = sourceOfSession(session);
  if (!known) throw new Refused(notFound);
  const sources = await findSources(c.var.db, session.organisationId, [known.id]);
  return c.json(toSession(session, sources.get(known.id) ?? known, usedAt));
}

/** The session once it is not pending any more, or as it is when `awaitMs` are over. */
async function outcomeOf(c: Call, session: Session, awaitMs: number): Promise<Session> {
  if (awaitMs === 0) return session;
  const { organisationId, id } = session;
  const result = await c.var.sessions.outcome(organisationId, id, awaitMs).catch(() => null);
  return result?.ok ? result.session : session;
}

function awaitMilliseconds(c: Call): number {
  const header = c.req.header("Ricloud-Await");
  if (header === undefined) return 0;
  if (/^(?:[0-9]|10)$/.test(header.trim())) return Number(header) * 1_000;
  throw new Refused(
    invalidParameter("Ricloud-Await", "must be a whole number of seconds from 0 to 10"),
  );
}

/** Where in the list a session stands. Its Durable Object knows when it was made. */
async function positionOf(
  c: Call,
  organisationId: number,
  name: string,
  id: string | null,
): Promise<Position | null> {
  if (id === null) return null;
  const result = await c.var.sessions.read(organisationId, id);
  if (!result.ok) {
    const message = `${name} is no session of yours, or one that was removed. Begin at the first page.`;
    throw new Refused({ ...notFound, message });
  }
  return { createdAt: result.session.createdAt, id };
}

/** The id of a session. One of another form never existed, so no Durable Object is woken for it. */
function requireId(id: string | undefined): string {
  if (id === undefined || !SOURCE_SESSION_ID.test(id)) throw new Refused(notFound);
  return id;
}

function requireOpen(sourceState: Parameters<typeof refuseSession>[0]): void {
  const refusal = refuseSession(sourceState);
  if (refusal === null) return;
  throw new Refused({
    status: 403,
    code: refusal,
    message:
      refusal === "source-deactivated"
        ? "The source is deactivated. Set its state to active first."
        : "The source is blocked. Ask whoever runs this service.",
  });
}

const missing = {
  user: () => invalidParameter("source.user", "must be the id of one of your users"),
  connector: (type: string) => ({
    status: 400 as const,
    code: "unconfigured",
    message: `There is no connector for sources of the type ${type}. Register one with PUT /v1/connectors/${type}.`,
  }),
};
