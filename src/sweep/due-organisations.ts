/** Which organisations have something that is to be removed. */
import { sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { applications } from "../db/schema/devices";
import { events } from "../db/schema/events";
import { organisations } from "../db/schema/organisations";
import { sessions } from "../db/schema/sessions";
import { deliveries, webhookRecoveries } from "../db/schema/webhooks";
import { firstEventIdAt } from "../events/event-store";
import { firstDeliveryAt } from "../webhooks/delivery-store";

/** What an organisation has of what is older than a cutoff. */
export interface DueOrganisation {
  id: number;
  /** Sessions that ended before it. */
  hasSessions: boolean;
  /** Events, deliveries or recoveries from before it. */
  hasRows: boolean;
  /** Applications: whether something of theirs is due is for each of them to say. */
  hasApplications: boolean;
}

/**
 * A page of a share of all organisations (those whose id leaves this remainder) in the order of their
 * ids, with what is due in each: one query, whatever their number.
 * @param share `after`: the last id of the page before
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
      exists (select 1 from ${deliveries} where organisation_id = o.id
        and id < ${firstDeliveryAt(cutoff)})
      or exists (select 1 from ${events} where organisation_id = o.id and id < ${firstEventIdAt(cutoff)})
      or exists (select 1 from ${webhookRecoveries} where organisation_id = o.id
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
