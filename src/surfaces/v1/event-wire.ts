/**
 * Events as webhooks of the standard format and `/v1/events` show them. The mappers name every field that
 * is shown: no token and no secret is one of them.
 */
import * as z from "zod";
import type { DeviceFacts } from "../../devices/device";
import type { DatabaseEventData } from "../../events/database-event";
import type { DomainEvent } from "../../events/event";
import type { Shown } from "../../http/operation";
import type { KeyFacts } from "../../keys/key";
import type { PairingRequest } from "../../pairing/pairing-request";
import type { Connection, PermissionEventData } from "../../relay-permissions/permission";
import { endReasonOf, hostOf, joinCodeDrawOf, type Session } from "../../session/session";
import type { ConnectorFacts } from "../../sources/connector";
import type { EventData } from "../../webhooks/event-catalogue";
import { toConnectionDefinition, toPermission } from "../relay-permissions/wire";
import { toRfc3339 } from "../shared/wire-time";
import { toConnectorFacts } from "./connector-wire";
import { toDeviceFacts } from "./device-wire";
import {
  type connectionEventData,
  type connectorEventData,
  type databaseEventData,
  type deviceEventData,
  EVENT_KINDS,
  type keyEventData,
  type pairingRequestEventData,
  type relayPermissionEventData,
  type sessionEventData,
} from "./event-payloads";
import { toRequestWire } from "./pairing-request-wire";
import { toRelayNodeData } from "./relay-node-wire";
import { toEndpoint } from "./webhook-wire";

/** The values that endpoints had before migration 0006. Events that are older do not hold these fields. */
const BEFORE_0006 = {
  description: "",
  eventTypes: null,
  disabledReason: null,
  failingSince: null,
  version: 1,
};

/** The schema of an event in the list of `/v1/events`. */
export const listedEvent = z
  .discriminatedUnion("type", [
    EVENT_KINDS.session,
    EVENT_KINDS.key,
    EVENT_KINDS.relayPermission,
    EVENT_KINDS.connection,
    EVENT_KINDS.connector,
    EVENT_KINDS.pairingRequest,
    EVENT_KINDS.device,
    EVENT_KINDS.relayNode,
    EVENT_KINDS.database,
    EVENT_KINDS.webhookEndpoint,
  ])
  .meta({ id: "Event", description: "What happened. `type` says which form `data` has." });

type ListedEvent = Shown<typeof listedEvent>;
type EventDataWire = ListedEvent["data"];

/** The body of a webhook. */
export function toEventBody(event: DomainEvent): Omit<ListedEvent, "id"> {
  return { type: event.type, timestamp: toRfc3339(event.at), data: toEventData(event) };
}

/** An event in the list of `/v1/events`. */
export function toListedEvent(event: DomainEvent): ListedEvent {
  // The compiler does not know which data an event of a type has. A test compares all of them with the schema.
  return { id: event.id, ...toEventBody(event) } as ListedEvent;
}

/**
 * What an event is about, as it was right after the event. Of two events about the same thing, the one
 * with the higher `version` is the later.
 */
export function toEventData(event: Pick<DomainEvent, "data" | "at">): EventDataWire {
  const { data, at } = event as Pick<DomainEvent<EventData>, "data" | "at">;
  if ("endpoint" in data) return toEndpoint({ ...BEFORE_0006, ...data.endpoint });
  if ("key" in data) return toKeyData(data.key);
  if ("connector" in data) return toConnectorData(data.connector);
  if ("permission" in data) return toPermissionData(data.permission, at);
  if ("connection" in data) return toConnectionData(data.connection, at);
  if ("pairRequest" in data) return toPairingRequestData(data.pairRequest);
  if ("device" in data) return toDeviceData(data.device);
  if ("relayNode" in data) return toRelayNodeData(data.relayNode, at);
  if ("database" in data) return toDatabaseData(data.database, at);
  return toSessionData(data.session);
}

function toConnectorData(connector: ConnectorFacts): Shown<typeof connectorEventData> {
  return { ...toConnectorFacts(connector), version: connector.version };
}

/** `at`: the time of the event. Old events do not hold a version. */
function toPermissionData(
  permission: PermissionEventData["permission"],
  at: number,
): Shown<typeof relayPermissionEventData> {
  return { ...toPermission(permission), version: permission.version ?? at };
}

/** A connection is made and deleted, and never changed: the time of the event serves as its version. */
function toConnectionData(connection: Connection, at: number): Shown<typeof connectionEventData> {
  return { ...toConnectionDefinition(connection), version: at };
}

/** A request changes only once, when it ends. */
function toPairingRequestData(request: PairingRequest): Shown<typeof pairingRequestEventData> {
  return { ...toRequestWire(request), version: request.status === "pending" ? 1 : 2 };
}

/** `at`: the time of the event. It serves as its version. */
function toDatabaseData(
  { bytes, limitBytes, isFull }: DatabaseEventData["database"],
  at: number,
): Shown<typeof databaseEventData> {
  return { version: at, size_bytes: bytes, limit_bytes: limitBytes, creates_refused: isFull };
}

function toDeviceData(device: DeviceFacts): Shown<typeof deviceEventData> {
  return { ...toDeviceFacts(device), version: device.version, token_role: device.tokenRole };
}

function toSessionData(session: Session): Shown<typeof sessionEventData> {
  const { source } = session;
  return {
    id: session.id,
    kind: session.kind,
    version: session.version,
    state: session.status,
    error: endReasonOf(session),
    key_id: session.keyId,
    created_at: toRfc3339(session.createdAt),
    expires_at: toRfc3339(session.expiresAt),
    ended_at: "endedAt" in session ? toRfc3339(session.endedAt) : null,
    metadata: session.metadata,
    users: session.users.map(({ n, ip, connectionId, deviceId }) => ({
      ip_address: ip,
      connection_id: connectionId,
      device_id: deviceId,
      is_host: n === hostOf(session),
    })),
    has_join_code: joinCodeDrawOf(session) !== null,
    source: source
      ? {
          id: source.sourceId,
          user: source.userId,
          type: source.type,
          identifier: source.identifier,
        }
      : null,
  };
}

function toKeyData(key: KeyFacts): Shown<typeof keyEventData> {
  return {
    id: key.id,
    version: key.version,
    name: key.name,
    permissions: key.permissions,
    emails: key.emails,
    labels: key.labels,
    ip_allowlist: key.ipAllowlist,
    dns_name: key.dnsName,
    blocked: key.blocked,
    created_at: toRfc3339(key.createdAt),
    updated_at: toRfc3339(key.updatedAt),
    expires_at: toRfc3339(key.expiresAt),
  };
}
