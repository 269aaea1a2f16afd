/**
 * Changes of connectors. Each change is stored in one transaction with its event. Where somebody else
 * changed the connector in between, the change is decided again from the new state.
 */
import { and, eq, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import { retryChange } from "../db/retry";
import { connectors } from "../db/schema/sources";
import { type DomainEvent, newEventId } from "../events/event";
import type { ChangeStore } from "../events/event-outbox";
import type { EventType } from "../events/event-types";
import { rotateSecret } from "../outbound/signing-secrets";
import {
  type Connector,
  type ConnectorEventData,
  type ConnectorTerms,
  connectorTerms,
} from "./connector";
import { connectorColumns, connectorQuery, isConnector } from "./connector-store";

/** Which connector: an organisation has one for each type of source. */
export interface ConnectorKey {
  organisationId: number;
  type: string;
}

/** A connector as it is after a change, and the event that says so. */
interface Change {
  event: EventType;
  connector: Connector;
}

/**
 * Registers a connector, or changes the one that the type has. The secret stays. If the address changes,
 * the last failure is forgotten.
 * @param now Unix milliseconds
 * @throws ChangedMeanwhile
 */
export async function putConnector(
  store: ChangeStore,
  address: ConnectorKey,
  terms: ConnectorTerms,
  now: number,
): Promise<Connector> {
  const stored = await changeConnector(store, address, now, (current) => {
    if (!current)
      return { event: "connector.created", connector: newConnector(address, terms, now) };
    if (JSON.stringify(connectorTerms(current)) === JSON.stringify(terms)) return null;
    const forgotten =
      terms.url === current.url ? {} : { lastFailureAt: null, lastFailureReason: null };
    return { event: "connector.updated", connector: { ...current, ...terms, ...forgotten } };
  });
  if (!stored) throw new Error("the connector was not stored");
  return stored;
}

/**
 * Gives a connector a new secret; null when there is none. The older secrets sign on for the grace, in
 * milliseconds.
 * @param now Unix milliseconds
 * @throws ChangedMeanwhile
 */
export function rotateConnectorSecret(
  store: ChangeStore,
  address: ConnectorKey,
  graceMs: number,
  now: number,
): Promise<Connector | null> {
  return changeConnector(store, address, now, (current) => {
    if (!current) return null;
    const { secretVersion: version, previousSecrets: previous } = current;
    const rotated = rotateSecret({ version, previous }, graceMs, now);
    const secrets = { secretVersion: rotated.version, previousSecrets: rotated.previous };
    return { event: "connector.secret.rotated", connector: { ...current, ...secrets } };
  });
}

/**
 * Removes a connector; false if there was none. The sessions that it has verified stay active.
 * @param now Unix milliseconds
 * @throws ChangedMeanwhile
 */
export async function deleteConnector(
  store: ChangeStore,
  address: ConnectorKey,
  now: number,
): Promise<boolean> {
  const deleted = await changeConnector(
    store,
    address,
    now,
    (connector) => connector && { event: "connector.deleted", connector },
  );
  return deleted !== null;
}

/** Decides a change from the connector as it is, and stores it with its event. */
async function changeConnector(
  { db, events }: ChangeStore,
  address: ConnectorKey,
  now: number,
  /** Null: there is nothing to change. */
  plan: (current: Connector | null) => Change | null,
): Promise<Connector | null> {
  const { organisationId, type } = address;
  return retryChange<Connector | null>(`the connector ${type}`, async () => {
    const [current = null] = await connectorQuery(db, organisationId, type);
    const change = plan(current);
    if (!change) return current;
    const version = current ? current.version + 1 : change.connector.version;
    const { previousSecrets, ...rest } = { ...change.connector, version };
    const row = { ...rest, previousSecrets: [...previousSecrets] };
    const announced = [connectorEvent(change.event, organisationId, row, now)];
    const isUnchanged = and(
      isConnector(organisationId, type),
      eq(connectors.version, current?.version ?? 0),
    );
    const existsUnchanged = current
      ? sql`exists (select 1 from ${connectors} where ${isUnchanged})`
      : sql`not exists (select 1 from ${connectors} where ${isConnector(organisationId, type)})`;
    const insertion = () =>
      db
        .insert(connectors)
        .values({ organisationId, ...row })
        .onConflictDoNothing()
        .returning(connectorColumns);
    const update = () =>
      db.update(connectors).set(row).where(isUnchanged).returning(connectorColumns);
    const deletion = () => db.delete(connectors).where(isUnchanged).returning(connectorColumns);
    // The connector's own row comes last, since it makes the condition of the event untrue.
    const { stored } = await runBatch(db, {
      event: events.insertion(announced, existsUnchanged),
      stored: change.event === "connector.deleted" ? deletion() : current ? update() : insertion(),
    });
    if (!stored[0]) return undefined;
    events.sendAfterAnswer(announced);
    return stored[0];
  });
}

function newConnector({ type }: ConnectorKey, terms: ConnectorTerms, now: number): Connector {
  return {
    ...terms,
    type,
    createdAt: now,
    version: now,
    secretVersion: now,
    previousSecrets: [],
    lastFailureAt: null,
    lastFailureReason: null,
  };
}

function connectorEvent(
  type: EventType,
  organisationId: number,
  connector: Connector,
  now: number,
): DomainEvent<ConnectorEventData> {
  const { type: ofSources, createdAt, version } = connector;
  const facts = { ...connectorTerms(connector), type: ofSources, createdAt, version };
  return { id: newEventId(now), organisationId, type, at: now, data: { connector: facts } };
}
