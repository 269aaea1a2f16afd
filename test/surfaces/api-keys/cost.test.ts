/** The rows that each change of an API key costs, with its index entries, the outbox, and its event in the journal. */
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { call, newOrganisation } from "../../support/client";
import { eventually } from "../../support/eventually";
import { keyBody, newKey, patchKey } from "../../support/keys";
import { type Rows, rowsOf, written } from "../../support/rows";

/** With the work after the answer: the event is recorded, and no longer owed. */
function costOf(organisationId: number, work: () => Promise<unknown>): Promise<Rows> {
  return rowsOf(async () => {
    await work();
    const owed = env.DB.prepare("select count(*) as n from owed_events where organisation_id = ?");
    await eventually(async () => {
      expect(await owed.bind(organisationId).first()).toEqual({ n: 0 });
    });
  });
}

test("an API key costs ten rows to make, four to change, eight to refresh, and six to delete", async () => {
  const tenant = await newOrganisation();
  let key = { id: 0 };
  await costOf(tenant.id, async () => {
    key = await newKey(tenant);
  });
  const rows = async (work: () => Promise<unknown>) => written(await costOf(tenant.id, work));
  const create = () => call("POST", "/api-keys", { key: tenant.key, body: keyBody(tenant) });
  expect({
    create: await rows(create),
    rename: await rows(() => patchKey(tenant, key.id, { name: "Renamed" })),
    nothing: await rows(() => patchKey(tenant, key.id, { name: "Renamed" })),
    block: await rows(() => patchKey(tenant, key.id, { blocked: true })),
    refresh: await rows(() => patchKey(tenant, key.id, { refreshApiToken: true })),
    delete: await rows(() => call("DELETE", `/api-keys/${key.id}`, { key: tenant.key })),
  }).toEqual({ create: 10, rename: 4, nothing: 0, block: 6, refresh: 8, delete: 6 });
});
