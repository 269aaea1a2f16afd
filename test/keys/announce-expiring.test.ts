/** Seven days before a key expires, the sweep makes an event of that, once. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { openDatabase } from "../../src/db/open";
import { openOutbox } from "../../src/devices/event-outbox";
import { announceExpiringKeys } from "../../src/keys/announce-expiring";
import { newOrganisation } from "../support/client";
import { settledIn } from "../support/journals";
import { keyEventTypes, newKey, patchKey } from "../support/keys";

const DAY = 86_400_000;
const db = openDatabase(env);

async function sweepAt(now: number) {
  const ctx = createExecutionContext();
  await announceExpiringKeys({ db, events: openOutbox(env, ctx, db) }, now, 100);
  await waitOnExecutionContext(ctx);
}

describe("a key that will expire", () => {
  test("is announced seven days ahead, once, and again when its end is moved", async () => {
    const tenant = await newOrganisation();
    const end = Date.now() + 30 * DAY;
    const key = await newKey(tenant, {
      expiresAt: new Date(end).toISOString(),
      emails: ["ops@example.com"],
    });
    const expiring = async () =>
      (await keyEventTypes(tenant.id, key.id)).filter((type) => type === "key.expiring").length;
    await sweepAt(end - 7 * DAY - 1);
    expect(await expiring()).toBe(0);
    await sweepAt(end - 7 * DAY);
    await sweepAt(end - 6 * DAY);
    expect(await expiring()).toBe(1);
    const told = (await settledIn(tenant.id)).find(({ event }) => event.type === "key.expiring");
    expect(told?.event.data).toMatchObject({
      key: { id: key.id, emails: ["ops@example.com"], expiresAt: end },
    });
    await patchKey(tenant, key.id, { expiresAt: new Date(end + 30 * DAY).toISOString() });
    await sweepAt(end);
    expect(await expiring()).toBe(1);
    await sweepAt(end + 23 * DAY);
    expect(await expiring()).toBe(2);
  });

  test("is not announced when it has expired before the sweep could do so", async () => {
    const tenant = await newOrganisation();
    const end = Date.now() + DAY;
    const key = await newKey(tenant, { expiresAt: new Date(end).toISOString() });
    await sweepAt(end);
    await sweepAt(end + 1);
    expect(await keyEventTypes(tenant.id, key.id)).toEqual(["key.created"]);
  });
});
