/** Connectors in D1. */
import { createHash } from "node:crypto";
import { and, eq, getTableColumns, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { connectors } from "../db/schema/sources";
import { claimNonce } from "../once/nonces";
import type { Session } from "../session/session";
import { type Connector, MOCK_CONNECTOR, MOCK_TYPE } from "./connector";

/** While a connector fails for the same reason, that is written once a minute. */
const SAME_FAILURE_MS = 60_000;

const { organisationId: _organisationId, ...columns } = getTableColumns(connectors);
/** The columns of a connector. */
export const connectorColumns = columns;

/** The query for the connector of a type that an organisation has registered. */
export function connectorQuery(db: Database, organisationId: number, type: string) {
  return db.select(columns).from(connectors).where(isConnector(organisationId, type));
}

/** The connector of a type, built in or registered; null where there is none. */
export async function findConnector(
  db: Database,
  organisationId: number,
  type: string,
): Promise<Connector | null> {
  if (type === MOCK_TYPE) return MOCK_CONNECTOR;
  return (await connectorQuery(db, organisationId, type))[0] ?? null;
}

/**
 * Notes why a connector's answer could not be taken, where its owner finds it.
 * @param reason in our own words: never what the connector said, which may be a secret that it was told
 * @param now Unix milliseconds
 */
export async function noteFailure(
  db: Database,
  organisationId: number,
  connector: Connector,
  reason: string,
  now: number,
): Promise<void> {
  const { type, url, createdAt, lastFailureAt, lastFailureReason } = connector;
  const isNoted = lastFailureAt !== null && now - lastFailureAt < SAME_FAILURE_MS;
  if (lastFailureReason === reason && isNoted) return;
  await db
    .update(connectors)
    .set({ lastFailureAt: now, lastFailureReason: reason })
    .where(
      and(
        isConnector(organisationId, type),
        // What was found at another address says nothing about this one.
        eq(connectors.url, url),
        eq(connectors.createdAt, createdAt),
        // Others may have noted it since the connector was read.
        sql`(last_failure_reason is not ${reason} or last_failure_at <= ${now - SAME_FAILURE_MS})`,
      ),
    );
}

/**
 * Whether a message that a connector has signed is for this session: it is for the first one that it
 * reaches, however often it is sent again. Remembered for longer than a signature is taken.
 */
export async function claimMessage(
  db: Database,
  session: Pick<Session, "organisationId" | "id">,
  connector: Pick<Connector, "type" | "createdAt">,
  messageId: string,
  now: number,
): Promise<boolean> {
  const owner = `connector/${session.organisationId}/${connector.type}/${connector.createdAt}`;
  // A digest: what others choose as an id may be of any length.
  const nonce = createHash("sha256").update(messageId).digest("base64url");
  return claimNonce(db, { owner, nonce, claim: session.id }, now);
}

/** The condition for the connector of a type. */
export function isConnector(organisationId: number, type: string) {
  return and(eq(connectors.organisationId, organisationId), eq(connectors.type, type));
}
