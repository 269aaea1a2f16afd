/** Idempotency keys in D1. */
import { and, eq, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { idempotencyKeys } from "../db/schema/once";

/** How long an answer is kept. */
const KEPT_MS = 86_400_000;
/** A claim without an answer for this long belongs to a Worker that died: a twin may take it over. */
const ABANDONED_MS = 60_000;

/** A use of an idempotency key, and a digest of the request that it was used for. */
export interface Claim {
  organisationId: number;
  keyId: number;
  idempotencyKey: string;
  requestDigest: string;
}

/** Claims the key for this request; false when it was used before. Of concurrent twins one gets it. */
export async function claimKey(db: Database, claim: Claim, now: number): Promise<boolean> {
  const claimed = await db
    .insert(idempotencyKeys)
    .values({ ...claim, createdAt: now })
    .onConflictDoUpdate({
      target: [
        idempotencyKeys.organisationId,
        idempotencyKeys.keyId,
        idempotencyKeys.idempotencyKey,
      ],
      set: { createdAt: now, requestDigest: claim.requestDigest, answer: null },
      setWhere: sql`${idempotencyKeys.createdAt} < ${now - KEPT_MS}
        or (${idempotencyKeys.answer} is null and ${idempotencyKeys.createdAt} < ${now - ABANDONED_MS}
            and ${idempotencyKeys.requestDigest} = ${claim.requestDigest})`,
    })
    .returning({ createdAt: idempotencyKeys.createdAt });
  return claimed.length > 0;
}

/** What is known of the first use of a key; the answer is null while it still runs. */
export async function findFirstUse(
  db: Database,
  claim: Claim,
): Promise<{ requestDigest: string; answer: string | null } | null> {
  const rows = await db
    .select({ requestDigest: idempotencyKeys.requestDigest, answer: idempotencyKeys.answer })
    .from(idempotencyKeys)
    .where(isClaim(claim));
  return rows[0] ?? null;
}

/** Keeps the (encrypted) answer to the first use. */
export async function keepAnswer(db: Database, claim: Claim, answer: string): Promise<void> {
  await db.update(idempotencyKeys).set({ answer }).where(isClaim(claim));
}

/** Gives the key back: the request had no answer worth keeping. */
export async function releaseKey(db: Database, claim: Claim): Promise<void> {
  await db.delete(idempotencyKeys).where(isClaim(claim));
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

function isClaim(claim: Claim) {
  return and(
    eq(idempotencyKeys.organisationId, claim.organisationId),
    eq(idempotencyKeys.keyId, claim.keyId),
    eq(idempotencyKeys.idempotencyKey, claim.idempotencyKey),
  );
}
