/** Finds the organisations that have relay sessions which ended a while ago, or rows older than retention allows. */
import { inArray, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { applications } from "../db/schema/devices";
import { organisations } from "../db/schema/organisations";
import { sessions } from "../db/schema/sessions";
import { webhookRecoveries } from "../db/schema/webhooks";
import type { Ended } from "../session/session-key";

/** An organisation, and what it has that is older than a cutoff. */
export interface DueOrganisation {
  id: number;
  /** Relay sessions whose `ended` is one of those that are to be removed, with all events recorded. */
  hasEndedRelays: boolean;
  /** Source sessions that ended before the cutoff. */
  hasSessions: boolean;
  /** Recoveries from before the cutoff. */
  hasRows: boolean;
  /** Applications, of any age: whether they have old rows is looked up in each of them. */
  hasApplications: boolean;
}

/**
 * A page of the organisations of one share, in the order of their ids, with what is due in each. It is one
 * query, however many they are.
 * @param share the organisations whose id divided by `shares` leaves `remainder`. `after`: the last id of
 *   the page before
 * @param old `cutoff`: Unix milliseconds. `ended`: of relay sessions that are to be removed
 */
export async function listDueOrganisations(
  db: Database,
  share: { remainder: number; shares: number; after: number; limit: number },
  { cutoff, ended }: { cutoff: number; ended: readonly Ended[] },
): Promise<DueOrganisation[]> {
  const rows = await db.all<Record<keyof DueOrganisation, number>>(sql`select o.id,
      exists (select 1 from ${sessions} where organisation_id = o.id and kind = 'relay'
        and ${inArray(sql`ended`, [...ended])} and announced >= version) as hasEndedRelays,
      exists (select 1 from ${sessions} where organisation_id = o.id and kind = 'source'
        and ended in (1, 2) and created_at < ${cutoff} and ended_at < ${cutoff}) as hasSessions,
      exists (select 1 from ${webhookRecoveries} where organisation_id = o.id
        and created_at < ${cutoff}) as hasRows,
      exists (select 1 from ${applications} where organisation_id = o.id) as hasApplications
    from ${organisations} o
    where o.id > ${share.after} and o.id % ${share.shares} = ${share.remainder}
    order by o.id limit ${share.limit}`);
  return rows.map(({ id, hasEndedRelays, hasSessions, hasRows, hasApplications }) => ({
    id,
    hasEndedRelays: hasEndedRelays === 1,
    hasSessions: hasSessions === 1,
    hasRows: hasRows === 1,
    hasApplications: hasApplications === 1,
  }));
}
