/** Removes the keys of a deleted organisation, a page at a time. */
import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import {
  apiKeys,
  keyTokens,
  operatorEmails,
  organisationKeys,
  signedOutTokens,
} from "../db/schema/organisations";
import { forgetKeysOf } from "./key-cache";

/**
 * Takes up to `limit` keys out of an organisation, and deletes those of them that belong to no other. They have
 * stopped to work before: see `liveOrganisationIds` in `key-store.ts`.
 * @returns how many were taken out
 */
export async function removeOrganisationKeys(
  db: Database,
  organisationId: number,
  limit: number,
): Promise<number> {
  const page = sql`select key_id from ${organisationKeys} where organisation_id = ${organisationId}
    order by key_id limit ${limit}`;
  const orphans = sql`select id from ${apiKeys} where id in (${page}) and organisation_ids = '[]'`;
  const without = sql`(select json_group_array(value) from json_each(${apiKeys.organisationIds})
    where value <> ${organisationId})`;
  const { removed } = await runBatch(db, {
    changed: db
      .update(apiKeys)
      .set({ organisationIds: without, version: sql`version + 1` })
      .where(sql`${apiKeys.id} in (${page})`),
    tokens: db.delete(keyTokens).where(sql`${keyTokens.keyId} in (${orphans})`),
    // One key may have very many. The sweep removes what is left when it is over, as of any key.
    signedOut: db.delete(signedOutTokens).where(
      sql`(key_id, token_id) in (select key_id, token_id from ${signedOutTokens}
        where key_id in (${orphans}) limit ${limit})`,
    ),
    emails: db.delete(operatorEmails).where(
      sql`(email, key_id) in (select lower(value), ${apiKeys.id} from ${apiKeys}, json_each(emails)
        where ${apiKeys.id} in (${orphans}))`,
    ),
    keys: db.delete(apiKeys).where(sql`id in (${orphans})`),
    // Last, since the page is found by them.
    removed: db
      .delete(organisationKeys)
      .where(sql`organisation_id = ${organisationId} and key_id in (${page})`),
  });
  forgetKeysOf(organisationId);
  return removed.meta.changes;
}
