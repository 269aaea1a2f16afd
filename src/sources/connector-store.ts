/** Connectors in D1. */
import { createHash } from "node:crypto";
import { and, eq } from "drizzle-orm";
import type { Database } from "../db/open";
import { connectors } from "../db/schema/sources";
import { claimNonce } from "../once/nonces";
import type { Session } from "../session/machine";
import { type Connector, MOCK_CONNECTOR, MOCK_TYPE } from "./connector";

const columns = {
  type: connectors.type,
  url: connectors.url,
  timeoutSeconds: connectors.timeoutSeconds,
  checkIntervalSeconds: connectors.checkIntervalSeconds,
  sessionTtlSeconds: connectors.sessionTtlSeconds,
  idleSeconds: connectors.idleSeconds,
  createdAt: connectors.createdAt,
};

/** Registers a connector, or changes the one that the type has: its age, and with it its secret, stays. */
export async function putConnector(
  db: Database,
  organisationId: number,
  connector: Connector,
): Promise<Connector> {
  const { type, createdAt, ...terms } = connector;
  const rows = await db
    .insert(connectors)
    .values({ organisationId, type, createdAt, ...terms })
    .onConflictDoUpdate({ target: [connectors.organisationId, connectors.type], set: terms })
    .returning(columns);
  if (!rows[0]) throw new Error("the connector was not stored");
  return rows[0];
}

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

/** Removes a connector; false if there was none. Sessions that it has verified live on. */
export async function deleteConnector(
  db: Database,
  organisationId: number,
  type: string,
): Promise<boolean> {
  const rows = await db
    .delete(connectors)
    .where(isConnector(organisationId, type))
    .returning({ type: connectors.type });
  return rows.length > 0;
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

function isConnector(organisationId: number, type: string) {
  return and(eq(connectors.organisationId, organisationId), eq(connectors.type, type));
}
