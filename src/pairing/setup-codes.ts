/** Setup codes: each lets one device in without a decision, because an operator made it. */
import { and, eq, gt, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { setupCodes } from "../db/schema/devices";
import type { DeviceDeps, Operator } from "../devices/operator";
import type { Asked, Grant } from "../devices/profile";
import { findScopeNotHeld, isWithin } from "../devices/scopes";
import { isUsable } from "../keys/key";
import { findKeyById } from "../keys/key-cache";
import { hasPermission } from "../keys/permissions";
import { newSetupCode, setupCodeDigest } from "./challenge";

type SetupCode = typeof setupCodes.$inferSelect;

/** Makes a code that lets one device have this role with these scopes, all of which the operator holds. */
export async function createSetupCode(
  { db, secret }: Pick<DeviceDeps, "db" | "secret">,
  operator: Operator,
  applicationId: string,
  grant: { role: string; scopes: readonly string[] },
  expiresAt: number,
): Promise<
  { ok: true; code: string } | { ok: false; refusal: { code: "scope-not-held"; scope: string } }
> {
  const scope = findScopeNotHeld(operator.permissions, grant.scopes);
  if (scope !== null) return { ok: false, refusal: { code: "scope-not-held", scope } };
  const code = newSetupCode();
  await db.insert(setupCodes).values({
    digest: setupCodeDigest(secret, applicationId, code),
    expiresAt,
    keyId: operator.keyId,
    role: grant.role,
    scopes: [...grant.scopes],
  });
  return { ok: true, code };
}

/** The code that was made for this application and is not used or over; null: there is none. */
export async function findSetupCode(
  { db, secret }: Pick<DeviceDeps, "db" | "secret">,
  applicationId: string,
  code: string,
  now: number,
): Promise<SetupCode | null> {
  const rows = await db
    .select()
    .from(setupCodes)
    .where(
      and(
        eq(setupCodes.digest, setupCodeDigest(secret, applicationId, code)),
        gt(setupCodes.expiresAt, now),
      ),
    );
  return rows[0] ?? null;
}

/**
 * Whether whoever made a code could make it now: a key that was blocked, narrowed or removed since lets
 * nobody in any more.
 */
export async function isStillGiven(
  db: Database,
  code: SetupCode,
  organisationId: number,
  now: number,
): Promise<boolean> {
  const maker = await findKeyById(db, code.keyId, now, "fresh");
  return (
    maker !== null &&
    isUsable(maker, now) &&
    maker.organisationIds.includes(organisationId) &&
    hasPermission(maker.permissions, "devices:approve") &&
    findScopeNotHeld(maker.permissions, code.scopes) === null
  );
}

/** What a code grants of what a device asks for; null: the device asks for more than the code has. */
export function judgeCode(code: SetupCode, asked: Asked): Grant | null {
  const { role, roles, scopes } = asked;
  const fits = roles.every((each) => each === code.role) && isWithin(scopes, code.scopes);
  return fits ? { role, roles, scopes } : null;
}

/** In a batch: whether the code is still to be used. */
export function isCodeOut(code: SetupCode, now: number): SQL {
  return sql`exists (select 1 from ${setupCodes} where digest = ${code.digest} and expires_at > ${now})`;
}

/** The statement that uses the code up. */
export function codeRemoval(db: Database, code: SetupCode, onlyIf: SQL) {
  return db.delete(setupCodes).where(and(eq(setupCodes.digest, code.digest), onlyIf));
}

/** Removes the codes whose time is over. Reads all that are out: few, and they live ten minutes at most. */
export async function sweepSetupCodes(db: Database, now: number, limit: number): Promise<number> {
  const { meta } = await db.run(sql`delete from ${setupCodes} where digest in (
    select digest from ${setupCodes} where expires_at <= ${now} limit ${limit})`);
  return meta.changes;
}
