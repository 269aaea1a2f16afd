/** Connectors in D1: reads, and what is written without a new version of the connector. */
import { createHash } from "node:crypto";
import { and, eq, getTableColumns, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { connectors } from "../db/schema/sources";
import { claimNonce } from "../once/nonces";
import type { Session } from "../session/session";
import { type Connector, MOCK_CONNECTOR, MOCK_TYPE } from "./connector";

/** A failure with the same reason as the last one is written at most once a minute. */
const SAME_FAILURE_MS = 60_000;

const { organisationId: _organisationId, ...columns } = getTableColumns(connectors);
/** The columns of a connector. */
export const connectorColumns = columns;

/** The query for the connector of a type that an organisation has registered. */
export function connectorQuery(db: Database, organisationId: number, type: string) {
  return db.select(columns).from(connectors).where(isConnector(organisationId, type));
}

/** The connector of a type, built-in or registered; null where there is none. */
export async function findConnector(
  db: Database,
  organisationId: number,
  type: string,
): Promise<Connector | null> {
  if (type === MOCK_TYPE) return MOCK_CONNECTOR;
  return (await connectorQuery(db, organisationId, type))[0] ?? null;
}

/** Why a connector's answer could not be used. */
export interface ConnectorFailure {
  /** In our own words. Never what the connector said: that may contain the credentials that it was sent. */
  reason: string;
  /** Unix milliseconds. */
  at: number;
}

/** Records a failure with its connector, where the connector's owner finds it. */
export async function recordConnectorFailure(
  db: Database,
  organisationId: number,
  connector: Connector,
  { reason, at }: ConnectorFailure,
): Promise<void> {
  const { type, url, createdAt, lastFailureAt, lastFailureReason } = connector;
  const isRecent = lastFailureAt !== null && at - lastFailureAt < SAME_FAILURE_MS;
  if (lastFailureReason === reason && isRecent) return;
  await db
    .update(connectors)
    .set({ lastFailureAt: at, lastFailureReason: reason })
    .where(
      and(
        isConnector(organisationId, type),
        // A failure at another address says nothing about this one.
        eq(connectors.url, url),
        eq(connectors.createdAt, createdAt),
        // Another check may have recorded the failure since the connector was read.
        sql`(last_failure_reason is not ${reason} or last_failure_at <= ${at - SAME_FAILURE_MS})`,
      ),
    );
}

/** A signed message from a connector about a session. */
export interface ConnectorMessage {
  session: Pick<Session, "organisationId" | "id">;
  connector: Pick<Connector, "type" | "createdAt">;
  messageId: string;
}

/**
 * Claims a message for its session; false where another session has claimed it. A message counts for the
 * first session that it is sent to, and may be sent to that one again. The claim is kept for longer than
 * a signature is accepted.
 * @param now Unix milliseconds
 */
export async function claimMessage(
  db: Database,
  { session, connector, messageId }: ConnectorMessage,
  now: number,
): Promise<boolean> {
  const owner = `connector/${session.organisationId}/${connector.type}/${connector.createdAt}`;
  // A digest, because others choose the id, of any length.
  const nonce = createHash("sha256").update(messageId).digest("base64url");
  return claimNonce(db, { owner, nonce, claim: session.id }, now);
}

/** The condition that a row is the connector of this type. */
export function isConnector(organisationId: number, type: string) {
  return and(eq(connectors.organisationId, organisationId), eq(connectors.type, type));
}
