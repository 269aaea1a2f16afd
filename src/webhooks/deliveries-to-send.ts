/**
 * Finds deliveries with everything that an attempt needs: from their journals the event and what was attempted
 * already, from D1 the endpoint and the secrets as they are now.
 */
import { and, eq, inArray, isNull, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { organisations } from "../db/schema/organisations";
import { webhookEndpoints } from "../db/schema/webhooks";
import type { DeliveryKey, RecordedEvent } from "../events/delivery-record";
import type { JournalClient } from "../events/journal-client";
import { eventIdOfDelivery } from "../events/journal-key";
import { describeError, log } from "../platform/log";
import type { DeliveryToSend } from "./delivery";

/** How long a batch waits for a journal. Short, because the other deliveries of the batch wait too. */
const FIND_MS = 3_000;

/** What was found of some deliveries. */
export interface FoundDeliveries {
  /** By `deliveryName`. A delivery that is in no journal is neither here nor in `unreachable`. */
  found: Map<string, DeliveryToSend>;
  /** Those whose journal could not be reached, by `deliveryName`. */
  unreachable: Set<string>;
}

/** A name for a delivery of an organisation, as a key of maps. */
export function deliveryName({ organisationId, id }: DeliveryKey): string {
  return `${organisationId} ${id}`;
}

/**
 * The deliveries with these keys: one call of each journal, and one query of D1.
 * @throws when D1 cannot be read. A journal that cannot be reached does not stop the others
 */
export async function findDeliveriesToSend(
  { db, journals }: { db: Database; journals: JournalClient },
  keys: readonly DeliveryKey[],
): Promise<FoundDeliveries> {
  const recorded: { key: DeliveryKey; recorded: RecordedEvent }[] = [];
  const unreachable = new Set<string>();
  const possible = keys.filter(({ id }) => journals.mayHold(eventIdOfDelivery(id)));
  const byOrganisation = Map.groupBy(possible, ({ organisationId }) => organisationId);
  const eventOf = ({ id }: DeliveryKey) => eventIdOfDelivery(id);
  const groups = await Promise.all(
    [...byOrganisation].map(([id, own]) => journals.groupByJournal(id, own, eventOf)),
  );
  await Promise.all(
    groups.flat().map(async ({ key, items }) => {
      const ids = [...new Set(items.map(({ id }) => eventIdOfDelivery(id)))];
      try {
        const events = await journals.call(key, (journal) => journal.find(ids), FIND_MS);
        const byId = new Map(events.map((one) => [one.event.id, one]));
        for (const item of items) {
          const one = byId.get(eventIdOfDelivery(item.id));
          if (one) recorded.push({ key: item, recorded: one });
        }
      } catch (error) {
        log("journal unreachable", { ...key, error: describeError(error) });
        for (const item of items) unreachable.add(deliveryName(item));
      }
    }),
  );
  const found = await withReceivers(db, recorded);
  return { found: new Map(found.map((one) => [deliveryName(one), one])), unreachable };
}

/** Adds the endpoints and secrets as they are now: one query for all. */
async function withReceivers(
  db: Database,
  all: readonly { key: DeliveryKey; recorded: RecordedEvent }[],
): Promise<DeliveryToSend[]> {
  const stored = all.flatMap(({ key, recorded: { event, deliveries } }) => {
    const delivery = deliveries.find(({ id }) => id === key.id);
    return delivery ? [{ event, delivery }] : [];
  });
  if (stored.length === 0) return [];
  const listed = (values: readonly unknown[]) =>
    sql`(select value from json_each(${JSON.stringify([...new Set(values)])}))`;
  const rows = await db
    .select({
      organisationId: organisations.id,
      version: organisations.webhookSecretVersion,
      previous: organisations.previousWebhookSecrets,
      endpoint: webhookEndpoints,
    })
    .from(organisations)
    .leftJoin(
      webhookEndpoints,
      and(
        eq(webhookEndpoints.organisationId, organisations.id),
        inArray(
          webhookEndpoints.id,
          listed(stored.flatMap(({ delivery }) => delivery.endpointId ?? [])),
        ),
      ),
    )
    .where(
      and(
        inArray(organisations.id, listed(stored.map(({ delivery }) => delivery.organisationId))),
        isNull(organisations.deletedAt),
      ),
    );
  return stored.map(({ event, delivery }) => {
    const own = rows.filter(({ organisationId }) => organisationId === delivery.organisationId);
    const endpoint = own.find((row) => row.endpoint?.id === delivery.endpointId)?.endpoint ?? null;
    const [first] = own;
    const organisationSecrets = first ? { version: first.version, previous: first.previous } : null;
    return { ...delivery, event, endpoint, organisationSecrets };
  });
}
