/** When a connection is deleted, its users are revoked in every live session. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call, newOrganisation } from "../support/client";
import { stopClockAhead } from "../support/clock";
import { whileD1Refuses } from "../support/d1-refuses";
import { eventually } from "../support/eventually";
import { PROJECTION } from "../support/faults";
import { allowBoth, newConnectedRelay, passes, register } from "../support/permissions";
import {
  connect,
  endRelay,
  fromClient,
  type Relay,
  revokeUser,
  tryConnect,
  withId,
} from "../support/socket";
import { runSweep } from "../support/sweep";

afterEach(() => {
  vi.useRealTimers();
});

const remove = (relay: Relay, id: string) =>
  call("DELETE", `/api/v2/connections/definition/${id}`, { key: relay.key });
const read = (relay: Relay) => call("GET", `/v1/relays/sessions/${relay.id}`, { key: relay.key });

test("deleting a connection closes its websockets with 4403, leaves the others, and ends its tokens", async () => {
  // The clock is stopped, so it is the notice that closes them.
  stopClockAhead();
  const relay = await newConnectedRelay("host", "gone", "stays");
  const host = await connect(relay, 0);
  const gone = await connect(relay, 1);
  const stays = await connect(relay, 2);
  await remove(relay, "gone");
  expect((await gone.closed).code).toBe(4403);
  expect(await host.control("peer_left")).toMatchObject({ connection_id: 1 });
  await stays.settle();
  expect((await tryConnect(relay, 1)).status).toBe(403);
  expect((await read(relay)).body.session_users).toHaveLength(2);
});

test("deleting a host's connection removes the host", async () => {
  const relay = await newConnectedRelay("host", "client");
  const host = await connect(relay, 0);
  const client = await connect(relay, 1);
  await remove(relay, "host");
  expect((await host.closed).code).toBe(4403);
  await client.control("host_left");
  expect((await tryConnect(relay, 0)).status).toBe(403);
});

test("deleting a connection revokes also a user who is not connected", async () => {
  const relay = await newConnectedRelay("host", "gone");
  await remove(relay, "gone");
  expect((await tryConnect(relay, 1)).status).toBe(403);
});

test("a deleted connection that is registered again may be authorised again, and its old token stays revoked", async () => {
  const relay = await newConnectedRelay("host", "again");
  const host = await connect(relay, 0);
  const before = await connect(relay, 1);
  await remove(relay, "again");
  await before.closed;
  await register(relay.key, "again");
  await allowBoth(relay.key, "host", "again");
  const { body } = await call("POST", "/v1/relays/sessions:authorize-user", {
    key: relay.key,
    body: { session_id: relay.id, user_ip: "192.0.2.1", connection_id: "again" },
  });
  expect((await tryConnect(relay, 1)).status).toBe(403);
  relay.userTokens[2] = body.session_user.authorization_token;
  const client = await connect(relay, 2);
  expect(await passes(host, client, withId(2, 1))).toBe(true);
});

test("deleting a connection refuses a reconnect and drops frames to it also when the notice is lost", async () => {
  const relay = await newConnectedRelay("host", "gone");
  await allowBoth(relay.key, "host", "gone");
  const host = await connect(relay, 0);
  const gone = await connect(relay, 1);
  await whileD1Refuses(/select "session_id" from "session_connections"/, () =>
    remove(relay, "gone"),
  );
  expect(await passes(host, gone, withId(1, 1))).toBe(true);
  const refused = await tryConnect(relay, 1);
  expect([refused.status, refused.body.message]).toEqual([
    403,
    expect.stringContaining("was revoked while they connected"),
  ]);
  expect((await gone.closed).code).toBe(4403);
});

test("deleting a connection leaves one of the same name in another organisation", async () => {
  const ours = await newConnectedRelay("host", "client");
  const theirs = await newConnectedRelay("host", "client");
  await allowBoth(ours.key, "host", "client");
  const host = await connect(ours, 0);
  const client = await connect(ours, 1);
  const gone = await connect(theirs, 1);
  await remove(theirs, "client");
  expect((await gone.closed).code).toBe(4403);
  expect(await passes(client, host, fromClient(1))).toBe(true);
  expect((await tryConnect(ours, 1)).status).toBe(101);
});

test("deleting a connection is told to every live session that has it, however many there are", async () => {
  const relay = await newConnectedRelay("host", "gone");
  const gone = await connect(relay, 1);
  const { organisation_id } = (await env.DB.prepare(
    "select organisation_id from session_connections where session_id = ?",
  )
    .bind(relay.id)
    .first()) as { organisation_id: number };
  // More than one page of sessions that are told before this one, and whose objects hold no
  // session.
  await env.DB.prepare(
    `with recursive n(i) as (select 1 union all select i + 1 from n where i < 510)
     insert into session_connections select ?, printf('!%04d', i), 'gone', 0 from n`,
  )
    .bind(organisation_id)
    .run();
  await remove(relay, "gone");
  expect((await gone.closed).code).toBe(4403);
});

describe("the table of which live sessions have which connections", () => {
  const heldBy = async (relay: Relay) => {
    const { results } = await env.DB.prepare(
      "select connection_id from session_connections where session_id = ? order by 1",
    )
      .bind(relay.id)
      .all<{ connection_id: string }>();
    return results.map((row) => row.connection_id);
  };

  test("has a connection while its session lives, and loses it with a revoked user and with the session", async () => {
    const relay = await newConnectedRelay("host", "a", "a", "b", null);
    expect(await heldBy(relay)).toEqual(["a", "b", "host"]);
    await revokeUser(relay, 1);
    expect(await heldBy(relay)).toEqual(["a", "b", "host"]);
    await revokeUser(relay, 2);
    expect(await heldBy(relay)).toEqual(["b", "host"]);
    await endRelay(relay);
    expect(await heldBy(relay)).toEqual([]);
  });

  test("is corrected by the object when D1 could not be written", async () => {
    const relay = await newConnectedRelay("host", "a");
    await whileD1Refuses(PROJECTION, async () => {
      await call("POST", "/v1/relays/sessions:authorize-user", {
        key: relay.key,
        body: { session_id: relay.id, user_ip: "192.0.2.1", connection_id: "late" },
      });
      expect(await heldBy(relay)).toEqual(["a", "host"]);
    });
    await relay.stub.reconcile();
    await eventually(async () => expect(await heldBy(relay)).toEqual(["a", "host", "late"]));
  });
});

test("deleting an organisation leaves no connection, permission or count behind", async () => {
  const { id, key } = await newOrganisation();
  await register(key, "a", "b");
  await allowBoth(key, "a", "b");
  await call("DELETE", `/v1/organisations/${id}`, { key: env.DRAWBRIDGE_ROOT_TOKEN });
  await runSweep();
  for (const table of [
    "connections",
    "connection_counts",
    "relay_permissions",
    "relay_permission_counts",
  ]) {
    const left = await env.DB.prepare(`select count(*) n from ${table} where organisation_id = ?`)
      .bind(id)
      .first("n");
    expect([table, left]).toEqual([table, 0]);
  }
});
