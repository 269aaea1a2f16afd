/**
 * Changing connections and relay permissions: the change with its event in one batch of D1, then the
 * news of it to the queue and to the live sessions that it concerns.
 */
import type { SQL } from "drizzle-orm";
import type { Database } from "../db/open";
import { retryChange } from "../db/retry";
import { type DomainEvent, newEventId } from "../events/event";
import type { EventOutbox } from "../events/event-outbox";
import type { EventType } from "../events/event-types";
import { describeError, log } from "../platform/log";
import { findSessionsHolding } from "../session/presence";
import type { SessionClient } from "../session/session-client";
import * as connectionStore from "./connection-store";
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
import * as store from "./permission-store";

/** What the changes stand on. */
export interface PermissionServices {
  db: Database;
  sessions: SessionClient;
  events: EventOutbox;
  /** Keeps the Worker alive for what goes on behind the answer. */
  waitUntil(work: Promise<unknown>): void;
}

/** Why a change was refused. Nothing changed. */
export type PermissionRefusal =
  | { code: "permission-exists"; key: PermissionKey }
  | { code: "permission-not-found" }
  | { code: "connection-not-registered"; connectionId: string }
  | { code: "connection-exists"; connectionId: string }
  | { code: "connection-not-found" };

/** What a change answers. */
export type PermissionResult<T> =
  | { ok: true; value: T }
  | { ok: false; refusal: PermissionRefusal };

/** Live sessions read at once of those that a change concerns: all are told, page by page. */
const PAGE = 500;
/** Sessions told side by side. */
const AT_ONCE = 50;

/** Creates a relay permission. */
export async function createPermission(
  deps: PermissionServices,
  organisationId: number,
  facts: PermissionFacts,
  now: number,
): Promise<PermissionResult<RelayPermission>> {
  const permission = { ...facts, version: nextPermissionVersion(0, now) };
  const event = newEvent(organisationId, "relay-permission.created", { permission }, now);
  const recorded = record(deps, event);
  const outcome = await store.insertPermission(deps.db, organisationId, permission, recorded);
  if (outcome === "unregistered") {
    const { connectionId } = permission;
    return refuse({ code: "connection-not-registered", connectionId });
  }
  if (outcome === "exists") return refuse({ code: "permission-exists", key: permission });
  announce(deps, event, partiesOf(permission));
  return { ok: true, value: permission };
}

/** Changes what of a relay permission is given; a change to what it says already is none. */
export async function updatePermission(
  deps: PermissionServices,
  organisationId: number,
  key: PermissionKey,
  change: { enabled?: boolean | undefined; memo?: string | undefined },
  now: number,
): Promise<PermissionResult<RelayPermission>> {
  return retryChange("the relay permission", async () => {
    const before = await store.findPermission(deps.db, organisationId, key);
    if (!before) return refuse({ code: "permission-not-found" });
    const permission = {
      ...before,
      enabled: change.enabled ?? before.enabled,
      memo: change.memo ?? before.memo,
      version: nextPermissionVersion(before.version, now),
    };
    if (permission.enabled === before.enabled && permission.memo === before.memo) {
      return { ok: true, value: before };
    }
    const event = newEvent(organisationId, "relay-permission.updated", { permission }, now);
    const recorded = record(deps, event);
    if (await store.replacePermission(deps.db, organisationId, before, permission, recorded)) {
      announce(deps, event, partiesOf(key));
      return { ok: true, value: permission };
    }
    return undefined;
  });
}

/** Removes a relay permission. */
export async function deletePermission(
  deps: PermissionServices,
  organisationId: number,
  key: PermissionKey,
  now: number,
): Promise<PermissionResult<RelayPermission>> {
  return retryChange("the relay permission", async () => {
    const permission = await store.findPermission(deps.db, organisationId, key);
    if (!permission) return refuse({ code: "permission-not-found" });
    const gone = { ...permission, version: nextPermissionVersion(permission.version, now) };
    const event = newEvent(organisationId, "relay-permission.deleted", { permission: gone }, now);
    const recorded = record(deps, event);
    if (await store.removePermission(deps.db, organisationId, permission, recorded)) {
      announce(deps, event, partiesOf(key));
      return { ok: true, value: permission };
    }
    return undefined;
  });
}

/** Registers a connection. */
export async function createConnection(
  deps: PermissionServices,
  organisationId: number,
  connection: Connection,
  now: number,
): Promise<PermissionResult<Connection>> {
  const event = newEvent(organisationId, "connection.created", { connection }, now);
  const recorded = record(deps, event);
  if (!(await connectionStore.insertConnection(deps.db, organisationId, connection, recorded))) {
    return refuse({ code: "connection-exists", connectionId: connection.connectionId });
  }
  // No live session has to know: without permissions of its own it may not relay anyway.
  announce(deps, event, null);
  return { ok: true, value: connection };
}

/**
 * Removes a connection, with the permissions in which it is the local side. Its users are revoked from
 * the live sessions that hold it.
 */
export async function deleteConnection(
  deps: PermissionServices,
  organisationId: number,
  connectionId: string,
  now: number,
): Promise<PermissionResult<Connection>> {
  return retryChange("the connection", async () => {
    const connection = await connectionStore.findConnection(deps.db, organisationId, connectionId);
    if (!connection) return refuse({ code: "connection-not-found" });
    const event = newEvent(organisationId, "connection.deleted", { connection }, now);
    const recorded = record(deps, event);
    if (await connectionStore.removeConnection(deps.db, organisationId, connection, recorded)) {
      announce(deps, event, [connectionId]);
      return { ok: true, value: connection };
    }
    return undefined;
  });
}

/** Whether `from` may send to `to` in this organisation, and what is missing if not. */
export async function checkRelay(
  db: Database,
  organisationId: number,
  from: string,
  to: string,
): Promise<{ allowed: boolean; missing: MissingPermission[] }> {
  const needed = neededPermissions(from, to);
  return mayRelay(
    from,
    to,
    permissionLookup(await store.findPermissions(db, organisationId, needed)),
  );
}

function newEvent(
  organisationId: number,
  type: EventType,
  data: PermissionEventData | ConnectionEventData,
  now: number,
): DomainEvent {
  return { id: newEventId(now), organisationId, type, at: now, data };
}

function record(deps: PermissionServices, event: DomainEvent) {
  return (when: SQL) => deps.events.insertion([event], when);
}

/** A notice that is lost here is made good: what a session knows grows too old. */
function announce(
  deps: PermissionServices,
  event: DomainEvent,
  parties: readonly [string, string?] | null,
): void {
  deps.events.announce([event]);
  if (parties === null) return;
  const told = tellSessions(deps, event.organisationId, parties);
  deps.waitUntil(
    told.catch((error) => log("live sessions not told", { error: describeError(error) })),
  );
}

async function tellSessions(
  { db, sessions }: PermissionServices,
  organisationId: number,
  parties: readonly [string, string?],
): Promise<void> {
  let after: string | null = null;
  let full = true;
  while (full) {
    const ids = await findSessionsHolding(db, organisationId, parties, { after, limit: PAGE });
    for (let i = 0; i < ids.length; i += AT_ONCE) {
      const some = ids.slice(i, i + AT_ONCE);
      const told = some.map((id) => sessions.permissionsChanged(organisationId, id));
      for (const one of await Promise.allSettled(told)) {
        if (one.status === "rejected")
          log("live session not told", { error: describeError(one.reason) });
      }
    }
    after = ids.at(-1) ?? null;
    full = ids.length === PAGE;
  }
}

function partiesOf({ connectionId, remoteConnectionId }: PermissionKey): [string, string] {
  return [connectionId, remoteConnectionId];
}

function refuse(refusal: PermissionRefusal): { ok: false; refusal: PermissionRefusal } {
  return { ok: false, refusal };
}
