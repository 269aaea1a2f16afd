/**
 * What each event tells: the schema of its `data` in webhooks of the standard format and on `/v1/events`,
 * and when it is sent. `event-wire.ts` has the mappers.
 */
import * as z from "zod";
import { EVENT_TYPES, type EventType } from "../../events/event-types";
import { connectionDefinition, relayPermission } from "../relay-permissions/wire";
import { time } from "../shared/wire-time";
import { connectorFacts } from "./connector-wire";
import { deviceFacts } from "./device-wire";
import { pairingRequest } from "./pairing-request-wire";
import { relayNodeEventData } from "./relay-node-wire";
import { webhookEndpoint } from "./webhook-wire";

const version = z.int().meta({
  description: "Of two events about the same thing, the one with the higher version is the later.",
});

/** The `data` of all `session.*` events. */
export const sessionEventData = z
  .object({
    id: z.string(),
    kind: z.enum(["relay", "source"]),
    version,
    state: z.enum(["pending", "active", "failed", "expired"]),
    error: z.string().nullable().meta({
      description:
        "Of a session that failed: why. Of one that expired, who ended it: `service`, `api`, `organisation` or `admin`. Null while it lives.",
    }),
    key_id: z.int().meta({ description: "The API key that made it." }),
    created_at: time,
    expires_at: time,
    ended_at: time.nullable(),
    metadata: z.record(z.string(), z.string()).nullable(),
    users: z
      .array(
        z.object({
          ip_address: z.string(),
          connection_id: z.string().nullable(),
          device_id: z.string().nullable(),
          is_host: z.boolean(),
        }),
      )
      .meta({ description: "The users of a relay session. A source session has none." }),
    has_join_code: z.boolean().meta({
      description: "Whether a relay session can be joined with a code. A source session cannot.",
    }),
    source: z
      .object({ id: z.int(), user: z.int(), type: z.string(), identifier: z.string() })
      .nullable()
      .meta({ description: "Null: it is a relay session." }),
  })
  .meta({ id: "SessionEventData" });

/** The `data` of all `key.*` events. */
export const keyEventData = z
  .object({
    id: z.int(),
    version,
    name: z.string(),
    permissions: z.array(z.string()),
    emails: z.array(z.string()),
    labels: z.array(z.string()),
    ip_allowlist: z.array(z.string()),
    dns_name: z.string().nullable(),
    blocked: z.boolean(),
    created_at: time,
    updated_at: time.nullable(),
    expires_at: time.nullable(),
  })
  .meta({ id: "KeyEventData" });

/** The `data` of all `relay-permission.*` events. */
export const relayPermissionEventData = z
  .object({ ...relayPermission.shape, version })
  .meta({ id: "RelayPermissionEventData" });

/** The `data` of all `connection.*` events. */
export const connectionEventData = z
  .object({ ...connectionDefinition.shape, version })
  .meta({ id: "ConnectionEventData" });

/** The `data` of all `connector.*` events. */
export const connectorEventData = z
  .object({ ...connectorFacts.shape, version })
  .meta({ id: "ConnectorEventData" });

/** The `data` of all `device.pair.*` events. */
export const pairingRequestEventData = z
  .object({ ...pairingRequest.shape, version })
  .meta({ id: "PairingRequestEventData" });

/** The `data` of `device.token.*` and `device.removed`. */
export const deviceEventData = z
  .object({
    ...deviceFacts.shape,
    version,
    token_role: z
      .string()
      .nullable()
      .meta({ description: "The role whose token it is about; null: all roles." }),
  })
  .meta({ id: "DeviceEventData" });

/** The `data` of `service.database_filling`. */
export const databaseEventData = z
  .object({
    version,
    size_bytes: z.int().meta({ description: "How large the database is." }),
    limit_bytes: z.int().meta({ description: "How large it may become." }),
    creates_refused: z.boolean().meta({
      description: "Whether creates are refused with 503 `database-full`: from 90 % on.",
    }),
  })
  .meta({ id: "DatabaseEventData" });

/** Events whose types begin with one of these, as the list of `/v1/events` shows them: `data` has one schema. */
function eventsOf<const B extends string, D extends z.ZodType>(beginnings: readonly B[], data: D) {
  const belongs = (type: EventType): type is Extract<EventType, `${B}${string}`> =>
    beginnings.some((beginning) => type.startsWith(beginning));
  return z.object({
    id: z.string().meta({ description: "The `webhook-id` of the event's webhooks." }),
    ...eventBody(z.enum(EVENT_TYPES.filter(belongs)), data).shape,
  });
}

/** Every kind of event. Each type belongs to one, so `type` says what `data` is. */
export const EVENT_KINDS = {
  session: eventsOf(["session."], sessionEventData),
  key: eventsOf(["key."], keyEventData),
  relayPermission: eventsOf(["relay-permission."], relayPermissionEventData),
  connection: eventsOf(["connection."], connectionEventData),
  connector: eventsOf(["connector."], connectorEventData),
  pairingRequest: eventsOf(["device.pair."], pairingRequestEventData),
  device: eventsOf(["device.token.", "device.removed"], deviceEventData),
  relayNode: eventsOf(["relay-node."], relayNodeEventData),
  database: eventsOf(["service."], databaseEventData),
  webhookEndpoint: eventsOf(["webhook-endpoint.", "webhook_config."], webhookEndpoint),
};

/** What an event tells, and when. */
export interface EventPayload {
  /** The schema of its `data`: the thing that it is about, as it was right after. */
  data: z.ZodType;
  /** When it is sent: one sentence. CommonMark. */
  when: string;
}

/** Every event. A literal, so that it is left out of the Worker's bundle: only the description needs it. */
export const EVENT_PAYLOADS: Record<EventType, EventPayload> = {
  "session.created": {
    data: sessionEventData,
    when: "A source session was made, and its connector is asked now; or a relay session, and no relay node has taken it yet.",
  },
  "session.active": {
    data: sessionEventData,
    when: "A session works: a relay session as soon as it is made, or when a relay node has taken it; a source session when its connector has given access.",
  },
  "session.failed": {
    data: sessionEventData,
    when: "The connector of a source session did not give access, no relay node took a relay session, or its relay node was lost: `error` says which.",
  },
  "session.expiring": {
    data: sessionEventData,
    when: "A source session ends soon: in an hour, or when the last quarter of its life begins if that is later.",
  },
  "session.expired": {
    data: sessionEventData,
    when: "A session has ended: `error` says who ended it.",
  },
  "session.user_authorized": {
    data: sessionEventData,
    when: "A user was added to a relay session after it was made, by a call or with its join code.",
  },
  "session.user_revoked": {
    data: sessionEventData,
    when: "A user of a relay session was removed.",
  },
  "session.user_released": {
    data: sessionEventData,
    when: "A user who had joined a relay session with its join code, and was not connected, lost the seat to another: the session was full.",
  },
  "session.host_changed": {
    data: sessionEventData,
    when: "Another user is the host of a relay session now: `is_host` says which.",
  },
  "session.join_code_changed": {
    data: sessionEventData,
    when: "A relay session got another join code, or has none any more: `has_join_code` says which.",
  },
  "key.created": { data: keyEventData, when: "An API key was made." },
  "key.updated": {
    data: keyEventData,
    when: "An API key was changed, other than by blocking it or by giving it a new token.",
  },
  "key.refreshed": { data: keyEventData, when: "An API key got a new token and access key." },
  "key.blocked": { data: keyEventData, when: "An API key was blocked." },
  "key.expiring": { data: keyEventData, when: "An API key ends within 7 days." },
  "key.deleted": {
    data: keyEventData,
    when: "An API key was deleted, or taken out of this organisation.",
  },
  "relay-permission.created": {
    data: relayPermissionEventData,
    when: "A relay permission was made.",
  },
  "relay-permission.updated": {
    data: relayPermissionEventData,
    when: "A relay permission was changed.",
  },
  "relay-permission.deleted": {
    data: relayPermissionEventData,
    when: "A relay permission was deleted, and not together with its connection.",
  },
  "connector.created": { data: connectorEventData, when: "A connector was registered." },
  "connector.updated": {
    data: connectorEventData,
    when: "A connector that was registered was changed.",
  },
  "connector.secret.rotated": {
    data: connectorEventData,
    when: "A connector got a new secret.",
  },
  "connector.deleted": { data: connectorEventData, when: "A connector was deleted." },
  "connection.created": { data: connectionEventData, when: "A connection was registered." },
  "connection.deleted": {
    data: connectionEventData,
    when: "A connection was deleted, and its relay permissions with it.",
  },
  "device.pair.requested": {
    data: pairingRequestEventData,
    when: "A device asks to be paired, or for more access, and did not ask silently.",
  },
  "device.pair.approved": {
    data: pairingRequestEventData,
    when: "An operator approved a pairing request, or its setup code was right: `granted` is what was given.",
  },
  "device.pair.rejected": {
    data: pairingRequestEventData,
    when: "An operator rejected a pairing request, or removed the device or revoked its token while it asked.",
  },
  "device.pair.expired": {
    data: pairingRequestEventData,
    when: "Nobody decided about a pairing request within 300 seconds.",
  },
  "device.pair.superseded": {
    data: pairingRequestEventData,
    when: "The device of a pairing request made another one that asks for more.",
  },
  "device.token.rotated": {
    data: deviceEventData,
    when: "The token of `token_role` was replaced, by an operator or by the device itself.",
  },
  "device.token.revoked": {
    data: deviceEventData,
    when: "The token of `token_role` was revoked.",
  },
  "device.removed": { data: deviceEventData, when: "A device was removed." },
  "relay-node.online": {
    data: relayNodeEventData,
    when: "A relay node of this organisation has linked, and takes sessions.",
  },
  "relay-node.draining": {
    data: relayNodeEventData,
    when: "A relay node of this organisation takes no new sessions any more.",
  },
  "relay-node.lost": {
    data: relayNodeEventData,
    when: "A relay node of this organisation was not heard for 30 seconds: the sessions on it fail with `relay-node-lost`.",
  },
  "service.database_filling": {
    data: databaseEventData,
    when: "The database of the deployment is full to 70 %, or to 90 %: told once a day for each, as long as it is so, and only to the organisation of those who run the deployment.",
  },
  "webhook-endpoint.created": {
    data: webhookEndpoint,
    when: "Another webhook endpoint was made.",
  },
  "webhook-endpoint.updated": {
    data: webhookEndpoint,
    when: "Another webhook endpoint was changed, or got a new secret.",
  },
  "webhook-endpoint.disabled": {
    data: webhookEndpoint,
    when: "Drawbridge disabled another webhook endpoint: `disabled_reason` says why.",
  },
  "webhook-endpoint.deleted": {
    data: webhookEndpoint,
    when: "Another webhook endpoint was deleted.",
  },
  "webhook-endpoint.test": {
    data: webhookEndpoint,
    when: "Somebody tests this webhook endpoint. No other endpoint hears of it.",
  },
  "webhook_config.test": {
    data: webhookEndpoint,
    when: "A webhook endpoint in ricloud's format was made or is tested. No other endpoint hears of it, and it hears of it in that format.",
  },
};

/** The schema of an event in a webhook: Standard Webhooks' `type`, `timestamp` and `data`. */
export function eventBody<T extends z.ZodType, D extends z.ZodType>(type: T, data: D) {
  return z.object({
    type,
    timestamp: time.meta({ description: "When it happened." }),
    data,
  });
}
