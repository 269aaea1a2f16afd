/** What relay nodes cost in rows, and that nothing is called while people play. */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { RelayNodeObject } from "../../src/relay-nodes/object";
import { SessionObject } from "../../src/session-object/object";
import { call, newOrganisation, type Tenant } from "../support/client";
import { stubOf } from "../support/faults";
import { eventRows, eventually } from "../support/pipeline";
import {
  type FakeNode,
  link,
  makeNode,
  NODES,
  newLinkedNode,
  nodeStub,
} from "../support/relay-node";
import { d1CallsOf, type Rows, rowsOf } from "../support/rows";
import { authorize, create, list, remove, revoke } from "../support/sessions";

afterEach(() => {
  vi.restoreAllMocks();
});

const pair = { users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }] };

const writes = ({ d1Written, objectWritten }: Rows) => ({ d1Written, objectWritten });

/** Waits until so many events of the organisation's sessions are recorded. */
async function recorded(tenant: Tenant, count: number): Promise<void> {
  await eventually(async () => {
    const rows = await eventRows(tenant);
    expect(rows.filter(({ type }) => type.startsWith("session."))).toHaveLength(count);
  });
}

/** An organisation with a node, whose work behind the answers is done. */
async function withNode(): Promise<{ tenant: Tenant; node: FakeNode }> {
  const tenant = await newOrganisation();
  await list(tenant.key);
  const node = await newLinkedNode(tenant.key);
  await eventually(async () => {
    const rows = await env.DB.prepare(
      `select (select status from relay_nodes where id = ?) as status,
        (select count(*) from owed_events) as owed`,
    )
      .bind(node.id)
      .first();
    const types = (await eventRows(tenant)).map(({ type }) => type);
    expect({ ...rows, types }).toEqual({ status: "online", owed: 0, types: ["relay-node.online"] });
  });
  return { tenant, node };
}

test("of an organisation without nodes, creates of the next seconds do not ask D1 for them again", async () => {
  const { key } = await newOrganisation();
  const askedBy = async () => {
    const calls = await d1CallsOf(async () => {
      expect((await create(key, pair)).body.status).toBe("READY");
    });
    return calls.filter((sql) => sql.includes("relay_nodes")).length;
  };
  expect([await askedBy(), await askedBy(), await askedBy()]).toEqual([1, 0, 0]);
  vi.spyOn(Date, "now").mockReturnValue(Date.now() + 5_000);
  expect(await askedBy()).toBe(1);
});

describe("the rows written for a session on a relay node", () => {
  test("by its create are one more than without: what is on the node", async () => {
    const { tenant } = await withNode();
    const rows = await rowsOf(async () => {
      await create(tenant.key, pair);
      await recorded(tenant, 1);
    });
    expect(writes(rows)).toEqual({ objectWritten: 2 + 1 + 1, d1Written: 3 });
  });

  test("by an authorise and a revoke are one more each, and so by its end; the first call moves the alarm", async () => {
    const { tenant } = await withNode();
    const { session_id: id, session_users } = (await create(tenant.key, pair)).body;
    await recorded(tenant, 1);
    const added = await rowsOf(async () => {
      await authorize(tenant.key, id);
      await recorded(tenant, 2);
    });
    // On a node, only calls start the idle clock: the alarm stood at the end of the session's life.
    expect(writes(added)).toEqual({ objectWritten: 1 + 1 + 1 + 1, d1Written: 1 });
    const revoked = await rowsOf(async () => {
      await revoke(tenant.key, id, session_users[1].authorization_token);
      await recorded(tenant, 3);
    });
    expect(writes(revoked)).toEqual({ objectWritten: 1 + 1 + 1, d1Written: 1 });
    const ended = await rowsOf(async () => {
      await remove(tenant.key, id);
      await recorded(tenant, 4);
    });
    // As without a node: its state; its row moved out of the index, its count; its event.
    expect(writes(ended)).toEqual({ objectWritten: 1 + 1 + 1, d1Written: 2 });
  });
});

test("while people play, no object is called, no row is written, and no message sent", async () => {
  const { tenant, node } = await withNode();
  const { session_id: id } = (await create(tenant.key, pair)).body;
  await recorded(tenant, 1);
  await evictDurableObject(nodeStub(node.id));
  await evictDurableObject(stubOf(id));
  const calls: string[] = [];
  for (const object of [SessionObject, RelayNodeObject]) {
    for (const name of ["fetch", "webSocketMessage", "alarm"] as const) {
      vi.spyOn(object.prototype, name).mockImplementation(async () => {
        calls.push(`${object.name}.${name}`);
        return undefined as never;
      });
    }
  }
  const before = node.told.length;
  // A minute has six pings. The datagrams themselves pass by Drawbridge.
  const rows = await rowsOf(async () => {
    for (let ping = 0; ping < 6; ping++) await node.ping();
  });
  expect(rows).toEqual({ d1Read: 0, d1Written: 0, objectRead: 0, objectWritten: 0 });
  expect([calls, node.told.length - before]).toEqual([[], 0]);
});

describe("the rows written for a relay node", () => {
  test("are three when it is made, with its token and that one's index; and none when it is looked at", async () => {
    const tenant = await newOrganisation();
    await list(tenant.key);
    const made = await rowsOf(() => makeNode(tenant.key));
    expect(writes(made)).toEqual({ objectWritten: 0, d1Written: 3 });
    const looked = await rowsOf(() => call("GET", NODES, { key: tenant.key }));
    expect(writes(looked)).toEqual({ objectWritten: 0, d1Written: 0 });
  });

  test("are none in D1 when it links again in time, and the alarm's own one each time that this looks whether it is heard", async () => {
    const { node } = await withNode();
    const again = await rowsOf(async () => {
      const linked = await link(node);
      await linked.ping();
    });
    expect(again.d1Written).toBe(0);
    const alarm = await rowsOf(() => runDurableObjectAlarm(nodeStub(node.id)));
    expect(writes(alarm)).toEqual({ objectWritten: 1, d1Written: 0 });
  });
});
