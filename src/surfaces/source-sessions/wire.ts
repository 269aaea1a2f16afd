/**
 * The wire format of source sessions: ricloud's, with our additions. What leaves is listed field by
 * field here, and nowhere else.
 *
 * Its clients look up every `resource` that they meet, and crash on a name that they do not know: an
 * object of another kind, such as a relay session in an event, goes without one.
 */
import type { DomainEvent } from "../../events/event";
import type { DeliveryState } from "../../events/event-list";
import type { KeyFacts } from "../../keys/key";
import { type Organisation, organisationSlug } from "../../organisations/organisation-store";
import { endpointOwner, signingSecrets } from "../../outbound/signing-secrets";
import { errorOf, type Session } from "../../session/machine";
import { type Source, sourceIn } from "../../sources/source";
import type { User } from "../../sources/user-store";
import { secretVersions, type WebhookEndpoint } from "../../webhooks/endpoint";
import type { EventData } from "../../webhooks/event-catalogue";
import { toEventData as toOwnData } from "../v1/event-wire";

/**
 * A session.
 * @param source as it is now; null: as the session knows it
 * @param usedAt known to the session's object only: null in lists and events
 */
export function toSession(session: Session, source: Source | null, usedAt: number | null) {
  const shown = source ?? sourceIn(session);
  return {
    id: session.id,
    resource: "session",
    organisation: session.organisationId,
    key: session.keyId,
    user: session.source?.userId ?? null,
    source: shown ? toSource(shown) : null,
    state: session.status,
    error: errorOf(session),
    error_class: session.status === "failed" ? "init_failed" : null,
    date_created: toDate(session.createdAt),
    date_expired: session.status === "expired" ? toDate(session.endedAt) : null,
    expires_at: toDate(session.expiresAt),
    date_last_used: toDate(usedAt),
  };
}

export function toSource(source: Source) {
  return {
    id: source.id,
    resource: "source",
    organisation: source.organisationId,
    user: source.userId,
    type: source.type,
    identifier: source.identifier,
    state: source.state,
    date_created: toDate(source.createdAt),
  };
}

export function toUser(user: User) {
  return {
    id: user.id,
    resource: "user",
    organisation: user.organisationId,
    identifier: user.identifier,
    date_created: toDate(user.createdAt),
  };
}

export function toOrganisation(organisation: Organisation) {
  return {
    id: organisation.id,
    resource: "organisation",
    name: organisation.name,
    slug: organisationSlug(organisation.name),
    date_created: toDate(organisation.createdAt),
  };
}

/** An API key, without what it opens anything with. */
export function toKey(key: KeyFacts, organisationId: number) {
  return {
    id: key.id,
    resource: "key",
    organisation: organisationId,
    name: key.name,
    state: key.blocked ? "blocked" : "active",
    permissions: key.permissions,
    date_created: toDate(key.createdAt),
    date_expires: toDate(key.expiresAt),
  };
}

/** A webhook endpoint in the ricloud format; its secret is derived from the deployment's. */
export function toWebhookConfig(endpoint: WebhookEndpoint, rootSecret: string) {
  const owner = endpointOwner(endpoint.id);
  const [secret] = signingSecrets(rootSecret, owner, secretVersions(endpoint), Date.now());
  return { ...withoutSecret(endpoint), secret };
}

function withoutSecret(endpoint: WebhookEndpoint) {
  return {
    id: endpoint.id,
    resource: "webhook_config",
    organisation: endpoint.organisationId,
    url: endpoint.url,
    state: stateOf(endpoint),
    date_created: toDate(endpoint.createdAt),
  };
}

function stateOf({ enabled, valid }: WebhookEndpoint) {
  if (!enabled) return "deactivated";
  if (valid === null) return "new";
  return valid ? "valid" : "invalid";
}

/** An event: `session.user_authorized` is of type `session` and action `user_authorized`. */
export function toEvent(event: DomainEvent, delivery: DeliveryState) {
  const [type = "", ...action] = event.type.split(".");
  return {
    id: event.id,
    resource: "event",
    organisation: event.organisationId,
    type,
    action: action.join("."),
    data: toEventData(event),
    state: delivery.state,
    retries: delivery.retries,
    date_created: toDate(event.at),
    date_delivered: toDate(delivery.deliveredAt),
  };
}

function toEventData(event: DomainEvent) {
  const { data, organisationId } = event as DomainEvent<EventData>;
  if ("endpoint" in data) return withoutSecret(data.endpoint);
  if ("key" in data) return toKey(data.key, organisationId);
  const source = "session" in data && data.session.kind === "source" ? data.session : null;
  // All else is told in our own words, which name no `resource`.
  return source ? toSession(source, null, null) : toOwnData(event);
}

/**
 * A page of a list. `total_count` is how many there are in the whole list, null where only counting
 * would tell.
 * @param stoppedAt the `after_id` of the next page, where this one may have ended before it was full
 */
export function toList<T>(
  url: string,
  data: T[],
  hasMore: boolean,
  total: number | null,
  stoppedAt: string | number | null = null,
) {
  const list = { resource: "list", data, has_more: hasMore, total_count: total, url };
  return stoppedAt === null ? list : { ...list, next_after_id: stoppedAt };
}

function toDate(time: number): string;
function toDate(time: number | null): string | null;
function toDate(time: number | null): string | null {
  return time === null ? null : `${new Date(time).toISOString().slice(0, 19)}Z`;
}
