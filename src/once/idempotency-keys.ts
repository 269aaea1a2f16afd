/** Idempotency keys in D1: who used a key, for which request, and the answer. Called by the guard's idempotency. */
import { and, eq, isNull, lt, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { idempotencyKeys } from "../db/schema/once";

/** How long an answer is kept. */
const KEPT_MS = 86_400_000;
/** A request that has no answer after so long does not run any more: no call takes half as long. */
const RUNNING_MS = 60_000;

/** The caller to whom idempotency keys belong. Nobody else gets the answers. */
export interface IdempotencyScope {
  /** The organisation in which the request is made; 0 for the root token. */
  organisationId: number;
  /** The API key; 0 for the root token. */
  keyId: number;
  /** The operator who signed in with this API key. Null: the request was sent with the API key itself. */
  person: string | null;
}

/** A use of an idempotency key by one request. */
export interface IdempotencyClaim extends IdempotencyScope {
  idempotencyKey: string;
  /** The digest of that request. */
  requestDigest: string;
  /** The time of this use, Unix milliseconds. It tells this use from earlier and later ones of the key. */
  createdAt: number;
}

/** The first use of a key. */
export interface FirstUse {
  requestDigest: string;
  /** Encrypted. Null: there is none yet, or it could not be kept. */
  answer: string | null;
  /** Whether the request may still run, and so may still get an answer. */
  mayRun: boolean;
}

/** Claims the key for this request. False: it was used before. Of several requests at once, one gets true. */
export async function claimIdempotencyKey(db: Database, claim: IdempotencyClaim): Promise<boolean> {
  return (await claimInsertion(db, claim)).length > 0;
}

/** The statement that claims the key. It returns a row if it did. */
export function claimInsertion(db: Database, claim: IdempotencyClaim) {
  const { organisationId, keyId, requestDigest, createdAt } = claim;
  return db
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
}

/** A condition for the same batch, before the insertion: whether it will claim the key. */
export function isUnclaimed(claim: IdempotencyClaim): SQL {
  return sql`not exists (select 1 from ${idempotencyKeys} where ${isOfKey(claim)}
    and created_at >= ${claim.createdAt - KEPT_MS})`;
}

/** The use of this key that came before this one, or null. */
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

/** Gives the key free again, because this use has no answer that is kept. */
export async function releaseIdempotencyKey(db: Database, claim: IdempotencyClaim): Promise<void> {
  await db.delete(idempotencyKeys).where(and(isClaim(claim), isNull(idempotencyKeys.answer)));
}

/** Removes a page of answers that are older than 24 h. Returns how many. */
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

/** The condition for the row of this use: other uses of the same key have another time. */
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

/** The key as it is stored: an operator's key has the operator before it. No idempotency key has a space. */
function storedName({ person, idempotencyKey }: IdempotencyClaim): string {
  return person === null ? idempotencyKey : `${person} ${idempotencyKey}`;
}
