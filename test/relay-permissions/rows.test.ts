/**
 * What permissions cost in rows: for each change, nothing for a frame, and nothing for sessions
 * without connections.
 */
import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { call, newOrganisation } from "../support/client";
import { eventually } from "../support/eventually";
import { warmJournal } from "../support/journals";
import { allowBoth, at, create, newConnectedRelay, register, set } from "../support/permissions";
import { rowsOf, settled, written } from "../support/rows";
import { connect, tryConnect, withId } from "../support/socket";

/** The rows of a change, with its event recorded, sent and no longer owed. */
async function cost(key: string, work: () => Promise<unknown>) {
  await call("GET", "/relay/permission", { key });
  await settled();
  return rowsOf(async () => {
    await work();
    await eventually(async () => {
      const owed = await env.DB.prepare("select count(*) n from owed_events").first("n");
      expect(owed).toBe(0);
    });
  });
}

test("a change of a permission writes its row, its index entries, three counts, and three rows for its event", async () => {
  const { key } = await newOrganisation();
  await register(key, "A", "B");
  const path = at("A", "B", "send");
  const made = await cost(key, () => create(key, "A", "B", "send"));
  const flipped = await cost(key, () => set(key, path, true));
  const noted = await cost(key, () => call("PUT", path, { key, body: { memo: "x" } }));
  const same = await cost(key, () => call("PUT", path, { key, body: { memo: "x" } }));
  const refused = await cost(key, () => create(key, "A", "B", "send"));
  const deleted = await cost(key, () => call("DELETE", path, { key }));
  expect({
    made: written(made),
    flipped: written(flipped),
    noted: written(noted),
    same: written(same),
    refused: written(refused),
    deleted: written(deleted),
  }).toEqual({ made: 9, flipped: 9, noted: 4, same: 0, refused: 0, deleted: 8 });
});

test("a new connection costs its row, its count, and three rows for its event, and so does its removal", async () => {
  const { key, id } = await newOrganisation();
  await warmJournal(id);
  const made = await cost(key, () => register(key, "A"));
  expect(written(made)).toBe(5);
  const gone = await cost(key, () => call("DELETE", "/connections/definition/A", { key }));
  expect(written(gone)).toBe(5);
});

test("four hundred frames between connections read and write no row anywhere", async () => {
  const relay = await newConnectedRelay("host", "client");
  await allowBoth(relay.key, "host", "client");
  const host = await connect(relay, 0);
  const client = await connect(relay, 1);
  const queries = vi.spyOn(Object.getPrototypeOf(env.DB.withSession()), "_send");
  const rows = await rowsOf(async () => {
    for (let i = 0; i < 400; i++) host.send(...withId(1, i % 128));
    await host.settle();
    expect(await client.settle()).toHaveLength(400);
  });
  expect(rows).toEqual({ d1Read: 0, d1Written: 0, objectRead: 0, objectWritten: 0 });
  expect(queries).not.toHaveBeenCalled();
  queries.mockRestore();
});

/**
 * What the matching D1 statements of `work` cost, each alone: the rows of other statements do not
 * count.
 */
async function costOf(statement: RegExp, work: () => Promise<unknown>) {
  const session = Object.getPrototypeOf(env.DB.withSession());
  const send = session._send;
  const total = { statements: 0, read: 0, written: 0 };
  session._send = async function (...args: unknown[]) {
    const answer = await send.apply(this, args);
    const metas = [answer].flat().map(({ meta }: { meta: D1Meta }) => meta);
    for (const [i, text] of [args[1]].flat().entries()) {
      if (!statement.test(String(text))) continue;
      total.statements += 1;
      total.read += metas[i]?.rows_read ?? 0;
      total.written += metas[i]?.rows_written ?? 0;
    }
    return answer;
  };
  try {
    await work();
  } finally {
    session._send = send;
  }
  return total;
}

/** The statement with which an object reads its users' permissions. */
const READINGS = /from "relay_permissions".+json_each/s;

test("letting in a user with a connection is one read by key, and a user without one reads nothing", async () => {
  const relay = await newConnectedRelay("host", "client", null);
  const joined = await costOf(READINGS, () => tryConnect(relay, 1));
  // One statement for each side. No permission is there, so only the id is read, once as given and
  // once from the list that SQLite makes of it.
  expect(joined).toEqual({ statements: 2, read: 4, written: 0 });
  const free = await costOf(READINGS, () => tryConnect(relay, 2));
  expect(free.statements).toBe(0);
});

test("a session without connections has no statement for connections", async () => {
  const { key } = await newOrganisation();
  const cost = await costOf(/session_connections/, async () => {
    const users = [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }];
    const { body } = await call("POST", "/v1/relays/sessions", { key, body: { users } });
    await call("POST", "/v1/relays/sessions:authorize-user", {
      key,
      body: { session_id: body.session_id, user_ip: "192.0.2.3" },
    });
    await call("DELETE", `/v1/relays/sessions/${body.session_id}`, { key });
  });
  expect(cost).toEqual({ statements: 0, read: 0, written: 0 });
});

test("a session with connections costs two rows for each at its start and one at its end", async () => {
  const { key } = await newOrganisation();
  const users = ["A", "B"].map((connection_id) => ({ ip: "192.0.2.1", connection_id }));
  let id = "";
  const begins = await costOf(/session_connections/, async () => {
    id = (await call("POST", "/v1/relays/sessions", { key, body: { users } })).body.session_id;
  });
  expect(begins.written).toBe(4);
  const ends = await costOf(/session_connections/, () =>
    call("DELETE", `/v1/relays/sessions/${id}`, { key }),
  );
  expect(ends.written).toBe(2);
});

test("reading a user's permissions finds its rows by key among 100,000 of the same connection", async () => {
  const { id, key } = await newOrganisation();
  const users = ["host", "client"].map((connection_id) => ({ ip: "192.0.2.1", connection_id }));
  await register(key, "host", "client");
  await env.DB.prepare(
    `with recursive n(n) as (select 0 union all select n + 1 from n where n + 1 < 50000)
     insert into relay_permissions
       select ${id}, 'host', printf('r%05d', n), 'send', 1, '', 1 from n union all
       select ${id}, printf('r%05d', n), 'host', 'receive', 1, '', 1 from n`,
  ).run();
  for (const [local, remote] of [
    ["host", "client"],
    ["client", "host"],
  ]) {
    for (const direction of ["send", "receive"]) {
      await env.DB.prepare("insert into relay_permissions values (?, ?, ?, ?, 1, '', 1)")
        .bind(id, local, remote, direction)
        .run();
    }
  }
  const { body } = await call("POST", "/v1/relays/sessions", { key, body: { users } });
  const relay = {
    id: body.session_id,
    key,
    sessionToken: body.authorization_token,
    userTokens: body.session_users.map(
      (user: { authorization_token: number }) => user.authorization_token,
    ),
    stub: env.SESSIONS.getByName(body.session_id),
  };
  // Four permissions, the end of the range on each side, and the id as above.
  const reading = await costOf(READINGS, () => tryConnect(relay, 1));
  expect(reading).toEqual({ statements: 2, read: 4 + 4 + 2, written: 0 });
});
