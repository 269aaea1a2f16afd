/** The events: what each says in a few words, what they are about, and the patterns that choose among them. Pure. */
import type { EventPattern, EventType } from "drawbridge-client";

/** What each event says. `docs/webhooks.md` says it in full. The compiler wants all of them. */
export const EVENT_WORDS: Record<EventType, string> = {
  "session.created": "made, and not yet active",
  "session.active": "works",
  "session.failed": "could not start, or its relay node was lost",
  "session.expiring": "ends soon",
  "session.expired": "has ended",
  "session.user_authorized": "a user was added",
  "session.user_revoked": "a user was removed",
  "session.user_released": "a user lost the seat to another",
  "session.host_changed": "has another host",
  "session.join_code_changed": "has another join code, or none",
  "key.created": "made",
  "key.updated": "changed",
  "key.refreshed": "has a new token",
  "key.blocked": "blocked",
  "key.expiring": "ends within 7 days",
  "key.deleted": "deleted",
  "relay-permission.created": "made",
  "relay-permission.updated": "changed",
  "relay-permission.deleted": "deleted",
  "connection.created": "registered",
  "connection.deleted": "deleted, with its permissions",
  "relay-node.online": "has linked, and takes sessions",
  "relay-node.draining": "takes no new sessions",
  "relay-node.lost": "not heard any more",
  "service.database_filling": "the database is full to 70 % or more",
  "connector.created": "registered",
  "connector.updated": "changed",
  "connector.secret.rotated": "has a new secret",
  "connector.deleted": "deleted",
  "device.pair.requested": "asks to be paired",
  "device.pair.approved": "approved",
  "device.pair.rejected": "rejected",
  "device.pair.expired": "nobody decided in time",
  "device.pair.superseded": "the device asked again, for more",
  "device.token.rotated": "has a new token",
  "device.token.revoked": "a token was revoked",
  "device.removed": "removed",
  "webhook-endpoint.created": "made",
  "webhook-endpoint.updated": "changed, or has a new secret",
  "webhook-endpoint.disabled": "disabled by Drawbridge",
  "webhook-endpoint.deleted": "deleted",
  "webhook-endpoint.test": "a test",
  "webhook_config.test": "a test, in the format ricloud",
};

/** All types of events. */
export const EVENT_TYPES = Object.keys(EVENT_WORDS) as EventType[];

/** Events about the same kind of thing. */
export interface EventGroup {
  title: string;
  /** All of them, such as `device.*`. */
  all: EventPattern;
  /** Some of them, such as `device.pair.*`. */
  parts: EventPattern[];
  types: EventType[];
}

const TITLES: Record<string, string> = {
  session: "Sessions",
  key: "API keys",
  "relay-permission": "Relay permissions",
  connection: "Connections",
  "relay-node": "Relay nodes",
  service: "The deployment",
  connector: "Connectors",
  device: "Devices",
  "webhook-endpoint": "Webhook endpoints",
  webhook_config: "Webhook tests of the format ricloud",
};

/** All events, by what they are about. */
export const EVENT_GROUPS: readonly EventGroup[] = Object.entries(TITLES).map(
  ([subject, title]) => {
    const all = `${subject}.*` as EventPattern;
    const types = EVENT_TYPES.filter((type) => matchesPattern(all, type));
    const parts = new Set(types.map(beginningOf).filter((pattern) => pattern !== all));
    return { title, all, parts: [...parts], types };
  },
);

/** Whether a text is a pattern that the service takes. */
export function isPattern(text: string | null): text is EventPattern {
  return EVENT_GROUPS.some(({ all, parts, types }) =>
    [all, ...parts, ...types].includes(text as EventPattern),
  );
}

/** Whether a pattern matches a type, or a narrower pattern: `device.*` matches `device.removed`. */
export function matchesPattern(pattern: string, type: string): boolean {
  return pattern.endsWith(".*")
    ? type !== pattern && type.startsWith(pattern.slice(0, -1))
    : type === pattern;
}

/**
 * The patterns when one is added, or taken away. An added one takes the place of those that it matches,
 * so that none is said twice.
 */
export function changePatterns(
  patterns: readonly string[],
  pattern: string,
  wanted: boolean,
): string[] {
  const others = patterns.filter((one) => one !== pattern && !matchesPattern(pattern, one));
  return wanted ? [...others, pattern] : others;
}

/** `device.pair.*` of `device.pair.requested`. */
function beginningOf(type: string): EventPattern {
  return `${type.slice(0, type.lastIndexOf("."))}.*` as EventPattern;
}
