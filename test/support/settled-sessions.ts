/** Organisations and sessions of which nothing is under way: what a test counts next is only what it does. */
import { expect } from "vitest";
import { newOrganisation, type Tenant } from "./client";
import { warmJournal } from "./journals";
import { eventRows, eventually } from "./pipeline";
import { create, list } from "./sessions";

/**
 * An organisation whose key this isolate has read already, whose count of sessions has a row, and which has
 * today's journal.
 */
export async function warmTenant(): Promise<Tenant> {
  const tenant = await newOrganisation();
  await warmJournal(tenant.id);
  await list(tenant.key);
  return tenant;
}

/** The body of a create with two users. */
export const pair = { users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }] };

/** Waits until so many events of the organisation are recorded. It reads rows of the journal, and writes none. */
export async function recorded(tenant: Pick<Tenant, "id">, count: number): Promise<void> {
  await eventually(async () => expect(await eventRows(tenant as Tenant)).toHaveLength(count));
}

/**
 * A session whose create is done, with the work after its answer: what is measured next is only its own cost.
 * @param more the body of the create
 */
export async function settledSession(more: Record<string, unknown> = pair) {
  const tenant = await warmTenant();
  const { body } = await create(tenant.key, more);
  await recorded(tenant, 1);
  return { tenant, id: body.session_id as string, users: body.session_users };
}
