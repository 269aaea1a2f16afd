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
  "session.user_released",
  "session.host_changed",
  "session.join_code_changed",
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
  "relay-node.online",
  "relay-node.draining",
  "relay-node.lost",
  "service.database_filling",
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

/** All patterns that match a type: every name, and every beginning of one that ends at a dot, with `*` behind it. */
export const EVENT_PATTERNS: readonly string[] = [
  ...EVENT_TYPES,
  ...new Set(EVENT_TYPES.flatMap(beginningsOf)),
];

/** `device.*` and `device.pair.*` of `device.pair.requested`. */
function beginningsOf(type: string): string[] {
  const parts = type.split(".");
  return parts.slice(1).map((_, index) => `${parts.slice(0, index + 1).join(".")}.*`);
}

/** Whether a pattern matches a type: `device.*` matches `device.removed` and `device.pair.requested`. */
export function matchesPattern(pattern: string, type: string): boolean {
  return pattern.endsWith(".*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}
