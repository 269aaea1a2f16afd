/** The data of every kind of event. Pure. */
import type { DeviceEventData } from "../devices/device";
import type { DatabaseEventData } from "../events/database-event";
import type { DomainEvent } from "../events/event";
import type { KeyEventData } from "../keys/key";
import type { PairingRequestEventData } from "../pairing/pairing-request";
import type { RelayNodeEventData } from "../relay-nodes/node";
import type { ConnectionEventData, PermissionEventData } from "../relay-permissions/permission";
import type { SessionEventData } from "../session/session";
import type { ConnectorEventData } from "../sources/connector";
import type { EndpointEventData } from "./endpoint";

/** The data of an event. Each kind has one field, and is told apart by its name. */
export type EventData =
  | SessionEventData
  | KeyEventData
  | PermissionEventData
  | ConnectionEventData
  | ConnectorEventData
  | EndpointEventData
  | PairingRequestEventData
  | DeviceEventData
  | RelayNodeEventData
  | DatabaseEventData;

/** Whether an event is about a session. */
export function isSessionEvent(event: DomainEvent): event is DomainEvent<SessionEventData> {
  return "session" in event.data;
}
