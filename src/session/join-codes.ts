/** Join codes in D1: short codes with which a player joins a session without an API key. */
import { and, eq, gt, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { joinCodes } from "../db/schema/sessions";
import { joinCode, joinCodeDigest } from "./relay-tokens";

/** How many codes are tried. With a million live codes, one in 153,000 tries meets a code that is taken. */
const MAX_CODE_TRIES = 8;

/**
 * Reserves a code for a session that is about to get it. It works when the session has it too.
 * @param first the first number that is tried
 * @returns the number that the code is derived from, with the session's id
 */
export async function reserveJoinCode(
  db: Database,
  secret: string,
  session: { id: string; organisationId: number; expiresAt: number },
  first = 0,
): Promise<number> {
  for (let draw = first; draw < first + MAX_CODE_TRIES; draw++) {
    const inserted = await db
      .insert(joinCodes)
      .values({
        digest: joinCodeDigest(secret, joinCode(secret, session.id, draw)),
        sessionId: session.id,
        organisationId: session.organisationId,
        expiresAt: session.expiresAt,
      })
      .onConflictDoNothing()
      .returning({ digest: joinCodes.digest });
    if (inserted.length > 0) return draw;
  }
  throw new Error("no free join code was drawn");
}

/**
 * The session of a code, with the digest by which the session knows whether the code is its own now. Null:
 * the code is unknown, or its session's life is over.
 */
export async function findByJoinCode(
  db: Database,
  secret: string,
  code: string,
  now: number,
): Promise<{ sessionId: string; organisationId: number; codeDigest: string } | null> {
  const rows = await db
    .select({
      sessionId: joinCodes.sessionId,
      organisationId: joinCodes.organisationId,
      codeDigest: joinCodes.digest,
    })
    .from(joinCodes)
    .where(and(eq(joinCodes.digest, joinCodeDigest(secret, code)), gt(joinCodes.expiresAt, now)));
  return rows[0] ?? null;
}

/** Removes a code that its session has no more, or never got. */
export async function removeJoinCode(
  db: Database,
  secret: string,
  { id, draw }: { id: string; draw: number },
): Promise<void> {
  const digest = joinCodeDigest(secret, joinCode(secret, id, draw));
  await db.delete(joinCodes).where(eq(joinCodes.digest, digest));
}

/** Removes a page of the codes whose session's life is over; returns how many. */
export async function sweepJoinCodes(db: Database, now: number, limit: number): Promise<number> {
  const { meta } = await db.run(sql`delete from ${joinCodes} where digest in (
    select digest from ${joinCodes} where expires_at < ${now} order by expires_at limit ${limit})`);
  return meta.changes;
}
