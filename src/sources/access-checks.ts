/**
 * Asks connectors, now and then, whether active sessions still stand. The sweep says which, over a
 * queue: a connector that takes its time delays neither the sweep nor the others.
 */
import { z } from "zod";
import type { Database } from "../db/open";
import { recordDeadLetter } from "../dead-letters/dead-letter-store";
import { describeError, log } from "../platform/log";
import type { SessionClient } from "../session/session-client";
import { findConnector, recordConnectorFailure } from "./connector-store";
import { toSourceSession } from "./source-sessions";
import { type ConnectorCallConfig, checkAccess } from "./verify-access";

/** What travels on the checks queue. */
export interface CheckMessage {
  v: 1;
  organisationId: number;
  sessionId: string;
}

/** What the consumer stands on. */
export interface CheckServices extends ConnectorCallConfig {
  db: Database;
  sessions: SessionClient;
}

const messageShape = z.object({
  v: z.literal(1),
  organisationId: z.int(),
  sessionId: z.string().min(1),
});

/** Handles a batch, side by side. A check that fails is not repeated: the next one is due soon. */
export async function consumeChecks(batch: MessageBatch, deps: CheckServices): Promise<void> {
  await Promise.all(
    batch.messages.map(async (message) => {
      const parsed = messageShape.safeParse(message.body);
      if (!parsed.success) {
        return recordDeadLetter(deps.db, batch.queue, message, "not a check message");
      }
      try {
        await checkSession(deps, parsed.data);
      } catch (error) {
        log("check failed", { session: parsed.data.sessionId, error: describeError(error) });
      }
      message.ack();
    }),
  );
}

async function checkSession(deps: CheckServices, message: CheckMessage): Promise<void> {
  const { organisationId, sessionId } = message;
  const found = await deps.sessions.read(organisationId, sessionId);
  if (!found.ok || found.session.status !== "active" || !found.session.source) return;
  const connector = await findConnector(deps.db, organisationId, found.session.source.type);
  if (!connector) return;
  const { ended, problem } = await checkAccess(deps, connector, toSourceSession(found.session));
  if (ended) await deps.sessions.expire(organisationId, sessionId, "service");
  if (problem !== null)
    await recordConnectorFailure(deps.db, organisationId, connector, problem, Date.now());
}
