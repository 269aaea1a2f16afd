/** Finds the organisations that have rows older than retention allows. */
import { sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { applications } from "../db/schema/devices";
import { organisations } from "../db/schema/organisations";
import { sessions } from "../db/schema/sessions";
import { webhookRecoveries } from "../db/schema/webhooks";

/** An organisation, and what it has that is older than a cutoff. */
export interface DueOrganisation {
  id: number;
  /** Sessions that ended before the cutoff. */
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
 * @param cutoff Unix milliseconds
 */
export async function listDueOrganisations(
  db: Database,
  share: { remainder: number; shares: number; after: number; limit: number },
  cutoff: number,
): Promise<DueOrganisation[]> {
  const ended = (kind: string) => sql`exists (select 1 from ${sessions} where organisation_id = o.id
    and kind = ${kind} and ended in (1, 2) and created_at < ${cutoff} and ended_at < ${cutoff})`;
  const rows = await db.all<Record<keyof DueOrganisation, number>>(sql`select o.id,
      ${ended("relay")} or ${ended("source")} as hasSessions,
      exists (select 1 from ${webhookRecoveries} where organisation_id = o.id
        and created_at < ${cutoff}) as hasRows,
      exists (select 1 from ${applications} where organisation_id = o.id) as hasApplications
    from ${organisations} o
    where o.id > ${share.after} and o.id % ${share.shares} = ${share.remainder}
    order by o.id limit ${share.limit}`);
  return rows.map(({ id, hasSessions, hasRows, hasApplications }) => ({
    id,
    hasSessions: hasSessions === 1,
    hasRows: hasRows === 1,
    hasApplications: hasApplications === 1,
  }));
}
