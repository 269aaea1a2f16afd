/** Says in the log, and to the organisation of those who run the deployment, that D1 fills. */
import { runBatch } from "../db/batch";
import { askSize, spaceOf } from "../db/size";
import type { DatabaseEventData } from "../events/database-event";
import { type DomainEvent, newEventId } from "../events/event";
import { claimInsertion, isUnclaimed } from "../once/idempotency-keys";
import { findOrganisation } from "../organisations/organisation-store";
import { log } from "../platform/log";
import type { SweepServices } from "./tasks";

/**
 * Asks D1 for its size. From 70 % of the limit on, it writes a line of the log in every run, and an event
 * once a day. From 90 % on, once more: then creates are refused.
 *
 * The event goes to one organisation, which a var names. The customers of a deployment can do nothing about
 * its database; and thousands of events would be written into it when there is least room.
 */
export async function reportDatabaseSize({
  db,
  events,
  config,
  now,
}: SweepServices): Promise<void> {
  const { databaseLimitBytes: limitBytes, operatorOrganisationId } = config;
  const bytes = await askSize(db);
  const space = spaceOf(bytes, limitBytes);
  if (space !== "filling" && space !== "full") return;
  log(`database ${space}`, { bytes, limit_bytes: limitBytes });
  if (operatorOrganisationId === null) return;
  if (!(await findOrganisation(db, operatorOrganisationId))) return;
  const event: DomainEvent<DatabaseEventData> = {
    id: newEventId(now),
    organisationId: operatorOrganisationId,
    type: "service.database_filling",
    at: now,
    data: { database: { bytes, limitBytes, isFull: space === "full" } },
  };
  // The mark and the event are stored together: neither is there without the other.
  const mark = {
    organisationId: operatorOrganisationId,
    keyId: 0,
    person: "sweep",
    idempotencyKey: `database-${space}`,
    requestDigest: event.id,
    createdAt: now,
  };
  const { marked } = await runBatch(db, {
    event: events.insertion([event], isUnclaimed(mark)),
    marked: claimInsertion(db, mark),
  });
  if (marked.length > 0) events.sendAfterAnswer([event]);
}
