/**
 * One endpoint that hangs and one that fails delay no other, and nothing is sent twice to the
 * others.
 */
import { expect, test } from "vitest";
import { newEventId } from "../../src/events/event";
import type { EventType } from "../../src/events/event-types";
import { newOrganisation } from "../support/client";
import { newEndpoint, patchEndpoint } from "../support/endpoints";
import { deliveryRows, newEvent, newMailbox, record } from "../support/pipeline";
import type { Behaviour } from "../support/receiver";

const EVENTS = 1_000;
/**
 * The time for all of them, on a machine that is busy with other work. If the hanging endpoint
 * delayed the others, four deliveries a minute would get through, and 1,000 would take hours.
 */
const LIMIT_MS = 900_000;
/** How many events are recorded in one call. */
const SEND_AT_ONCE = 100;
const type: EventType = "session.active";

test(
  "with one of 10 endpoints hanging and one failing, the others get all of 1,000 events, each once",
  async () => {
    const tenant = await newOrganisation();
    const event = await newEvent(tenant, type, null);
    const behaviours: Behaviour[] = [{ kind: "hang" }, { kind: "status", status: 500 }];
    const endpoints = [];
    for (let i = 0; i < 10; i++) {
      const mailbox = newMailbox();
      const behaviour = behaviours[i];
      if (behaviour) await mailbox.answer(behaviour);
      endpoints.push(await newEndpoint(tenant, mailbox, { event_types: [type] }));
    }
    const [hanging, failing, ...others] = endpoints;
    if (!hanging || !failing) throw new Error("there are ten");

    const ids = Array.from({ length: EVENTS }, () => newEventId(Date.now()));
    for (let i = 0; i < EVENTS; i += SEND_AT_ONCE) {
      const page = ids.slice(i, i + SEND_AT_ONCE);
      await record(...page.map((id) => ({ ...event, id })));
    }
    for (const { mailbox } of others) {
      const seen = (await mailbox.waitForRequests(EVENTS, LIMIT_MS)).map(
        ({ headers }) => headers["webhook-id"],
      );
      expect(seen.toSorted()).toEqual(ids.toSorted());
    }
    // Nobody needs what is left of the other two.
    await patchEndpoint(tenant, hanging, { enabled: false });
    await patchEndpoint(tenant, failing, { enabled: false });

    const rows = await deliveryRows(tenant);
    expect(rows).toHaveLength(EVENTS * 10);
    const statuses = (id: string) =>
      rows.filter(({ endpoint_id }) => endpoint_id === id).map(({ status }) => status);
    for (const { id } of [hanging, failing]) {
      expect(statuses(id)).toHaveLength(EVENTS);
      expect(statuses(id)).not.toContain("delivered");
    }
  },
  2 * LIMIT_MS,
);
