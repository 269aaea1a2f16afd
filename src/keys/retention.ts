/** Removes the keys of a deleted organisation, for the sweep. */
import { and, eq, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import {
  apiKeys,
  keyTokens,
  operatorEmails,
  organisationKeys,
  signedOutTokens,
} from "../db/schema/organisations";
import { forgetKey } from "./key-cache";

/** Deletes the keys that belong only to this organisation, and takes the organisation out of the others. */
export async function removeOrganisationKeys(db: Database, organisationId: number): Promise<void> {
  const keyIds = await db
    .select({ id: organisationKeys.keyId })
    .from(organisationKeys)
    .where(eq(organisationKeys.organisationId, organisationId));
  const mine = sql`select key_id from ${organisationKeys} where organisation_id = ${organisationId}`;
  const orphans = sql`select id from ${apiKeys} where id in (${mine}) and organisation_ids = '[]'`;
  const without = sql`(select json_group_array(value) from json_each(${apiKeys.organisationIds})
    where value <> ${organisationId})`;
  await db.batch([
    db
      .update(apiKeys)
      .set({ organisationIds: without, version: sql`version + 1` })
      .where(sql`${apiKeys.id} in (${mine})`),
    db.delete(keyTokens).where(sql`${keyTokens.keyId} in (${orphans})`),
    db.delete(signedOutTokens).where(sql`${signedOutTokens.keyId} in (${orphans})`),
    db.delete(operatorEmails).where(
      sql`(email, key_id) in (select lower(value), ${apiKeys.id} from ${apiKeys}, json_each(emails)
        where ${apiKeys.id} in (${orphans}))`,
    ),
    db.delete(apiKeys).where(and(sql`id in (${mine})`, sql`organisation_ids = '[]'`)),
    db.delete(organisationKeys).where(eq(organisationKeys.organisationId, organisationId)),
  ]);
  for (const { id } of keyIds) forgetKey(id);
}
