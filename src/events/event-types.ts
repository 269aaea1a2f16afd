/** The names of all events, and the patterns by which receivers choose among them. Pure. */

/** All types of events. A name says what the event is about, and then what happened. */
export const EVENT_TYPES = [
  "session.created",
  "session.active",
  "session.failed",
  "session.expiring",
  "session.expired",
  "session.user_authorized",
  "session.user_revoked",
  "key.created",
  "key.updated",
  "key.refreshed",
  "key.blocked",
  "key.expiring",
  "key.deleted",
  "relay-permission.created",
  "relay-permission.updated",
  "relay-permission.deleted",
  "connector.created",
  "connector.updated",
  "connector.secret.rotated",
  "connector.deleted",
  "connection.created",
  "connection.deleted",
  "device.pair.requested",
  "device.pair.approved",
  "device.pair.rejected",
  "device.pair.expired",
  "device.pair.superseded",
  "device.token.rotated",
  "device.token.revoked",
  "device.removed",
  "webhook-endpoint.created",
  "webhook-endpoint.updated",
  "webhook-endpoint.disabled",
  "webhook-endpoint.deleted",
  "webhook-endpoint.test",
  // The test event of ricloud's format. Its clients know this name.
  "webhook_config.test",
] as const;

/** A type of event. */
export type EventType = (typeof EVENT_TYPES)[number];

/** Whether a pattern matches any type: it is a name, or the beginning of a name and then `.*`. */
export function isEventPattern(pattern: string): boolean {
  return EVENT_TYPES.some((type) => matchesPattern(pattern, type));
}

/** Whether a pattern matches a type: `device.*` matches `device.removed` and `device.pair.requested`. */
export function matchesPattern(pattern: string, type: string): boolean {
  return pattern.endsWith(".*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}
