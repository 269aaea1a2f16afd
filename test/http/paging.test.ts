/**
 * The next page of a list whose last row was deleted meanwhile: the list goes on where that row
 * was, or answers 404. It never starts again from its beginning.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { eventIdOfDelivery } from "../../src/events/journal-key";
import { call, newOrganisation, type Tenant } from "../support/client";
import { newApplication, newDevice, pair, request } from "../support/devices";
import { newEndpoint } from "../support/endpoints";
import { journalStub, journals } from "../support/journals";
import { newKey } from "../support/keys";
import { create as createPermission, register } from "../support/permissions";
import { eventRows, eventually, newMailbox, owe } from "../support/pipeline";
import { makeNode, NODES } from "../support/relay-node";
import { create as createSession, newBroker } from "../support/source-sessions";

type Row = Record<string, unknown>;

/** A list of three rows, and how the test removes the row at which the second page begins. */
interface List {
  path: string;
  key: string;
  /** The names of the parameters for the size of a page and for its start. */
  size: string;
  /** The query of the page after the last row of this answer. */
  next(body: Row & { data?: Row[]; next_cursor?: string }): string;
  idsOf(body: Row): unknown[];
  remove(id: string): Promise<unknown>;
}

const idsIn = (name: string) => (body: Row) => (body.data as Row[]).map((row) => row[name]);
const ours = {
  size: "limit=1",
  next: ({ next_cursor }: { next_cursor?: string }) => `cursor=${next_cursor}`,
  idsOf: idsIn("id"),
};
const theirs = {
  size: "limit=1",
  next: ({ data = [] }: { data?: Row[] }) => `after_id=${data.at(-1)?.id}`,
  idsOf: ours.idsOf,
};

/** Removes the row from its table, as the sweep does. */
const removeRow = (table: string) => (id: string) =>
  env.DB.prepare(`delete from ${table} where id = ?`).bind(id).run();

/** Removes an event and its deliveries from their journal. */
const removeRecord = (organisationId: number) => async (id: string) => {
  const eventId = id.startsWith("whd_") ? eventIdOfDelivery(id) : id;
  const key = await journals.journalOf(organisationId, eventId);
  const stub = journalStub(key);
  await runInDurableObject(stub, (_, { storage }) => {
    storage.sql.exec("delete from events where hex(id) = upper(?)", eventId.replaceAll("-", ""));
  });
};

const ofRequests = {
  ...ours,
  idsOf: idsIn("pair_request_id"),
  remove: removeRow("pairing_requests"),
};

async function threeTimes<T>(make: (i: number) => Promise<T>): Promise<void> {
  for (let i = 0; i < 3; i++) await make(i);
}

async function withDeliveries(): Promise<Tenant> {
  const tenant = await newOrganisation();
  const endpoint = await newEndpoint(tenant, newMailbox(), { event_types: ["connection.created"] });
  await threeTimes(() => owe(tenant, endpoint));
  return tenant;
}

async function withEvents(): Promise<Tenant> {
  const tenant = await newOrganisation();
  await register(tenant.key, "a", "b", "c");
  await eventually(async () => expect((await eventRows(tenant)).length).toBeGreaterThan(2));
  return tenant;
}

const LISTS: Record<string, () => Promise<List>> = {
  "/v1/applications": async () => {
    const tenant = await newOrganisation();
    await threeTimes(() => newApplication(tenant));
    return {
      ...ours,
      path: "/v1/applications",
      key: tenant.key,
      remove: removeRow("applications"),
    };
  },
  "/v1/applications/{id}/pairing/requests": async () => {
    const at = await newApplication();
    await threeTimes(async () => request(at, await newDevice()));
    const path = `${at.path}/pairing/requests`;
    return { ...ofRequests, path, key: at.key };
  },
  "/v1/pairing/requests": async () => {
    const at = await newApplication();
    await threeTimes(async () => request(at, await newDevice()));
    return { ...ofRequests, path: "/v1/pairing/requests", key: at.key };
  },
  "/v1/applications/{id}/devices": async () => {
    const at = await newApplication();
    await threeTimes(async () => pair(at, await newDevice()));
    const path = `${at.path}/devices`;
    const remove = (id: string) => call("DELETE", `${path}/${id}`, { key: at.key });
    return { ...ours, idsOf: idsIn("device_id"), path, key: at.key, remove };
  },
  "/v1/relay-nodes": async () => {
    const { key } = await newOrganisation();
    await threeTimes(() => makeNode(key));
    const remove = (id: string) => call("DELETE", `${NODES}/${id}`, { key });
    return { ...ours, path: NODES, key, remove };
  },
  "/v1/organisations": async () => {
    await threeTimes(() => newOrganisation());
    const path = "/v1/organisations";
    const key = env.DRAWBRIDGE_ROOT_TOKEN;
    const remove = (id: string) => call("DELETE", `${path}/${id}`, { key });
    return { ...ours, path, key, remove };
  },
  "/users": async () => {
    const { key } = await newOrganisation();
    await threeTimes((i) => call("POST", "/users", { key, body: { identifier: `user ${i}` } }));
    return { ...theirs, path: "/users", key, remove: removeRow("users") };
  },
  "/sources": async () => {
    const { key, userId: user } = await newBroker();
    await threeTimes((i) =>
      call("POST", "/sources", { key, body: { user, type: "mocks.mock", identifier: `s${i}` } }),
    );
    return { ...theirs, path: "/sources", key, remove: removeRow("sources") };
  },
  "/v1/webhooks/endpoints": async () => {
    const tenant = await newOrganisation();
    await threeTimes(() => newEndpoint(tenant, newMailbox()));
    const path = "/v1/webhooks/endpoints";
    const remove = (id: string) => call("DELETE", `${path}/${id}`, { key: tenant.key });
    return { ...ours, path, key: tenant.key, remove };
  },
  "/v1/webhooks/deliveries": async () => {
    const { id, key } = await withDeliveries();
    return { ...ours, path: "/v1/webhooks/deliveries", key, remove: removeRecord(id) };
  },
  "/v1/events": async () => {
    const { id, key } = await withEvents();
    return { ...ours, path: "/v1/events", key, remove: removeRecord(id) };
  },
  "/events": async () => {
    const { id, key } = await withEvents();
    return { ...theirs, path: "/events", key, remove: removeRecord(id) };
  },
  "/configs/webhook": async () => {
    const { key } = await newOrganisation();
    await threeTimes(() =>
      call("POST", "/configs/webhook", { key, body: { url: newMailbox().url } }),
    );
    const remove = (id: string) => call("DELETE", `/configs/webhook/${id}`, { key });
    return { ...theirs, path: "/configs/webhook", key, remove };
  },
  "/api-keys": async () => {
    const tenant = await newOrganisation();
    await threeTimes(() => newKey(tenant));
    return {
      ...{ path: "/api-keys", key: tenant.key, size: "limit=2" },
      next: (body) => `after=${(body as unknown as Row[]).at(-1)?.id}`,
      idsOf: (body) => (body as unknown as Row[]).map(({ id }) => id),
      remove: (id) => call("DELETE", `/api-keys/${id}`, { key: tenant.key }),
    };
  },
  "/connections/definition": async () => {
    const { key } = await newOrganisation();
    await register(key, "a", "b", "c");
    const idsOf = (body: Row) =>
      (body.definitions as Row[]).map(({ connectionId }) => connectionId);
    return {
      ...{ path: "/connections/definition", key, size: "maxResults=1", idsOf },
      next: (body) => `after=${idsOf(body).at(-1)}`,
      remove: (id) => call("DELETE", `/connections/definition/${id}`, { key }),
    };
  },
  "/relay/permission": async () => {
    const { key } = await newOrganisation();
    await register(key, "a", "b", "c");
    for (const remote of ["a", "b", "c"]) await createPermission(key, "a", remote, "send");
    const idsOf = (body: Row) =>
      (body.permission as Row[]).map(
        ({ connectionId, remoteConnectionId, direction }) =>
          `${connectionId}/${remoteConnectionId}/${direction}`,
      );
    return {
      ...{ path: "/relay/permission", key, size: "maxResults=1", idsOf },
      next: (body) => `after=${idsOf(body).at(-1)}`,
      remove: (id) => call("DELETE", `/relay/permission/${id}`, { key }),
    };
  },
};

describe("the page after a row that is gone goes on where that row was, in the list of", () => {
  test.each(Object.entries(LISTS))("%s", async (_, make) => {
    const list = await make();
    const ask = async (query: string) => {
      const answer = await call("GET", `${list.path}?${query}`, { key: list.key });
      expect(answer.status, answer.text).toBe(200);
      return answer.body;
    };
    const first = await ask(list.size);
    const behind = list.next(first);
    const expected = list.idsOf(await ask(`${list.size}&${behind}`));
    expect(expected.length).toBeGreaterThan(0);
    expect(expected).not.toContain(undefined);
    await list.remove(String(list.idsOf(first).at(-1)));
    expect(list.idsOf(await ask(`${list.size}&${behind}`))).toEqual(expected);
  });
});

describe("a page of /sessions next to a session that is gone answers 404, with", () => {
  test.each(["after_id", "before_id"])("%s", async (name) => {
    const broker = await newBroker();
    const { body } = await createSession(broker);
    const page = () => call("GET", `/sessions?${name}=${body.id}`, { key: broker.key });
    expect((await page()).status).toBe(200);
    await env.SESSIONS.getByName(body.id).purge();
    const gone = await page();
    expect(gone.status).toBe(404);
    expect(gone.body.error).toBe("not-found");
    expect(gone.body.message).toContain(name);
  });
});
