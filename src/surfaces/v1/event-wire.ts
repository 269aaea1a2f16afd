/**
 * Events as webhooks of the standard format and `/v1/events` show them. The mappers name every field that
 * is shown: no token and no secret is one of them.
 */
import type { DomainEvent } from "../../events/event";
import type { KeyFacts } from "../../keys/key";
import { endReasonOf, type Session } from "../../session/session";
import type { EventData } from "../../webhooks/event-catalogue";
import { toConnectionDefinition, toPermission } from "../relay-permissions/wire";
import { toRfc3339 } from "../shared/wire-time";
import { toConnectorFacts } from "./connector-wire";
import { toDeviceFacts } from "./device-wire";
import { toRequestWire } from "./pairing-request-wire";
import { toEndpoint } from "./webhook-wire";

/** The values that endpoints had before migration 0006. Events that are older do not hold these fields. */
const BEFORE_0006 = {
  description: "",
  eventTypes: null,
  disabledReason: null,
  failingSince: null,
  version: 1,
};

/** The body of a webhook: Standard Webhooks' `type`, `timestamp` and `data`. */
export function toEventBody(event: DomainEvent) {
  return { type: event.type, timestamp: toRfc3339(event.at), data: toEventData(event) };
}

/** An event in the list of `/v1/events`. */
export function toListedEvent(event: DomainEvent) {
  return { id: event.id, ...toEventBody(event) };
}

/**
 * What an event is about, as it was right after the event. Of two events about the same thing, the one
 * with the higher `version` is the later.
 */
export function toEventData(event: Pick<DomainEvent, "data" | "at">) {
  const { data, at } = event as Pick<DomainEvent<EventData>, "data" | "at">;
  if ("endpoint" in data) return toEndpoint({ ...BEFORE_0006, ...data.endpoint });
  if ("key" in data) return toKeyData(data.key);
  if ("connector" in data) {
    return { ...toConnectorFacts(data.connector), version: data.connector.version };
  }
  if ("permission" in data) {
    return { ...toPermission(data.permission), version: data.permission.version ?? at };
  }
  // A connection is made and deleted, and never changed: the time of the event serves as its version.
  if ("connection" in data) return { ...toConnectionDefinition(data.connection), version: at };
  if ("pairRequest" in data) {
    const { pairRequest } = data;
    // A request changes only once, when it ends.
    return { ...toRequestWire(pairRequest), version: pairRequest.status === "pending" ? 1 : 2 };
  }
  if ("device" in data) {
    const { device } = data;
    return { ...toDeviceFacts(device), version: device.version, token_role: device.tokenRole };
  }
  return toSessionData(data.session);
}

function toSessionData(session: Session) {
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
    users: session.users.map(({ ip, connectionId, deviceId }) => ({
      ip_address: ip,
      connection_id: connectionId,
      device_id: deviceId,
    })),
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

function toKeyData(key: KeyFacts) {
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
