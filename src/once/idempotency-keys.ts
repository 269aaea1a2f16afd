/** Idempotency keys in D1. */
import { and, eq, isNull, lt, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { idempotencyKeys } from "../db/schema/once";

/** How long an answer is kept. */
const KEPT_MS = 86_400_000;
/** A first request without an answer for so long does not run any more: no call takes half as long. */
const RUNNING_MS = 60_000;

/** Whose idempotency keys these are: what one of them did is given again to nobody else. */
export interface IdempotencyScope {
  /** Where the request acts; 0 for the root token. */
  organisationId: number;
  /** The API key; 0 for the root token. */
  keyId: number;
  /** Which of the people with this API key; null: whoever has the API key itself. */
  person: string | null;
}

/** A use of an idempotency key. */
export interface IdempotencyClaim extends IdempotencyScope {
  idempotencyKey: string;
  /** Of the request that it was used for. */
  requestDigest: string;
  /** When, Unix milliseconds: tells this use from those before and after it. */
  createdAt: number;
}

/** What is known of the first use of a key. */
export interface FirstUse {
  requestDigest: string;
  /** Encrypted; null: it has none yet, or could not be kept. */
  answer: string | null;
  /** Whether it may still get one. */
  mayRun: boolean;
}

/** Claims the key for this request; false when it was used before. Of concurrent twins one gets it. */
export async function claimIdempotencyKey(db: Database, claim: IdempotencyClaim): Promise<boolean> {
  const { organisationId, keyId, requestDigest, createdAt } = claim;
  const claimed = await db
    .insert(idempotencyKeys)
    .values({
      organisationId,
      keyId,
      idempotencyKey: storedName(claim),
      requestDigest,
      createdAt,
    })
    .onConflictDoUpdate({
      target: [
        idempotencyKeys.organisationId,
        idempotencyKeys.keyId,
        idempotencyKeys.idempotencyKey,
      ],
      set: { createdAt, requestDigest, answer: null },
      setWhere: lt(idempotencyKeys.createdAt, createdAt - KEPT_MS),
    })
    .returning({ createdAt: idempotencyKeys.createdAt });
  return claimed.length > 0;
}

/** The use that was there before this one, if there was one. */
export async function findFirstUse(
  db: Database,
  claim: IdempotencyClaim,
): Promise<FirstUse | null> {
  const { requestDigest, answer, createdAt } = idempotencyKeys;
  const [first] = await db
    .select({ requestDigest, answer, createdAt })
    .from(idempotencyKeys)
    .where(isOfKey(claim));
  return first ? { ...first, mayRun: first.createdAt >= claim.createdAt - RUNNING_MS } : null;
}

/** Keeps the (encrypted) answer to this use. */
export async function keepAnswer(
  db: Database,
  claim: IdempotencyClaim,
  answer: string,
): Promise<void> {
  await db.update(idempotencyKeys).set({ answer }).where(isClaim(claim));
}

/** Gives the key back: this use has nothing to keep. */
export async function releaseIdempotencyKey(db: Database, claim: IdempotencyClaim): Promise<void> {
  await db.delete(idempotencyKeys).where(and(isClaim(claim), isNull(idempotencyKeys.answer)));
}

/** Removes a page of the answers that were kept long enough; returns how many. */
export async function sweepIdempotencyKeys(
  db: Database,
  now: number,
  limit: number,
): Promise<number> {
  const { meta } = await db.run(sql`delete from ${idempotencyKeys}
    where (organisation_id, key_id, idempotency_key) in (
      select organisation_id, key_id, idempotency_key from ${idempotencyKeys}
      where created_at < ${now - KEPT_MS} order by created_at limit ${limit})`);
  return meta.changes;
}

/** The row of this very use: another one of the same key has another time. */
function isClaim(claim: IdempotencyClaim) {
  return and(isOfKey(claim), eq(idempotencyKeys.createdAt, claim.createdAt));
}

function isOfKey(claim: IdempotencyClaim) {
  return and(
    eq(idempotencyKeys.organisationId, claim.organisationId),
    eq(idempotencyKeys.keyId, claim.keyId),
    eq(idempotencyKeys.idempotencyKey, storedName(claim)),
  );
}

/** A person's key with the person before it. No key has a space, so the two cannot be mistaken. */
function storedName({ person, idempotencyKey }: IdempotencyClaim): string {
  return person === null ? idempotencyKey : `${person} ${idempotencyKey}`;
}
