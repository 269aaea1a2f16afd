/** Operators in D1: session tokens that were signed out, and the e-mail addresses that may sign in. */
import { and, asc, eq, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { operatorEmails, organisationKeys, signedOutTokens } from "../db/schema/organisations";
import { forgetKey } from "../keys/key-cache";
import type { OperatorSession } from "./session-token";

/** Keys that list the same address: more than one person manages. */
const MAX_KEYS = 50;

/** Ends a session early: at once in this isolate, in others when they read the key again. */
export async function signOut(db: Database, session: OperatorSession): Promise<void> {
  await db
    .insert(signedOutTokens)
    .values({ keyId: session.keyId, tokenId: session.tokenId, expiresAt: session.expiresAt })
    .onConflictDoNothing();
  forgetKey(session.keyId);
}

/** Removes a page of sign-outs whose session token has expired anyway. Returns how many. */
export async function sweepSignedOut(db: Database, now: number, limit: number): Promise<number> {
  const over = sql`(key_id, token_id) in (select key_id, token_id from ${signedOutTokens}
    where expires_at <= ${now} order by expires_at limit ${limit})`;
  const { meta } = await db.run(sql`delete from ${signedOutTokens} where ${over}`);
  return meta.changes;
}

/** The ids of the keys as which this address may sign in, oldest first: in one organisation, or in any (null). */
export async function findOperatorKeyIds(
  db: Database,
  email: string,
  organisationId: number | null,
): Promise<number[]> {
  const actsThere = sql`exists (select 1 from ${organisationKeys}
    where organisation_id = ${organisationId} and key_id = ${operatorEmails.keyId})`;
  const rows = await db
    .select({ keyId: operatorEmails.keyId })
    .from(operatorEmails)
    .where(and(eq(operatorEmails.email, email), organisationId === null ? undefined : actsThere))
    .orderBy(asc(operatorEmails.keyId))
    .limit(MAX_KEYS);
  return rows.map(({ keyId }) => keyId);
}
