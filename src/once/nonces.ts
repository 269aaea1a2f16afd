/**
 * Nonces in D1: an owner can use a nonce once within half an hour. Rows are clustered by the half hour of
 * their use, so that old ones are removed as a range, without an index.
 */
import { and, eq, gt, inArray, type SQL, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { usedNonces } from "../db/schema/once";

/** How long a nonce cannot be used again. */
export const NONCE_MS = 1_800_000;

/** One use of a nonce. */
export interface NonceUse {
  /** Such as `access-key/12`, `sign-in-code/12`, an application's id or `connector/12/icloud.account/…`. */
  owner: string;
  nonce: string;
  /** A random value, or what the nonce is used for. It tells this use from another use of the same nonce. */
  claim: string;
}

/** Uses a nonce. False: it was used before. Of several calls at once, one gets true. */
export async function useNonce(
  db: Database,
  owner: string,
  nonce: string,
  now: number,
): Promise<boolean> {
  const use = { owner, nonce, claim: crypto.randomUUID() };
  return (await nonceInsertion(db, use, now, sql`true`)).length > 0;
}

/** Uses a nonce. True even if the same claim used it before. Of several claims at once, one gets true. */
export async function claimNonce(db: Database, use: NonceUse, now: number): Promise<boolean> {
  const { rows } = await runBatch(db, {
    insertion: nonceInsertion(db, use, now, sql`true`),
    rows: db
      .select({ claim: usedNonces.claim })
      .from(usedNonces)
      .where(
        and(
          inArray(usedNonces.halfHour, [halfHourOf(now), halfHourOf(now) - 1]),
          ofOwner(use),
          gt(usedNonces.usedAt, now - NONCE_MS),
        ),
      ),
  });
  return rows[0]?.claim === use.claim;
}

/** The statement that uses a nonce if `onlyIf` is true. It returns a row if it did. */
export function nonceInsertion(db: Database, use: NonceUse, now: number, onlyIf: SQL) {
  return db
    .insert(usedNonces)
    .select(
      sql`select ${halfHourOf(now)}, ${use.owner}, ${use.nonce}, ${now}, ${use.claim}
        where not ${isUsedBefore(use, now)} and ${onlyIf}`,
    )
    .onConflictDoNothing()
    .returning({ claim: usedNonces.claim });
}

/** A condition for the same batch: whether this use got the nonce. */
export function isNonceClaimed(use: NonceUse, now: number): SQL {
  return sql`exists (select 1 from ${usedNonces} where half_hour = ${halfHourOf(now)}
    and owner = ${use.owner} and nonce = ${use.nonce} and claim = ${use.claim})`;
}

/** Whether a nonce was used in the last half hour. */
export async function isNonceUsed(
  db: Database,
  use: Pick<NonceUse, "owner" | "nonce">,
  now: number,
): Promise<boolean> {
  const rows = await db
    .select({ usedAt: usedNonces.usedAt })
    .from(usedNonces)
    .where(
      sql`(${and(eq(usedNonces.halfHour, halfHourOf(now)), ofOwner(use))}) or ${isUsedBefore(use, now)}`,
    );
  return rows.length > 0;
}

/** Removes a page of nonces that can be used again. Returns how many. */
export async function sweepNonces(db: Database, now: number, limit: number): Promise<number> {
  const { meta } = await db.run(sql`delete from ${usedNonces} where (half_hour, owner, nonce) in (
    select half_hour, owner, nonce from ${usedNonces}
    where half_hour < ${halfHourOf(now) - 1} limit ${limit})`);
  return meta.changes;
}

function isUsedBefore(use: Pick<NonceUse, "owner" | "nonce">, now: number): SQL {
  return sql`exists (select 1 from ${usedNonces} where half_hour = ${halfHourOf(now) - 1}
    and owner = ${use.owner} and nonce = ${use.nonce} and used_at > ${now - NONCE_MS})`;
}

function ofOwner(use: Pick<NonceUse, "owner" | "nonce">) {
  return and(eq(usedNonces.owner, use.owner), eq(usedNonces.nonce, use.nonce));
}

function halfHourOf(time: number): number {
  return Math.floor(time / NONCE_MS);
}
