/**
 * Consumes the checks queue: asks connectors whether active sessions still stand. The sweep puts one
 * message for each session that is due on the queue. Behind a queue, a slow connector delays neither the
 * sweep nor the other connectors.
 */
import * as z from "zod";
import { recordDeadLetter } from "../dead-letters/dead-letter-store";
import { describeError, log } from "../platform/log";
import { findConnector, recordConnectorFailure } from "./connector-store";
import { toSourceSession, type VerificationServices } from "./source-sessions";
import { checkAccess } from "./verify-access";

/** A message on the checks queue. */
export interface CheckMessage {
  v: 1;
  organisationId: number;
  sessionId: string;
}

const messageShape = z.object({
  v: z.literal(1),
  organisationId: z.int(),
  sessionId: z.string().min(1),
});

/** Handles a batch: all checks at once. A check that fails is not repeated, since the next is due soon. */
export async function consumeChecks(
  batch: MessageBatch,
  services: VerificationServices,
): Promise<void> {
  await Promise.all(
    batch.messages.map(async (message) => {
      const parsed = messageShape.safeParse(message.body);
      if (!parsed.success) {
        return recordDeadLetter(services.db, batch.queue, message, "not a check message");
      }
      try {
        await checkSession(services, parsed.data);
      } catch (error) {
        log("check failed", { session: parsed.data.sessionId, error: describeError(error) });
      }
      message.ack();
    }),
  );
}

async function checkSession(
  { config, db, sessions }: VerificationServices,
  message: CheckMessage,
): Promise<void> {
  const { organisationId, sessionId } = message;
  const found = await sessions.read(organisationId, sessionId);
  if (!found.ok || found.session.status !== "active" || !found.session.source) return;
  const connector = await findConnector(db, organisationId, found.session.source.type);
  if (!connector) return;
  const session = toSourceSession(found.session);
  const { ended, problem } = await checkAccess(config, connector, session);
  if (ended) await sessions.expire(organisationId, sessionId, "service");
  if (problem !== null) {
    const failure = { reason: problem, at: Date.now() };
    await recordConnectorFailure(db, organisationId, connector, failure);
  }
}
