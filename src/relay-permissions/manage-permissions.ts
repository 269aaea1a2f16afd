/**
 * Creates, changes and deletes connections and relay permissions, for the operations. Each change is stored
 * with its event in one batch of D1. Then the event is recorded, and the live sessions concerned are told.
 */
import type { SQL } from "drizzle-orm";
import type { Database } from "../db/open";
import { retryChange } from "../db/retry";
import { type DomainEvent, newEventId } from "../events/event";
import type { EventInsertion, EventOutbox } from "../events/event-outbox";
import type { EventType } from "../events/event-types";
import { describeError, log } from "../platform/log";
import type { SessionClient } from "../session/session-client";
import { findConnection, insertConnection, removeConnection } from "./connection-store";
import { type ConcernedConnections, notifySessions } from "./notify-sessions";
import {
  type Connection,
  type ConnectionEventData,
  type MissingPermission,
  mayRelay,
  neededPermissions,
  nextPermissionVersion,
  type PermissionEventData,
  type PermissionFacts,
  type PermissionKey,
  permissionLookup,
  type RelayPermission,
} from "./permission";
import {
  findPermission,
  findPermissions,
  insertPermission,
  removePermission,
  replacePermission,
} from "./permission-store";

/** The services that these changes use. */
export interface PermissionServices {
  db: Database;
  sessions: SessionClient;
  events: EventOutbox;
  /** Keeps the Worker running for work that goes on after the answer. */
  waitUntil(work: Promise<unknown>): void;
}

/** Why a change was refused. Nothing was stored. */
export type PermissionRefusal =
  | { code: "permission-exists"; key: PermissionKey }
  | { code: "permission-not-found" }
  | { code: "connection-not-registered"; connectionId: string }
  | { code: "connection-exists"; connectionId: string }
  | { code: "connection-not-found" };

/** The permission or connection after a change (before it, if it was deleted), or why nothing changed. */
export type PermissionResult<T> =
  | { ok: true; value: T }
  | { ok: false; refusal: PermissionRefusal };

/** Which permission to change, and its new values. What is left out stays. */
export interface PermissionChange extends PermissionKey {
  readonly enabled?: boolean | undefined;
  readonly memo?: string | undefined;
}

/** Creates a relay permission. Its local side has to be registered. */
export async function createPermission(
  services: PermissionServices,
  organisationId: number,
  facts: PermissionFacts,
  now: number,
): Promise<PermissionResult<RelayPermission>> {
  const permission = { ...facts, version: nextPermissionVersion(0, now) };
  const event = newEvent(organisationId, "relay-permission.created", { permission }, now);
  const recorded = record(services, event);
  const outcome = await insertPermission(services.db, organisationId, permission, recorded);
  if (outcome === "unregistered") {
    const { connectionId } = permission;
    return refuse({ code: "connection-not-registered", connectionId });
  }
  if (outcome === "exists") return refuse({ code: "permission-exists", key: permission });
  announce(services, event, sidesOf(permission));
  return { ok: true, value: permission };
}

/** Changes a relay permission. Where it has the new values already, nothing is stored or announced. */
export async function updatePermission(
  services: PermissionServices,
  organisationId: number,
  change: PermissionChange,
  now: number,
): Promise<PermissionResult<RelayPermission>> {
  const { db } = services;
  return storeChange(services, "the relay permission", async () => {
    const before = await findPermission(db, organisationId, change);
    if (!before) return refuse({ code: "permission-not-found" });
    const after = {
      ...before,
      enabled: change.enabled ?? before.enabled,
      memo: change.memo ?? before.memo,
      version: nextPermissionVersion(before.version, now),
    };
    if (after.enabled === before.enabled && after.memo === before.memo) {
      return { ok: true, value: before };
    }
    return {
      event: newEvent(organisationId, "relay-permission.updated", { permission: after }, now),
      concerned: sidesOf(before),
      store: (recorded) => replacePermission(db, organisationId, { before, after }, recorded),
      value: after,
    };
  });
}

/** Deletes a relay permission. */
export async function deletePermission(
  services: PermissionServices,
  organisationId: number,
  key: PermissionKey,
  now: number,
): Promise<PermissionResult<RelayPermission>> {
  const { db } = services;
  return storeChange(services, "the relay permission", async () => {
    const permission = await findPermission(db, organisationId, key);
    if (!permission) return refuse({ code: "permission-not-found" });
    const gone = { ...permission, version: nextPermissionVersion(permission.version, now) };
    return {
      event: newEvent(organisationId, "relay-permission.deleted", { permission: gone }, now),
      concerned: sidesOf(key),
      store: (recorded) => removePermission(db, organisationId, permission, recorded),
      value: permission,
    };
  });
}

/** Registers a connection. */
export async function createConnection(
  services: PermissionServices,
  organisationId: number,
  connection: Connection,
  now: number,
): Promise<PermissionResult<Connection>> {
  const event = newEvent(organisationId, "connection.created", { connection }, now);
  const recorded = record(services, event);
  if (!(await insertConnection(services.db, organisationId, connection, recorded))) {
    return refuse({ code: "connection-exists", connectionId: connection.connectionId });
  }
  // No live session has to be told: a new connection has no permissions yet, so nothing passes.
  announce(services, event, null);
  return { ok: true, value: connection };
}

/**
 * Deletes a connection, and the permissions in which it is the local side. Live sessions revoke their
 * users who have this connection.
 */
export async function deleteConnection(
  services: PermissionServices,
  organisationId: number,
  connectionId: string,
  now: number,
): Promise<PermissionResult<Connection>> {
  const { db } = services;
  return storeChange(services, "the connection", async () => {
    const connection = await findConnection(db, organisationId, connectionId);
    if (!connection) return refuse({ code: "connection-not-found" });
    return {
      event: newEvent(organisationId, "connection.deleted", { connection }, now),
      concerned: [connectionId],
      store: (recorded) => removeConnection(db, organisationId, connection, recorded),
      value: connection,
    };
  });
}

/** Whether `from` may send to `to` in this organisation, and which permissions are missing if not. */
export async function checkRelay(
  db: Database,
  organisationId: number,
  from: string,
  to: string,
): Promise<{ allowed: boolean; missing: MissingPermission[] }> {
  const found = await findPermissions(db, organisationId, neededPermissions(from, to));
  return mayRelay(from, to, permissionLookup(found));
}

/** The statement that stores the event of a change, under the condition that the change is made. */
type RecordEvent = (when: SQL) => EventInsertion;

/** A change of an existing row, decided but not stored yet. */
interface DecidedChange<T> {
  event: DomainEvent;
  concerned: ConcernedConnections;
  /** Stores the change with its event. False: the row has changed since it was read; nothing was stored. */
  store: (recorded: RecordEvent) => Promise<boolean>;
  /** The answer once it is stored. */
  value: T;
}

/**
 * Decides a change and stores it, again and again until nobody else changes the same row in between.
 * @param what the thing that is changed, for the error
 * @param decide reads the row and decides; a result means that there is nothing to store
 */
function storeChange<T>(
  services: PermissionServices,
  what: string,
  decide: () => Promise<PermissionResult<T> | DecidedChange<T>>,
): Promise<PermissionResult<T>> {
  return retryChange<PermissionResult<T>>(what, async () => {
    const decided = await decide();
    if ("ok" in decided) return decided;
    const { event, concerned, store, value } = decided;
    if (!(await store(record(services, event)))) return undefined;
    announce(services, event, concerned);
    return { ok: true, value };
  });
}

function newEvent(
  organisationId: number,
  type: EventType,
  data: PermissionEventData | ConnectionEventData,
  now: number,
): DomainEvent {
  return { id: newEventId(now), organisationId, type, at: now, data };
}

function record({ events }: PermissionServices, event: DomainEvent): RecordEvent {
  return (when) => events.insertion([event], when);
}

/**
 * Sends the event of a stored change, and tells the live sessions. If a session is not told, it finds out
 * later: it reads its permissions again when they are too old.
 */
function announce(
  services: PermissionServices,
  event: DomainEvent,
  concerned: ConcernedConnections | null,
): void {
  services.events.sendAfterAnswer([event]);
  if (concerned === null) return;
  const told = notifySessions(services, event.organisationId, concerned);
  services.waitUntil(
    told.catch((error) => log("live sessions not told", { error: describeError(error) })),
  );
}

function sidesOf({ connectionId, remoteConnectionId }: PermissionKey): ConcernedConnections {
  return [connectionId, remoteConnectionId];
}

function refuse(refusal: PermissionRefusal): { ok: false; refusal: PermissionRefusal } {
  return { ok: false, refusal };
}
