/**
 * What the routes of source sessions show: ricloud's format, with Drawbridge's additions. The mappers
 * name every field that is shown.
 *
 * ricloud's clients look up every `resource` in a table, and crash on a name that they do not know. So
 * an object that ricloud does not have, such as a relay session in an event, has no `resource`.
 */
import type { DomainEvent } from "../../events/event";
import type { DeliverySummary } from "../../events/event-list";
import type { KeyFacts } from "../../keys/key";
import { type Organisation, organisationSlug } from "../../organisations/organisation-store";
import { endpointOwner, signingSecrets } from "../../outbound/signing-secrets";
import { endReasonOf, type Session } from "../../session/session";
import { type Source, sourceOfSession } from "../../sources/source";
import type { User } from "../../sources/user-store";
import { secretVersions, type WebhookEndpoint } from "../../webhooks/endpoint";
import type { EventData } from "../../webhooks/event-catalogue";
import { toRfc3339Seconds } from "../shared/wire-time";
import { toEventData } from "../v1/event-wire";
import type { PageQuery } from "./queries";

/**
 * A session.
 * @param source the source as it is now; null: the session's copy of it is shown
 * @param usedAt when it was last used, which only the Durable Object knows; null in lists and events
 */
export function toSession(session: Session, source: Source | null, usedAt: number | null) {
  const shown = source ?? sourceOfSession(session);
  return {
    id: session.id,
    resource: "session",
    organisation: session.organisationId,
    key: session.keyId,
    user: session.source?.userId ?? null,
    source: shown ? toSource(shown) : null,
    state: session.status,
    error: endReasonOf(session),
    error_class: session.status === "failed" ? "init_failed" : null,
    date_created: toRfc3339Seconds(session.createdAt),
    date_expired: session.status === "expired" ? toRfc3339Seconds(session.endedAt) : null,
    expires_at: toRfc3339Seconds(session.expiresAt),
    date_last_used: toRfc3339Seconds(usedAt),
  };
}

/** A source. */
export function toSource(source: Source) {
  return {
    id: source.id,
    resource: "source",
    organisation: source.organisationId,
    user: source.userId,
    type: source.type,
    identifier: source.identifier,
    state: source.state,
    date_created: toRfc3339Seconds(source.createdAt),
  };
}

/** A user. */
export function toUser(user: User) {
  return {
    id: user.id,
    resource: "user",
    organisation: user.organisationId,
    identifier: user.identifier,
    date_created: toRfc3339Seconds(user.createdAt),
  };
}

/** The caller's organisation. */
export function toOrganisation(organisation: Organisation) {
  return {
    id: organisation.id,
    resource: "organisation",
    name: organisation.name,
    slug: organisationSlug(organisation.name),
    date_created: toRfc3339Seconds(organisation.createdAt),
  };
}

/** An API key, without its secrets. */
export function toKey(key: KeyFacts, organisationId: number) {
  return {
    id: key.id,
    resource: "key",
    organisation: organisationId,
    name: key.name,
    state: key.blocked ? "blocked" : "active",
    permissions: key.permissions,
    date_created: toRfc3339Seconds(key.createdAt),
    date_expires: toRfc3339Seconds(key.expiresAt),
  };
}

/** A webhook endpoint in the ricloud format; its secret is derived from the deployment's. */
export function toWebhookConfig(endpoint: WebhookEndpoint, rootSecret: string, now: number) {
  const owner = endpointOwner(endpoint.id);
  const [secret] = signingSecrets(rootSecret, owner, secretVersions(endpoint), now);
  return { ...withoutSecret(endpoint), secret };
}

function withoutSecret(endpoint: WebhookEndpoint) {
  return {
    id: endpoint.id,
    resource: "webhook_config",
    organisation: endpoint.organisationId,
    url: endpoint.url,
    state: stateOf(endpoint),
    date_created: toRfc3339Seconds(endpoint.createdAt),
  };
}

function stateOf({ enabled, valid }: WebhookEndpoint) {
  if (!enabled) return "deactivated";
  if (valid === null) return "new";
  return valid ? "valid" : "invalid";
}

/** An event: `session.user_authorized` is of type `session` and action `user_authorized`. */
export function toRicloudEvent(event: DomainEvent, delivery: DeliverySummary) {
  const [type = "", ...action] = event.type.split(".");
  return {
    id: event.id,
    resource: "event",
    organisation: event.organisationId,
    type,
    action: action.join("."),
    data: toRicloudEventData(event),
    state: delivery.state,
    retries: delivery.retries,
    date_created: toRfc3339Seconds(event.at),
    date_delivered: toRfc3339Seconds(delivery.deliveredAt),
  };
}

function toRicloudEventData(event: DomainEvent) {
  const { data, organisationId } = event as DomainEvent<EventData>;
  if ("endpoint" in data) return withoutSecret(data.endpoint);
  if ("key" in data) return toKey(data.key, organisationId);
  const source = "session" in data && data.session.kind === "source" ? data.session : null;
  // Everything else is shown as on `/v1`, where objects have no `resource`.
  return source ? toSession(source, null, null) : toEventData(event);
}

/** A page of a list, and what is known of the rest. */
interface ListPage<T> {
  data: T[];
  hasMore: boolean;
  /** How many rows the whole list has; null: only counting them would tell. */
  total: number | null;
  /** The `after_id` of the next page, where this one may have ended before it was full. */
  stoppedAt?: string | number | null | undefined;
}

/** A page of the list at this path. */
export function toList<T>(url: string, { data, hasMore, total, stoppedAt = null }: ListPage<T>) {
  const list = { resource: "list", data, has_more: hasMore, total_count: total, url };
  return stoppedAt === null ? list : { ...list, next_after_id: stoppedAt };
}

/** The total of a list that is not counted: known only where one page holds all of it. */
export function totalOfOnePage(
  rows: number,
  hasMore: boolean,
  { after, before }: Pick<PageQuery<unknown>, "after" | "before">,
): number | null {
  return !hasMore && after === null && before === null ? rows : null;
}
