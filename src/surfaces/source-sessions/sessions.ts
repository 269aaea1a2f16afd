/** The operations of source sessions: `docs/source-sessions.md`. */
import * as z from "zod";
import { readBodyText } from "../../http/body";
import { key, type OperationGroup, operation, type Shown } from "../../http/operation";
import { type Call, type Caller, Refused } from "../../http/request-context";
import { sessionsOf } from "../../http/services";
import type { Session } from "../../session/session";
import type { SessionResult } from "../../session/session-calls";
import { answerWaitMs, type Credentials } from "../../sources/connector";
import { SOURCE_SESSION_ID } from "../../sources/duplicate-requests";
import { refuseSession, sourceOfSession } from "../../sources/source";
import { listSourceSessions, type Position } from "../../sources/source-session-list";
import { createSourceSession, verifySession } from "../../sources/source-sessions";
import { findOrMakeSource, findSources, type SourceIdentity } from "../../sources/source-store";
import { sourceSessionIdForm, sourceSpec } from "./bodies";
import { invalidParameter, notFound, toSourceSessionRefusal } from "./errors";
import { listOf, toList } from "./lists";
import { integerId, LISTS, listQuery, textId } from "./queries";
import { sourceSession, toSession } from "./wire";

/** How deep a payload may be nested. From about 2,000 levels on, JSON.stringify has no stack left for it. */
const MOST_LEVELS = 1_000;

const createBody = z.object({
  source: sourceSpec.meta({
    description: "The account. It is found by these three values, or made.",
  }),
  payload: z
    .record(z.string(), z.unknown(), "must be an object with what the service asks for")
    .refine(
      (payload) => isNestedAtMost(payload, MOST_LEVELS),
      `must not be nested more than ${MOST_LEVELS} levels deep`,
    )
    .meta({
      description:
        "What the connector needs to sign in, such as a password. Held in memory for this one check, and never stored.",
    }),
});

const state = z.enum(
  ["pending", "active", "failed", "expired"],
  "must be pending, active, failed or expired",
);

const sessionsQuery = listQuery({
  filters: {
    key: integerId.optional().meta({ description: "Only those that this API key made." }),
    user: integerId.optional().meta({ description: "Only of the user with this id." }),
    source: integerId.optional().meta({ description: "Only of the source with this id." }),
    state: z
      .array(state)
      .default([])
      .meta({ description: "Only in this state. It may be repeated: in one of these states." }),
  },
  dates: { date_created: "was made", date_expired: "expired" },
  id: textId(SOURCE_SESSION_ID),
});

const byId = {
  params: { id: sourceSessionIdForm },
  example: { params: { id: "ses_PHMp0SA8Kky65BECTV1xwQ" } },
} as const;

/** Source sessions: access to accounts at third parties' services. */
export const sourceSessions: OperationGroup = {
  name: "Source sessions",
  description:
    "A source session stands for access to a source. A connector of yours checks the credentials for it. The format is that of ricloud.",
  page: "source-sessions.md",
  operations: [
    operation({
      id: "createSourceSession",
      method: "POST",
      path: "/sessions",
      caller: key("sessions:write"),
      addsRows: true,
      summary: "Create a source session",
      description:
        "The source is found by its user, type and identifier, or made. The connector of its type then checks the payload, and the session becomes `active` or `failed`. With the header `Ricloud-Await: 5` the answer waits up to 5 seconds for that; 0 to 10 are allowed. The same body from the same key, while its session is pending and less than 10 seconds old, gets that session.",
      body: createBody,
      headers: ["Ricloud-Await"],
      answers: { 201: sourceSession },
      answerTexts: { 201: "The new session, which may still be `pending`." },
      refusals: {
        400: ["invalid-parameter", "unconfigured"],
        403: ["source-deactivated", "source-blocked"],
      },
      example: {
        body: {
          source: { user: 1, type: "mocks.mock", identifier: "anna@example.com" },
          payload: { password: "<password of the account>" },
        },
      },
      async handle(c, { body: { source, payload }, caller }) {
        const awaitMs = awaitMilliseconds(c);
        const identity = { organisationId: caller.organisationId, ...source };
        const session = await createSession(c, caller, { identity, payload, awaitMs });
        return { status: 201, body: toSession(session, null, null) };
      },
    }),
    operation({
      id: "listSourceSessions",
      method: "GET",
      path: "/sessions",
      caller: key("sessions:read"),
      readsNearby: true,
      summary: "List source sessions, newest first",
      description: LISTS,
      query: sessionsQuery,
      answers: { 200: listOf(sourceSession, z.string()) },
      refusals: { 404: [notFound.code] },
      example: { query: { "date_created[gte]": "2026-11-01T00:00:00Z", limit: "10" } },
      async handle(c, { query: { filter, dateRange, page }, caller: { organisationId } }) {
        const { rows, hasMore, total, stoppedAt } = await listSourceSessions(c.get("db"), {
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
        const sources = await findSources(c.get("db"), organisationId, ids);
        const data = rows.map((session) =>
          toSession(session, sources.get(session.source?.sourceId ?? 0) ?? null, null),
        );
        const list = toList("/sessions", { data, hasMore, total, stoppedAt: stoppedAt?.id });
        return { status: 200, body: list };
      },
    }),
    operation({
      id: "getSourceSession",
      method: "GET",
      ...byId,
      path: "/sessions/{id}",
      caller: key("sessions:read"),
      summary: "Show a source session",
      description:
        "Reading a session does not count as use: its idle clock goes on. `POST /v1/sessions/{id}:use` restarts it.",
      answers: { 200: sourceSession },
      refusals: { 404: [notFound.code] },
      async handle(c, { params, caller }) {
        const result = await sessionsOf(c).read(caller.organisationId, requireId(params.id));
        return { status: 200, body: await showSession(c, result) };
      },
    }),
    operation({
      id: "deleteSourceSession",
      method: "DELETE",
      ...byId,
      path: "/sessions/{id}",
      caller: key("sessions:write"),
      summary: "End a source session",
      description: "A session that has ended before is shown as it is.",
      answers: { 200: sourceSession },
      refusals: { 404: [notFound.code] },
      async handle(c, { params, caller: { organisationId } }) {
        const id = requireId(params.id);
        const result = await sessionsOf(c).expire(organisationId, id, "organisation");
        const hasEnded = !result.ok && result.refusal.code === "ended";
        const now = hasEnded ? await sessionsOf(c).read(organisationId, id) : result;
        return { status: 200, body: await showSession(c, now) };
      },
    }),
  ],
};

interface CreateInput {
  identity: SourceIdentity;
  payload: Credentials;
  /** How long the caller wants to wait for the outcome. */
  awaitMs: number;
}

/** Makes a session, or finds that of an identical request, and begins to verify it. */
async function createSession(
  c: Call,
  { organisationId, keyId }: Caller,
  { identity, payload, awaitMs }: CreateInput,
): Promise<Session> {
  const db = c.get("db");
  const sessions = sessionsOf(c);
  const config = c.get("config");
  const found = await findOrMakeSource(db, identity, { mustHaveConnector: true, now: Date.now() });
  if (!found.ok) throw new Refused(missing[found.missing](identity.type));
  const { source, connector } = found;
  if (!connector) throw new Refused(missing.connector(identity.type));
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
  return outcomeOf(c, made.view.session, Math.max(awaitMs, heldMs));
}

/** The session and its source, as both are now. */
async function showSession(c: Call, result: SessionResult): Promise<Shown<typeof sourceSession>> {
  if (!result.ok) throw new Refused(toSourceSessionRefusal(result.refusal));
  const { session, usedAt } = result;
  const known = sourceOfSession(session);
  if (!known) throw new Refused(notFound);
  const sources = await findSources(c.get("db"), session.organisationId, [known.id]);
  return toSession(session, sources.get(known.id) ?? known, usedAt);
}

/** The session once it is not pending any more, or as it is when `awaitMs` are over. */
async function outcomeOf(c: Call, session: Session, awaitMs: number): Promise<Session> {
  if (awaitMs === 0) return session;
  const { organisationId, id } = session;
  const result = await sessionsOf(c)
    .outcome(organisationId, id, awaitMs)
    .catch(() => null);
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
  const result = await sessionsOf(c).read(organisationId, id);
  if (!result.ok) {
    const message = `${name} is no session of yours, or one that was removed. Begin at the first page.`;
    throw new Refused({ ...notFound, message });
  }
  return { createdAt: result.session.createdAt, id };
}

/** The id of a session. One of another form never existed, so no Durable Object is woken for it. */
function requireId(id: string): string {
  if (!SOURCE_SESSION_ID.test(id)) throw new Refused(notFound);
  return id;
}

function isNestedAtMost(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.values(value).every((part) => isNestedAtMost(part, levels - 1));
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
