/**
 * The D1 tables of idempotency keys and nonces. Times are Unix milliseconds.
 * `docs/storage.md` describes every table, and `CONTRIBUTING.md` how to add one.
 */
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** The first answer to a request with an Idempotency-Key. `answer` is null while that request runs. */
export const idempotencyKeys = sqliteTable(
  "idempotency_keys",
  {
    organisationId: integer("organisation_id").notNull(),
    keyId: integer("key_id").notNull(),
    /** The key as it was sent. For a person who signed in: that person, a space, and the key. */
    idempotencyKey: text("idempotency_key").notNull(),
    requestDigest: text("request_digest").notNull(),
    createdAt: integer("created_at").notNull(),
    /** Encrypted, because an answer can show a secret. */
    answer: text("answer"),
  },
  (t) => [
    primaryKey({ columns: [t.organisationId, t.keyId, t.idempotencyKey] }),
    index("idempotency_keys_age").on(t.createdAt),
  ],
);

/**
 * Nonces that were used, by the half hour of their use. A nonce is searched in the current half hour and
 * in the one before. All older rows are one range, which the sweep removes.
 */
export const usedNonces = sqliteTable(
  "used_nonces",
  {
    halfHour: integer("half_hour").notNull(),
    /** The owner of the nonce, such as an access key, an application or a connector. */
    owner: text("owner").notNull(),
    nonce: text("nonce").notNull(),
    usedAt: integer("used_at").notNull(),
    claim: text("claim").notNull(),
  },
  (t) => [primaryKey({ columns: [t.halfHour, t.owner, t.nonce] })],
);
