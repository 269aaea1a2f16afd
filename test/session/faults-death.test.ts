/**
 * An object may die between any two steps of a command: what it has stored stays, and is announced.
 */
import { describe, expect, test } from "vitest";
import { newOrganisation, type Tenant } from "../support/client";
import { DEATHS, dyingAt } from "../support/faults";
import { eventRows, eventually } from "../support/pipeline";
import { authorize, create, idsOf, list, read, remove, revoke } from "../support/sessions";

/** The events of an organisation, once there are so many, as `version type`. */
async function versionsOf(tenant: Tenant, count: number): Promise<string[]> {
  const rows = await eventually(async () => {
    const found = await eventRows(tenant);
    expect(found.length).toBeGreaterThanOrEqual(count);
    return found;
  });
  return rows
    .map(({ type, data }) => `${JSON.parse(data).session.version} ${type}`)
    .sort((a, b) => a.localeCompare(b));
}

/** The organisation's only session as the list shows it, once D1 shows so many users. */
async function listedUsers(tenant: Tenant, count: number): Promise<void> {
  await eventually(async () => {
    const { body } = await list(tenant.key);
    expect(body.total_count).toBe(1);
    expect(body.sessions[0].session_users).toHaveLength(count);
  });
}

async function twoUsers(): Promise<{ tenant: Tenant; id: string; tokens: number[] }> {
  const tenant = await newOrganisation();
  const { body } = await create(tenant.key, {
    users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }],
  });
  const tokens = body.session_users.map(
    (user: { authorization_token: number }) => user.authorization_token,
  );
  return { tenant, id: body.session_id, tokens };
}

describe.each(DEATHS)("an object that dies %s", (death) => {
  test("while it is made leaves a whole, announced session, and its caller is asked to come again", async () => {
    const tenant = await newOrganisation();
    const answer = await dyingAt(death, () => create(tenant.key, { users: [{ ip: "192.0.2.1" }] }));
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect(await versionsOf(tenant, 1)).toEqual(["1 session.active"]);
    await listedUsers(tenant, 1);
    const [id] = idsOf(await list(tenant.key));
    expect((await read(tenant.key, id ?? "")).body).toMatchObject({ status: "READY" });
  });

  test("while a user is authorised keeps the user, and announces them once", async () => {
    const { tenant, id } = await twoUsers();
    const answer = await dyingAt(death, () => authorize(tenant.key, id));
    expect(answer.status).toBe(503);
    expect((await read(tenant.key, id)).body.session_users).toHaveLength(3);
    expect(await versionsOf(tenant, 2)).toEqual(["1 session.active", "2 session.user_authorized"]);
    await listedUsers(tenant, 3);
  });

  test("while a user is revoked loses the user, and announces that once", async () => {
    const { tenant, id, tokens } = await twoUsers();
    const answer = await dyingAt(death, () => revoke(tenant.key, id, tokens[1]));
    expect(answer.status).toBe(503);
    expect((await read(tenant.key, id)).body.session_users).toHaveLength(1);
    expect(await versionsOf(tenant, 2)).toEqual(["1 session.active", "2 session.user_revoked"]);
    await listedUsers(tenant, 1);
  });

  test("while it is ended has ended, and announces that once", async () => {
    const { tenant, id } = await twoUsers();
    const answer = await dyingAt(death, () => remove(tenant.key, id));
    expect(answer.status).toBe(503);
    expect((await read(tenant.key, id)).status).toBe(404);
    expect(await versionsOf(tenant, 2)).toEqual(["1 session.active", "2 session.expired"]);
    await eventually(async () => expect((await list(tenant.key)).body.total_count).toBe(0));
  });

  test("takes the next command as the next version afterwards, and announces it", async () => {
    const { tenant, id } = await twoUsers();
    await dyingAt(death, () => authorize(tenant.key, id));
    expect((await authorize(tenant.key, id)).status).toBe(200);
    expect(await versionsOf(tenant, 3)).toEqual([
      "1 session.active",
      "2 session.user_authorized",
      "3 session.user_authorized",
    ]);
    await listedUsers(tenant, 4);
  });
});
