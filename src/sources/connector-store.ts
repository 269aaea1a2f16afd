/** Connectors in D1. */
import { and, eq } from "drizzle-orm";
import type { Database } from "../db/open";
import { connectors } from "../db/schema";
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

function isConnector(organisationId: number, type: string) {
  return and(eq(connectors.organisationId, organisationId), eq(connectors.type, type));
}
