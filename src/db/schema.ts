/**
 * Every D1 table. The migrations come from this file (`npm run db:generate`), with two things added
 * by hand that Drizzle cannot say: WITHOUT ROWID on each table whose key is not a rowid (an upsert
 * then writes one row instead of two), and nothing else.
 *
 * Times are Unix milliseconds unless a name says otherwise. Rows are clustered by their primary key
 * in the order in which lists read them, so that a list needs no index of its own.
 */
import { sql } from "drizzle-orm";
import {
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";
import type { EventType } from "../events/types";
import type { PreviousSecret } from "../webhooks/secrets";

/** A tenant. Kept until its data is swept: `deletedAt` hides it at once. */
export const organisations = sqliteTable("organisations", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  name: text("name").notNull(),
  createdAt: integer("created_at").notNull(),
  webhookSecretVersion: integer("webhook_secret_version").notNull().default(1),
  /** Rotated secrets that still sign, newest last. */
  previousWebhookSecrets: text("previous_webhook_secrets", { mode: "json" })
    .$type<PreviousSecret[]>()
    .notNull()
    .default([]),
  deletedAt: integer("deleted_at"),
});

/**
 * An API key. `organisationIds` is a JSON array of numbers; the first is where it acts by default.
 * Keys change seldom, so that here an index costs little; each is for one question.
 */
export const apiKeys = sqliteTable(
  "api_keys",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    name: text("name").notNull(),
    organisationIds: text("organisation_ids", { mode: "json" }).$type<number[]>().notNull(),
    permissions: text("permissions", { mode: "json" }).$type<string[]>().notNull(),
    emails: text("emails", { mode: "json" }).$type<string[]>().notNull(),
    labels: text("labels", { mode: "json" }).$type<string[]>().notNull(),
    ipAllowlist: text("ip_allowlist", { mode: "json" }).$type<string[]>().notNull(),
    dnsName: text("dns_name"),
    blocked: integer("blocked", { mode: "boolean" }).notNull().default(false),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at"),
    expiresAt: integer("expires_at"),
    /** Shown part of the token (its first characters), and when and in which version it was made. */
    tokenShort: text("token_short").notNull(),
    tokenVersion: integer("token_version").notNull().default(1),
    tokenCreatedAt: integer("token_created_at").notNull(),
    /** Until when the token before the current one works. */
    previousTokenUntil: integer("previous_token_until"),
    /** Rises with every change: what was decided on another version is not written. */
    version: integer("version").notNull().default(1),
    /** When the sweep announces that the key expires; null when it has, or there is no end. */
    expiringAt: integer("expiring_at"),
    /** The name as it is searched. */
    nameFolded: text("name_folded").notNull().default(""),
  },
  (t) => [
    uniqueIndex("api_keys_dns_name").on(t.dnsName).where(sql`dns_name is not null`),
    index("api_keys_token_short").on(t.tokenShort),
    index("api_keys_expiring").on(t.expiringAt).where(sql`expiring_at is not null`),
  ],
);

/** Digests that authenticate a key: its token, and after a refresh with grace the one before. */
export const keyTokens = sqliteTable(
  "key_tokens",
  {
    digest: text("digest").primaryKey(),
    keyId: integer("key_id").notNull(),
    /** `null`: current. A time: works until then. */
    validUntil: integer("valid_until"),
  },
  (t) => [index("key_tokens_key").on(t.keyId)],
);

/** Which keys an organisation has: the list of keys of an organisation, and their use in it. */
export const organisationKeys = sqliteTable(
  "organisation_keys",
  {
    organisationId: integer("organisation_id").notNull(),
    keyId: integer("key_id").notNull(),
    createdAt: integer("created_at").notNull(),
    lastUsedAt: integer("last_used_at"),
    /** As the key has it: a list of the blocked ones is a range as well. */
    blocked: integer("blocked", { mode: "boolean" }).notNull().default(false),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.keyId] }),
    index("organisation_keys_blocked").on(t.organisationId, t.blocked),
  ],
);

/** Session tokens whose operator has signed out before their end: read together with the key. */
export const signedOutTokens = sqliteTable(
  "signed_out_tokens",
  {
    keyId: integer("key_id").notNull(),
    tokenId: text("token_id").notNull(),
    expiresAt: integer("expires_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.keyId, t.tokenId] }),
    index("signed_out_tokens_expiry").on(t.expiresAt),
  ],
);

/** Who may sign in as which key by their address: the emails, in lower case, of keys that let operators in. */
export const operatorEmails = sqliteTable(
  "operator_emails",
  {
    email: text("email").notNull(),
    keyId: integer("key_id").notNull(),
  },
  (t) => [primaryKey({ columns: [t.email, t.keyId] })],
);

/**
 * The read model of sessions. Clustered as (organisation, kind, ended, created, id): the live ones of
 * an organisation are one range in the order of its list, its ended ones another in the order of
 * retention. Ending a session moves its row, and costs one row like any other change.
 */
export const sessions = sqliteTable(
  "sessions",
  {
    organisationId: integer("organisation_id").notNull(),
    kind: text("kind").$type<"relay" | "source">().notNull(),
    /** 0: it lives; 1: it expired; 2: it failed. */
    ended: integer("ended").$type<0 | 1 | 2>().notNull(),
    createdAt: integer("created_at").notNull(),
    id: text("id").notNull(),
    endedAt: integer("ended_at"),
    /** Of the session's state that this row shows: a lower one never overwrites a higher one. */
    version: integer("version").notNull(),
    /** All events up to this version are on the queue: the object's outbox is drained to here. */
    announced: integer("announced").notNull(),
    /** When the sweep has to look at it; null when nothing is owed any more. */
    sweepAt: integer("sweep_at"),
    /** The session's state as JSON; it holds no token (they are derived). */
    state: text("state").notNull(),
    /** What source sessions are looked up by; null in relay sessions, which then cost no index entry. */
    keyId: integer("key_id"),
    userId: integer("user_id"),
    sourceId: integer("source_id"),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.kind, t.ended, t.createdAt, t.id] }),
    index("sessions_sweep").on(t.sweepAt).where(sql`sweep_at is not null`),
    // Each filter of the list of source sessions, in the order of the list, per way of having ended.
    index("sessions_by_key")
      .on(t.organisationId, t.keyId, t.ended, t.createdAt, t.id)
      .where(sql`key_id is not null`),
    index("sessions_by_user")
      .on(t.organisationId, t.userId, t.ended, t.createdAt, t.id)
      .where(sql`user_id is not null`),
    index("sessions_by_source")
      .on(t.organisationId, t.sourceId, t.ended, t.createdAt, t.id)
      .where(sql`source_id is not null`),
    index("sessions_by_end")
      .on(t.organisationId, t.endedAt)
      .where(sql`source_id is not null and ended = 1`),
  ],
);

/** How many sessions there are, kept by the projection so that a list counts nothing. */
export const sessionCounts = sqliteTable(
  "session_counts",
  {
    organisationId: integer("organisation_id").notNull(),
    kind: text("kind").notNull(),
    live: integer("live").notNull(),
    /** The ended ones too. Kept for source sessions only: their list shows both. */
    total: integer("total").notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.kind] })],
);

/** Join codes of live sessions, by keyed digest. */
export const joinCodes = sqliteTable(
  "join_codes",
  {
    digest: text("digest").primaryKey(),
    sessionId: text("session_id").notNull(),
    organisationId: integer("organisation_id").notNull(),
    expiresAt: integer("expires_at").notNull(),
  },
  (t) => [index("join_codes_expiry").on(t.expiresAt)],
);

/** Events, once each. The id is a UUIDv7, so that the key is also the order of time. */
export const events = sqliteTable(
  "events",
  {
    organisationId: integer("organisation_id").notNull(),
    id: text("id").notNull(),
    type: text("type").$type<EventType>().notNull(),
    at: integer("at").notNull(),
    data: text("data").notNull(),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.id] })],
);

/**
 * Events of what lives in D1 that may not be on the queue yet: written with the change, removed once
 * they are sent. Event ids begin with their time, so the oldest are the first rows.
 */
export const owedEvents = sqliteTable("owed_events", {
  id: text("id").primaryKey(),
  organisationId: integer("organisation_id").notNull(),
});

/** One event owed to one address. The id begins with the event's, so it sorts by time as well. */
export const deliveries = sqliteTable(
  "deliveries",
  {
    organisationId: integer("organisation_id").notNull(),
    id: text("id").notNull(),
    eventId: text("event_id").notNull(),
    eventType: text("event_type").$type<EventType>().notNull(),
    format: text("format").$type<"relay-session" | "standard" | "ricloud">().notNull(),
    url: text("url").notNull(),
    status: text("status").$type<"pending" | "delivered" | "failed" | "discarded">().notNull(),
    /** JSON array of attempts, oldest first. */
    attempts: text("attempts").notNull(),
    /** How many attempts of the schedule were made: what a queue message asks for is checked against it. */
    attemptCount: integer("attempt_count").notNull(),
    nextAttemptAt: integer("next_attempt_at"),
    /** The webhook endpoint it is owed to, whose address then counts; null: just to `url`. */
    endpointId: text("endpoint_id"),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.id] }),
    // What did not arrive, to be found by people and sent again. What arrives costs no entry here.
    index("deliveries_undelivered")
      .on(t.organisationId, t.id)
      .where(sql`status in ('failed', 'discarded')`),
  ],
);

/** Who wants to hear of an organisation's events. */
export const webhookEndpoints = sqliteTable(
  "webhook_endpoints",
  {
    organisationId: integer("organisation_id").notNull(),
    id: text("id").notNull(),
    url: text("url").notNull(),
    format: text("format").$type<"standard" | "ricloud">().notNull(),
    enabled: integer("enabled", { mode: "boolean" }).notNull(),
    /** What the last test delivery found; null: none has come back yet. */
    valid: integer("valid", { mode: "boolean" }),
    secretVersion: integer("secret_version").notNull().default(1),
    /** Rotated secrets that still sign, newest last. */
    previousSecrets: text("previous_secrets", { mode: "json" })
      .$type<PreviousSecret[]>()
      .notNull()
      .default([]),
    description: text("description").notNull().default(""),
    /** Names, or beginnings of names such as `device.*`; null: all. */
    eventTypes: text("event_types", { mode: "json" }).$type<string[]>(),
    /** Why we have disabled it: its receiver said 410, or nothing arrived for days. */
    disabledReason: text("disabled_reason").$type<"gone" | "failing">(),
    /** The first failure since something arrived; null while all is well, which then costs no row. */
    failingSince: integer("failing_since"),
    /** Rises with every change that is an event. */
    version: integer("version").notNull().default(1),
    /** Where the API was called when it was made: its own host gets no webhooks. */
    origin: text("origin").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.id] })],
);

/** Work that sends again what did not reach an endpoint, page after page. */
export const webhookRecoveries = sqliteTable(
  "webhook_recoveries",
  {
    organisationId: integer("organisation_id").notNull(),
    id: text("id").notNull(),
    endpointId: text("endpoint_id").notNull(),
    since: integer("since").notNull(),
    until: integer("until").notNull(),
    /** The last delivery that was looked at; null before the first page. */
    reached: text("reached"),
    /** Too low by what a page sent whose note was lost: what arrived then is not found again. */
    resent: integer("resent").notNull().default(0),
    createdAt: integer("created_at").notNull(),
    finishedAt: integer("finished_at"),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.id] })],
);

/** People or accounts at an organisation, to whom sources belong. Ids count up per organisation. */
export const users = sqliteTable(
  "users",
  {
    organisationId: integer("organisation_id").notNull(),
    id: integer("id").notNull(),
    identifier: text("identifier").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.id] }),
    uniqueIndex("users_identifier").on(t.organisationId, t.identifier),
  ],
);

/**
 * Third-party accounts. Ids count up per organisation. Each filter of their list has an index: a
 * source is made once and used for long.
 */
export const sources = sqliteTable(
  "sources",
  {
    organisationId: integer("organisation_id").notNull(),
    id: integer("id").notNull(),
    userId: integer("user_id").notNull(),
    type: text("type").notNull(),
    identifier: text("identifier").notNull(),
    state: text("state")
      .$type<"unvalidated" | "active" | "deactivated" | "blocked" | "locked">()
      .notNull(),
    /** When the session was made that `state` comes from: an older one never overwrites it. */
    stateAt: integer("state_at").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.id] }),
    uniqueIndex("sources_identity").on(t.organisationId, t.identifier, t.type, t.userId),
    index("sources_by_user").on(t.organisationId, t.userId, t.id),
    index("sources_by_type").on(t.organisationId, t.type, t.id),
    index("sources_by_state").on(t.organisationId, t.state, t.id),
  ],
);

/** The adapters that verify access to sources, one per organisation and type. Their secret is derived. */
export const connectors = sqliteTable(
  "connectors",
  {
    organisationId: integer("organisation_id").notNull(),
    type: text("type").notNull(),
    url: text("url").notNull(),
    timeoutSeconds: integer("timeout_seconds").notNull(),
    checkIntervalSeconds: integer("check_interval_seconds"),
    sessionTtlSeconds: integer("session_ttl_seconds").notNull(),
    idleSeconds: integer("idle_seconds").notNull(),
    /** Also the version of its secret: one that is deleted and made again gets another. */
    createdAt: integer("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.type] })],
);

/** Queue messages that nobody could use: unparseable, or out of retries. */
export const deadLetters = sqliteTable("dead_letters", {
  id: text("id").primaryKey(),
  queue: text("queue").notNull(),
  at: integer("at").notNull(),
  reason: text("reason").notNull(),
  body: text("body").notNull(),
});

/** The first answer to a POST with an Idempotency-Key. `answer` is null while it still runs. */
export const idempotencyKeys = sqliteTable(
  "idempotency_keys",
  {
    organisationId: integer("organisation_id").notNull(),
    keyId: integer("key_id").notNull(),
    idempotencyKey: text("idempotency_key").notNull(),
    requestDigest: text("request_digest").notNull(),
    createdAt: integer("created_at").notNull(),
    /** Encrypted: answers may show a secret. */
    answer: text("answer"),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.keyId, t.idempotencyKey] }),
    index("idempotency_keys_age").on(t.createdAt),
  ],
);

/** Connections: named endpoints of an organisation. */
export const connections = sqliteTable(
  "connections",
  {
    organisationId: integer("organisation_id").notNull(),
    connectionId: text("connection_id").notNull(),
    memo: text("memo").notNull(),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.connectionId] })],
);

/** How many connections an organisation has, kept so that a list counts nothing. */
export const connectionCounts = sqliteTable("connection_counts", {
  organisationId: integer("organisation_id").primaryKey(),
  registered: integer("registered").notNull(),
});

/**
 * Relay permissions, clustered as they are listed. The two indexes are lists as well, one range for
 * each filter in the order of the key, so that a page of a filtered list is read and not searched.
 */
export const relayPermissions = sqliteTable(
  "relay_permissions",
  {
    organisationId: integer("organisation_id").notNull(),
    connectionId: text("connection_id").notNull(),
    remoteConnectionId: text("remote_connection_id").notNull(),
    direction: text("direction").$type<"send" | "receive">().notNull(),
    enabled: integer("enabled", { mode: "boolean" }).notNull(),
    memo: text("memo").notNull(),
    /** Rises with every change: webhooks are not ordered. */
    version: integer("version").notNull().default(1),
  },
  (t) => [
    primaryKey({
      columns: [t.organisationId, t.connectionId, t.remoteConnectionId, t.direction],
    }),
    index("relay_permissions_by_state").on(
      t.organisationId,
      t.direction,
      t.enabled,
      t.connectionId,
      t.remoteConnectionId,
    ),
    index("relay_permissions_by_remote").on(
      t.organisationId,
      t.remoteConnectionId,
      t.direction,
      t.enabled,
      t.connectionId,
    ),
  ],
);

/**
 * How many relay permissions there are, by direction and state: of an organisation (`all`, with an
 * empty id), of a connection as the local side, and of one as the remote side.
 */
export const relayPermissionCounts = sqliteTable(
  "relay_permission_counts",
  {
    organisationId: integer("organisation_id").notNull(),
    side: text("side").$type<"all" | "local" | "remote">().notNull(),
    connectionId: text("connection_id").notNull(),
    sendEnabled: integer("send_enabled").notNull().default(0),
    sendDisabled: integer("send_disabled").notNull().default(0),
    receiveEnabled: integer("receive_enabled").notNull().default(0),
    receiveDisabled: integer("receive_disabled").notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.side, t.connectionId] })],
);

/**
 * Which live sessions have users with a connection: whom to tell when its permissions change.
 * Written with the session's projection; a session without connections has no row here.
 */
export const sessionConnections = sqliteTable(
  "session_connections",
  {
    organisationId: integer("organisation_id").notNull(),
    sessionId: text("session_id").notNull(),
    connectionId: text("connection_id").notNull(),
    /** The connection was deleted while the session lived: its users are out. */
    cut: integer("cut", { mode: "boolean" }).notNull().default(false),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.sessionId, t.connectionId] }),
    index("session_connections_by_connection").on(t.organisationId, t.connectionId),
  ],
);

/** What devices pair with. */
export const applications = sqliteTable(
  "applications",
  {
    id: text("id").primaryKey(),
    organisationId: integer("organisation_id").notNull(),
    name: text("name").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("applications_by_organisation").on(t.organisationId, t.createdAt)],
);

/**
 * Pairing requests. Clustered as (status, application, id), ids in the order of time: the pending ones
 * of an application are one range, few by its caps, in which a device's or an address's are counted
 * without an index; the pending ones of all are one range for the sweep. Ending one moves its row.
 */
export const pairingRequests = sqliteTable(
  "pairing_requests",
  {
    status: text("status")
      .$type<"pending" | "approved" | "rejected" | "expired" | "superseded">()
      .notNull(),
    applicationId: text("application_id").notNull(),
    id: text("id").notNull(),
    organisationId: integer("organisation_id").notNull(),
    deviceId: text("device_id").notNull(),
    remoteIp: text("remote_ip").notNull(),
    expiresAt: integer("expires_at").notNull(),
    /** Drawn by whoever ended it: the rest of that batch does its work only where it is there. */
    claim: text("claim"),
    /** What is asked for, as JSON; never changes. */
    asked: text("asked").notNull(),
    /** How it ended, as JSON; null while it is pending. */
    outcome: text("outcome"),
  },
  (t) => [primaryKey({ columns: [t.status, t.applicationId, t.id] })],
);

/**
 * Devices, clustered as they are listed; removed ones apart, until retention. `state` is the device as
 * JSON: it holds digests of its tokens, and no token.
 */
export const devices = sqliteTable(
  "devices",
  {
    applicationId: text("application_id").notNull(),
    removed: integer("removed", { mode: "boolean" }).notNull(),
    createdAt: integer("created_at").notNull(),
    id: text("id").notNull(),
    /** Of the state: a change is written only over the version that it was made from. */
    version: integer("version").notNull(),
    lastSeenAt: integer("last_seen_at"),
    state: text("state").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.applicationId, t.removed, t.createdAt, t.id] }),
    uniqueIndex("devices_by_id").on(t.applicationId, t.id),
  ],
);

/** Where a device token leads. What it is worth is in the device's state. */
export const deviceTokens = sqliteTable("device_tokens", {
  digest: text("digest").primaryKey(),
  applicationId: text("application_id").notNull(),
  deviceId: text("device_id").notNull(),
  role: text("role").notNull(),
});

/** Setup codes that are out, by keyed digest. A used one is gone; they live ten minutes at most. */
export const setupCodes = sqliteTable("setup_codes", {
  digest: text("digest").primaryKey(),
  expiresAt: integer("expires_at").notNull(),
  keyId: integer("key_id").notNull(),
  role: text("role").notNull(),
  scopes: text("scopes", { mode: "json" }).$type<string[]>().notNull(),
});

/**
 * Nonces that were used, by the half hour in which they were: a nonce is looked for in this one and in
 * the one before, and what is older goes in one range.
 */
export const usedNonces = sqliteTable(
  "used_nonces",
  {
    halfHour: integer("half_hour").notNull(),
    /** Whose nonce it is: an access key, or an application. */
    owner: text("owner").notNull(),
    nonce: text("nonce").notNull(),
    usedAt: integer("used_at").notNull(),
    claim: text("claim").notNull(),
  },
  (t) => [primaryKey({ columns: [t.halfHour, t.owner, t.nonce] })],
);

/**
 * Which live relay sessions have users with a device: whom to tell when it is revoked. Written with
 * the session's projection; a session without devices has no row here.
 */
export const sessionDevices = sqliteTable(
  "session_devices",
  {
    organisationId: integer("organisation_id").notNull(),
    sessionId: text("session_id").notNull(),
    deviceId: text("device_id").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.sessionId, t.deviceId] }),
    index("session_devices_by_device").on(t.organisationId, t.deviceId),
  ],
);
