/**
 * Actions on sessions that no vendor's API has: use one, and end one as the deployment's admin or as
 * its connector.
 */
import * as z from "zod";
import { readBody, readBodyText, readOptionalBody } from "../../http/body";
import { refuseAndCount } from "../../http/failed-attempts";
import { ROOT_SCOPE, withIdempotencyKey } from "../../http/mount";
import {
  checkedByHandler,
  key,
  type OperationGroup,
  operation,
  type Shown,
  toResponse,
} from "../../http/operation";
import { type Call, Refused } from "../../http/request-context";
import { requireRoot, requireSigner } from "../../http/root-and-signer";
import { sessionsOf } from "../../http/services";
import { RELAY_SESSION_ID } from "../../session/relay-session-id";
import { type ExpiryReason, endReasonOf, type Session } from "../../session/session";
import type { SessionResult } from "../../session/session-calls";
import { connectorSecrets, MOCK_TYPE } from "../../sources/connector";
import { claimMessage, findConnector } from "../../sources/connector-store";
import { SOURCE_SESSION_ID } from "../../sources/duplicate-requests";
import { time, toRfc3339 } from "../shared/wire-time";
import { sourceSessionIdForm } from "../source-sessions/bodies";

const adminBody = z.strictObject({
  reason: z
    .literal("admin", "must be admin")
    .optional()
    .meta({ description: "With the root token." }),
});
const connectorBody = z.strictObject({
  reason: z.literal("service", "must be service").meta({ description: "As a connector." }),
});
const noBody = z.strictObject({});

const sessionState = z
  .object({
    id: z.string(),
    kind: z.enum(["relay", "source"]),
    state: z.enum(["pending", "active", "failed", "expired"]),
    error: z.string().nullable().meta({
      description:
        "Why it failed, such as `invalid-credentials`; or who ended it: `service`, `api`, `organisation` or `admin`. Null while it lives.",
    }),
    created_at: time,
    expires_at: time,
  })
  .meta({ id: "SessionState" });

const usedSession = z
  .object({
    ...sessionState.shape,
    last_used_at: time.nullable().meta({ description: "When it was last used: now." }),
  })
  .meta({ id: "UsedSession" });

const example = { params: { id: "ses_PHMp0SA8Kky65BECTV1xwQ" } };

/** Using a source session, and ending a session without an API key. */
export const sessionActions: OperationGroup = {
  name: "Session actions",
  description:
    "What ricloud's format does not have: to use a source session, and to end a session as its connector or with the root token.",
  page: "source-sessions.md",
  operations: [
    operation({
      id: "useSession",
      method: "POST",
      path: "/v1/sessions/{id}:use",
      params: { id: sourceSessionIdForm },
      caller: key("sessions:write"),
      summary: "Say whether work may be done with a source session, and restart its idle clock",
      description:
        "Call it before you work with the account. If the session is not active, the answer is 409, and the problem has the members `state` and `error` of the session.",
      body: noBody,
      bodyIsOptional: true,
      answers: { 200: usedSession },
      refusals: { 404: ["session-not-found"], 409: ["session-not-active"] },
      example,
      async handle(c, { params, caller }) {
        if (!SOURCE_SESSION_ID.test(params.id)) throw new Refused(notFound);
        const result = await sessionsOf(c).use(caller.organisationId, params.id);
        if (result.ok) {
          const { session, usedAt } = result;
          return { status: 200, body: { ...toState(session), last_used_at: toRfc3339(usedAt) } };
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
      },
    }),
    operation({
      id: "expireSession",
      method: "POST",
      path: "/v1/sessions/{id}:expire",
      params: {
        id: z.string().meta({ description: "The id of a relay session or a source session." }),
      },
      caller: checkedByHandler("rootToken", "connectorSignature"),
      summary: "End a session with the root token, or as its connector",
      description: [
        "**With the root token**, it ends any session. The body may be left out. `Idempotency-Key` counts here only.",
        '**As a connector**, without `Authorization`, it ends a session of its sources. The body is `{"reason": "service"}`, signed as a Standard Webhook with the secret of the connector: the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`. Each session needs a `webhook-id` of its own.',
        "A session that has ended before is shown as it is. A relay session is removed within an hour of its end: then it is 404.",
      ].join("\n\n"),
      // Each credential has one of them: see below.
      body: z.union([adminBody, connectorBody]),
      bodyIsOptional: true,
      answers: { 200: sessionState },
      refusals: {
        401: ["wrong-signature", "message-used"],
        404: ["session-not-found"],
      },
      example: { ...example, body: { reason: "admin" } },
      handle(c, { params: { id } }) {
        return c.req.header("Authorization") === undefined ? asConnector(c, id) : asAdmin(c, id);
      },
    }),
  ],
};

/** Ends any session, with the root token. */
async function asAdmin(c: Call, id: string): Promise<Response> {
  requireRoot(c);
  return withIdempotencyKey(c, ROOT_SCOPE, async () => {
    await readOptionalBody(c, adminBody);
    if (!SOURCE_SESSION_ID.test(id) && !RELAY_SESSION_ID.test(id)) throw new Refused(notFound);
    return toResponse({ status: 200, body: await expire(c, null, id, "admin") });
  });
}

/**
 * Ends a session for its connector. Only the connector of its type, in its organisation, can sign the
 * message.
 */
async function asConnector(c: Call, sessionId: string) {
  const body = await readBodyText(c);
  const { session, connector } = await requireSigner(c, body, async () => {
    const session = SOURCE_SESSION_ID.test(sessionId) ? await sessionsOf(c).find(sessionId) : null;
    if (!session?.source) return null;
    const { organisationId, source } = session;
    const connector = await findConnector(c.get("db"), organisationId, source.type);
    if (!connector || connector.type === MOCK_TYPE) return null;
    const { secret } = c.get("config");
    const secrets = connectorSecrets(secret, organisationId, connector, Date.now());
    return { signer: { session, connector }, secrets };
  });
  await readBody(c, connectorBody);
  const { organisationId, id } = session;
  // The signature covers no session id. Without this, somebody who sees a message could end other
  // sessions with it.
  const messageId = c.req.header("webhook-id") ?? "";
  const now = Date.now();
  const isFirst = await claimMessage(c.get("db"), { session, connector, messageId }, now);
  if (!isFirst) refuseAndCount(c, now, messageUsed);
  return { status: 200 as const, body: await expire(c, organisationId, id, "service") };
}

const messageUsed = {
  status: 401,
  code: "message-used",
  message:
    "This message has ended another session. Sign one for each session, each with a webhook-id of its own.",
} as const;

/** Ends a session, and shows it. One that has ended before is shown as it is. */
async function expire(
  c: Call,
  organisationId: number | null,
  id: string,
  reason: ExpiryReason,
): Promise<Shown<typeof sessionState>> {
  const result: SessionResult = await sessionsOf(c).expire(organisationId, id, reason);
  if (result.ok) return toState(result.session);
  const ended = result.refusal.code === "ended" ? await sessionsOf(c).find(id) : null;
  if (!ended) throw new Refused(notFound);
  return toState(ended);
}

const notFound = {
  status: 404,
  code: "session-not-found",
  message: "There is no such session.",
} as const;

function toState(session: Session): Shown<typeof sessionState> {
  return {
    id: session.id,
    kind: session.kind,
    state: session.status,
    error: endReasonOf(session),
    created_at: toRfc3339(session.createdAt),
    expires_at: toRfc3339(session.expiresAt),
  };
}
