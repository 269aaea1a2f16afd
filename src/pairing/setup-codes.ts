/** Setup codes. An operator makes one, and it lets one device in without a further decision. */
import { createHmac, randomBytes } from "node:crypto";
import { and, eq, gt, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { setupCodes } from "../db/schema/devices";
import type { Actor } from "../devices/actor";
import type { DeviceServices } from "../devices/device-services";
import type { RequestedAccess, RolesAndScopes } from "../devices/profile";
import { areImpliedBy, findScopeNotHeld } from "../devices/scopes";
import { isUsable } from "../keys/key";
import { findKeyById } from "../keys/key-cache";
import { hasPermission } from "../keys/permissions";
import { codeFrom } from "../platform/codes";
import { deriveKey } from "../platform/derive";

/** The longest life of a setup code. The sweep reads all codes, which is cheap because they live this long only. */
export const LONGEST_SETUP_CODE_SECONDS = 600;

const CODE_LENGTH = 16;

type SetupCode = typeof setupCodes.$inferSelect;

/** A setup code that an operator wants to make. */
export interface NewSetupCode {
  applicationId: string;
  role: string;
  scopes: readonly string[];
  /** From 1 to `LONGEST_SETUP_CODE_SECONDS`. */
  ttlSeconds: number;
}

/** Makes a code that lets one device have this role with these scopes. The actor must hold all of them. */
export async function createSetupCode(
  { db, secret }: Pick<DeviceServices, "db" | "secret">,
  actor: Actor,
  { applicationId, role, scopes, ttlSeconds }: NewSetupCode,
  now: number,
): Promise<
  | { ok: true; code: string; expiresAt: number }
  | { ok: false; refusal: { code: "scope-not-held"; scope: string } }
> {
  if (!(ttlSeconds >= 1 && ttlSeconds <= LONGEST_SETUP_CODE_SECONDS)) {
    throw new RangeError(`a setup code cannot live ${ttlSeconds} seconds`);
  }
  const scope = findScopeNotHeld(actor.permissions, scopes);
  if (scope !== null) return { ok: false, refusal: { code: "scope-not-held", scope } };
  const code = codeFrom(randomBytes(16), CODE_LENGTH);
  const expiresAt = now + ttlSeconds * 1_000;
  await db.insert(setupCodes).values({
    digest: digestOf(secret, applicationId, code),
    expiresAt,
    keyId: actor.keyId,
    role,
    scopes: [...scopes],
  });
  return { ok: true, code, expiresAt };
}

/** Finds a code of this application that is not used and whose time is not over. */
export async function findSetupCode(
  { db, secret }: Pick<DeviceServices, "db" | "secret">,
  applicationId: string,
  code: string,
  now: number,
): Promise<SetupCode | null> {
  const rows = await db
    .select()
    .from(setupCodes)
    .where(
      and(
        eq(setupCodes.digest, digestOf(secret, applicationId, code)),
        gt(setupCodes.expiresAt, now),
      ),
    );
  return rows[0] ?? null;
}

/**
 * Whether the key that made a code could still make it now. If the key was blocked, removed or lost
 * permissions since then, the code lets nobody in.
 */
export async function mayMakerStillApprove(
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

/** The access that a code gives a device: all that the device requests. Null: that is more than the code has. */
export function accessOfCode(code: SetupCode, requested: RequestedAccess): RolesAndScopes | null {
  const { role, roles, scopes } = requested;
  const fits = roles.every((each) => each === code.role) && areImpliedBy(scopes, code.scopes);
  return fits ? { role, roles, scopes } : null;
}

/** A condition for a batch: the code is not used, and its time is not over. */
export function isCodeUnused(code: SetupCode, now: number): SQL {
  return sql`exists (select 1 from ${setupCodes} where digest = ${code.digest} and expires_at > ${now})`;
}

/** The statement that uses a code up, where `onlyIf` holds. */
export function codeRemoval(db: Database, code: SetupCode, onlyIf: SQL) {
  return db.delete(setupCodes).where(and(eq(setupCodes.digest, code.digest), onlyIf));
}

/** Removes a page of the codes whose time is over; returns how many. It reads all codes, which are few. */
export async function sweepSetupCodes(db: Database, now: number, limit: number): Promise<number> {
  const { meta } = await db.run(sql`delete from ${setupCodes} where digest in (
    select digest from ${setupCodes} where expires_at <= ${now} limit ${limit})`);
  return meta.changes;
}

/** What is stored in place of a code: a digest that is made with a key of the application. */
function digestOf(secret: string, applicationId: string, code: string): string {
  const key = deriveKey(secret, "setup-code", [applicationId]);
  return createHmac("sha256", key).update(code).digest("base64url");
}
