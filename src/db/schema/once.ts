/**
 * D1 tables: idempotency keys and nonces. The migrations come from the files of this folder
 * (`npm run db:generate`), with WITHOUT ROWID added by hand to each table whose key is not a rowid: an
 * upsert then writes one row instead of two. Times are Unix milliseconds unless a name says otherwise.
 * Rows are clustered by their primary key in the order in which lists read them, so that a list needs
 * no index of its own.
 */
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** The first answer to a request with an Idempotency-Key. `answer` is null while it still runs. */
export const idempotencyKeys = sqliteTable(
  "idempotency_keys",
  {
    organisationId: integer("organisation_id").notNull(),
    keyId: integer("key_id").notNull(),
    /** As sent; of a person who signed in, after that person and a space. */
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
