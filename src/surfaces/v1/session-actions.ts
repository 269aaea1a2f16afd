/**
 * Actions on sessions that no vendor's API has: use one, and end one as the deployment's admin or as
 * its connector.
 */
import type { Hono } from "hono";
import * as z from "zod";
import { readBody, readBodyText, readOptionalBody } from "../../http/body";
import { refuseAndCount } from "../../http/failed-attempts";
import { idBeforeVerb, keyRoute, rootRoute } from "../../http/guarded-routes";
import { type AppEnv, type Call, Refused } from "../../http/request-context";
import { requireSigner } from "../../http/root-and-signer";
import { RELAY_SESSION_ID } from "../../session/relay-sessions";
import { type ExpiryReason, endReasonOf, type Session } from "../../session/session";
import type { SessionResult } from "../../session/session-calls";
import { connectorSecrets, MOCK_TYPE } from "../../sources/connector";
import { claimMessage, findConnector } from "../../sources/connector-store";
import { SOURCE_SESSION_ID } from "../../sources/duplicate-requests";
import { toRfc3339 } from "../shared/wire-time";

const adminBody = z.strictObject({ reason: z.literal("admin", "must be admin").optional() });
const connectorBody = z.strictObject({ reason: z.literal("service", "must be service") });
const noBody = z.strictObject({});

/** Adds the routes to the app. */
export function sessionActionRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/v1/sessions/:call{[^:]+:use}",
    keyRoute("sessions:write", async (c, { organisationId }) => {
      await readOptionalBody(c, noBody);
      const id = sessionId(c, SOURCE_SESSION_ID);
      if (id === null) throw new Refused(notFound);
      const result = await c.var.sessions.use(organisationId, id);
      if (result.ok) {
        const { session, usedAt } = result;
        return c.json({ ...toWire(session), last_used_at: toRfc3339(usedAt) });
      }
      const { refusal } = result;
      if (refusal.code !== "ended" && refusal.code !== "not-active") throw new Refused(notFound);
      throw new Refused({
        status: 409,
        // A session that is pending may become active, so that conflict does not last.
        lasts: refusal.code === "ended",
        code: "session-not-active",
        message: `The session is ${refusal.status}: no work can be done with it.`,
        more: {
          state: refusal.status,
          error: refusal.code === "ended" ? refusal.reason : null,
        },
      });
    }),
  );

  const asAdmin = rootRoute(async (c) => {
    await readOptionalBody(c, adminBody);
    const id = sessionId(c, SOURCE_SESSION_ID) ?? sessionId(c, RELAY_SESSION_ID);
    if (id === null) throw new Refused(notFound);
    return expire(c, null, id, "admin");
  });

  app.post("/v1/sessions/:call{[^:]+:expire}", async (c) => {
    return c.req.header("Authorization") === undefined ? asConnector(c) : asAdmin(c);
  });
}

/**
 * Ends a session for its connector. Only the connector of its type, in its organisation, can sign the
 * message.
 */
async function asConnector(c: Call): Promise<Response> {
  const body = await readBodyText(c);
  const { session, connector } = await requireSigner(c, body, async () => {
    const id = sessionId(c, SOURCE_SESSION_ID);
    const session = id === null ? null : await c.var.sessions.find(id);
    if (!session?.source) return null;
    const { organisationId, source } = session;
    const connector = await findConnector(c.var.db, organisationId, source.type);
    if (!connector || connector.type === MOCK_TYPE) return null;
    const { secret } = c.var.config;
    const secrets = connectorSecrets(secret, organisationId, connector, Date.now());
    return { signer: { session, connector }, secrets };
  });
  await readBody(c, connectorBody);
  const { organisationId, id } = session;
  // The signature covers no session id. Without this, somebody who sees a message could end other
  // sessions with it.
  const messageId = c.req.header("webhook-id") ?? "";
  const now = Date.now();
  const isFirst = await claimMessage(c.var.db, { session, connector, messageId }, now);
  if (!isFirst) refuseAndCount(c, now, messageUsed);
  return expire(c, organisationId, id, "service");
}

const messageUsed = {
  status: 401,
  code: "message-used",
  message:
    "This message has ended another session. Sign one for each session, each with a webhook-id of its own.",
} as const;

/** Ends a session, and answers with it. One that has ended before is shown as it is. */
async function expire(
  c: Call,
  organisationId: number | null,
  id: string,
  reason: ExpiryReason,
): Promise<Response> {
  const result: SessionResult = await c.var.sessions.expire(organisationId, id, reason);
  if (result.ok) return c.json(toWire(result.session));
  const ended = result.refusal.code === "ended" ? await c.var.sessions.find(id) : null;
  if (!ended) throw new Refused(notFound);
  return c.json(toWire(ended));
}

const notFound = {
  status: 404,
  code: "session-not-found",
  message: "There is no such session.",
} as const;

/** The id before the verb; null: it is not of this form, so there never was such a session. */
function sessionId(c: Call, form: RegExp): string | null {
  const id = idBeforeVerb(c);
  return form.test(id) ? id : null;
}

function toWire(session: Session) {
  return {
    id: session.id,
    kind: session.kind,
    state: session.status,
    error: endReasonOf(session),
    created_at: toRfc3339(session.createdAt),
    expires_at: toRfc3339(session.expiresAt),
  };
}
