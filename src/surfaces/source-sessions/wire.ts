/**
 * What the operations of source sessions show: ricloud's format, with Drawbridge's additions. The mappers
 * name every field that is shown.
 *
 * ricloud's clients look up every `resource` in a table, and crash on a name that they do not know. So
 * an object that ricloud does not have, such as a relay session in an event, has no `resource`.
 */
import * as z from "zod";
import type { Shown } from "../../http/operation";
import type { KeyFacts } from "../../keys/key";
import { type Organisation, organisationSlug } from "../../organisations/organisation-store";
import { endpointOwner, signingSecrets } from "../../outbound/signing-secrets";
import { endReasonOf, type Session } from "../../session/session";
import { SOURCE_STATES, type Source, sourceOfSession } from "../../sources/source";
import type { User } from "../../sources/user-store";
import { secretVersions, type WebhookEndpoint } from "../../webhooks/endpoint";
import { timeInSeconds, toRfc3339Seconds } from "../shared/wire-time";

/** A source. */
export const source = z
  .object({
    id: z.int(),
    resource: z.literal("source"),
    organisation: z.int(),
    user: z.int().meta({ description: "The id of its user." }),
    type: z.string().meta({ description: "It decides which connector checks the credentials." }),
    identifier: z.string().meta({ description: "The account's name at its service." }),
    state: z.enum(SOURCE_STATES).meta({
      description:
        "`unvalidated`: no session has become active yet. `deactivated`: by you. `blocked`: by whoever runs Drawbridge. `locked`: its service has locked the account.",
    }),
    date_created: timeInSeconds,
  })
  .meta({ id: "Source" });

/** A source session. */
export const sourceSession = z
  .object({
    id: z.string(),
    resource: z.literal("session"),
    organisation: z.int(),
    key: z.int().meta({ description: "The id of the API key that made it." }),
    user: z.int().nullable().meta({ description: "The id of the user of its source." }),
    source: source.nullable(),
    state: z.enum(["pending", "active", "failed", "expired"]),
    error: z.string().nullable().meta({
      description:
        "Why it failed, such as `invalid-credentials`; or who ended it: `service`, `api`, `organisation` or `admin`. Null while it lives.",
    }),
    error_class: z
      .literal("init_failed")
      .nullable()
      .meta({ description: "`init_failed` of every session that failed; else null." }),
    date_created: timeInSeconds,
    date_expired: timeInSeconds
      .nullable()
      .meta({ description: "When it expired; null: it has not." }),
    expires_at: timeInSeconds.meta({ description: "When it ends at the latest." }),
    date_last_used: timeInSeconds.nullable().meta({
      description: "When work was last done with it. Lists and events do not know it: null.",
    }),
  })
  .meta({ id: "SourceSession" });

/** A user. */
export const user = z
  .object({
    id: z.int(),
    resource: z.literal("user"),
    organisation: z.int(),
    identifier: z.string().meta({ description: "The name that you gave it." }),
    date_created: timeInSeconds,
  })
  .meta({ id: "User" });

/** The caller's organisation. */
export const ricloudOrganisation = z
  .object({
    id: z.int(),
    resource: z.literal("organisation"),
    name: z.string(),
    slug: z.string().meta({ description: "The name in small letters, with hyphens." }),
    date_created: timeInSeconds,
  })
  .meta({ id: "RicloudOrganisation" });

/** An API key. */
export const ricloudKey = z
  .object({
    id: z.int(),
    resource: z.literal("key"),
    organisation: z.int(),
    name: z.string(),
    state: z.enum(["active", "blocked"]),
    permissions: z
      .array(z.string())
      .nullable()
      .meta({ description: "Null: the key is another one, and yours lacks `keys:read`." }),
    date_created: timeInSeconds,
    date_expires: timeInSeconds.nullable().meta({ description: "Null: never." }),
  })
  .meta({ id: "RicloudKey" });

/** A webhook endpoint in the ricloud format, as events show it. */
export const webhookConfigFacts = z
  .object({
    id: z.string(),
    resource: z.literal("webhook_config"),
    organisation: z.int(),
    url: z.string(),
    state: z.enum(["new", "valid", "invalid", "deactivated"]).meta({
      description: "`new` was not tried yet; `valid` and `invalid` are what the last test found.",
    }),
    date_created: timeInSeconds,
  })
  .meta({ id: "WebhookConfigFacts" });

/** A webhook endpoint in the ricloud format. */
export const webhookConfig = z
  .object({
    ...webhookConfigFacts.shape,
    secret: z
      .string()
      .nullable()
      .meta({ description: "Signs the webhooks. Null: your key lacks `webhooks:write`." }),
  })
  .meta({ id: "WebhookConfig" });

/**
 * A session.
 * @param source the source as it is now; null: the session's copy of it is shown
 * @param usedAt when it was last used, which only the Durable Object knows; null in lists and events
 */
export function toSession(
  session: Session,
  source: Source | null,
  usedAt: number | null,
): Shown<typeof sourceSession> {
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
export function toSource(row: Source): Shown<typeof source> {
  return {
    id: row.id,
    resource: "source",
    organisation: row.organisationId,
    user: row.userId,
    type: row.type,
    identifier: row.identifier,
    state: row.state,
    date_created: toRfc3339Seconds(row.createdAt),
  };
}

/** A user. */
export function toUser(row: User): Shown<typeof user> {
  return {
    id: row.id,
    resource: "user",
    organisation: row.organisationId,
    identifier: row.identifier,
    date_created: toRfc3339Seconds(row.createdAt),
  };
}

/** The caller's organisation. */
export function toOrganisation(row: Organisation): Shown<typeof ricloudOrganisation> {
  return {
    id: row.id,
    resource: "organisation",
    name: row.name,
    slug: organisationSlug(row.name),
    date_created: toRfc3339Seconds(row.createdAt),
  };
}

/** An API key, without its secrets. */
export function toKey(key: KeyFacts, organisationId: number): Shown<typeof ricloudKey> {
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

/** A webhook endpoint; its secret is derived from the deployment's. */
export function toWebhookConfig(
  endpoint: WebhookEndpoint,
  rootSecret: string,
  now: number,
): Shown<typeof webhookConfig> {
  const owner = endpointOwner(endpoint.id);
  const [secret] = signingSecrets(rootSecret, owner, secretVersions(endpoint), now);
  return { ...toWebhookConfigFacts(endpoint), secret };
}

/** A webhook endpoint, without its secret. */
export function toWebhookConfigFacts(endpoint: WebhookEndpoint): Shown<typeof webhookConfigFacts> {
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
