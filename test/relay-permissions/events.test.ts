/**
 * Every change of a connection or a permission is one event. A call that changes nothing makes
 * none.
 */
import { afterEach, expect, test, vi } from "vitest";
import { call, newOrganisation } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { eventually } from "../support/eventually";
import { journalUnreachable, withJournals } from "../support/faults";
import { recordedIn, settledIn } from "../support/journals";
import { at, create, register, set } from "../support/permissions";
import { settled } from "../support/rows";
import { runSweep } from "../support/sweep";

afterEach(() => {
  vi.useRealTimers();
});

/** The events of an organisation, oldest first; those of one millisecond are in no order. */
async function eventsOf(organisationId: number) {
  const recorded = await settledIn(organisationId);
  return recorded.map(({ event: { id, type, at, data } }) => ({
    ...{ id, type, at },
    // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
    data: data as any,
  }));
}

const permission = {
  connectionId: "A",
  remoteConnectionId: "B",
  direction: "send",
  enabled: false,
  memo: "",
};

test("each change of a connection or permission is one event that says what it left", async () => {
  const { id, key } = await newOrganisation();
  const path = at("A", "B", "send");
  const steps: [() => Promise<unknown>, string, object][] = [
    [
      () => register(key, "A"),
      "connection.created",
      { connection: { connectionId: "A", memo: "" } },
    ],
    [() => create(key, "A", "B", "send"), "relay-permission.created", { permission }],
    [
      () => set(key, path, true),
      "relay-permission.updated",
      { permission: { ...permission, enabled: true } },
    ],
    [
      () => call("PUT", path, { key, body: { memo: "x" } }),
      "relay-permission.updated",
      { permission: { ...permission, enabled: true, memo: "x" } },
    ],
    [
      () => call("DELETE", path, { key }),
      "relay-permission.deleted",
      { permission: { ...permission, enabled: true, memo: "x" } },
    ],
    [
      () => call("DELETE", "/connections/definition/A", { key }),
      "connection.deleted",
      { connection: { connectionId: "A", memo: "" } },
    ],
  ];
  const seen = new Set<string>();
  const versions: number[] = [];
  for (const [step, type, expected] of steps) {
    await step();
    const fresh = (await eventsOf(id)).filter((event) => !seen.has(event.id));
    const told = fresh.map((event) => {
      const { version, ...rest } = event.data.permission ?? {};
      if (version !== undefined) versions.push(version);
      return [event.type, event.data.permission ? { permission: rest } : event.data];
    });
    expect(told).toEqual([[type, expected]]);
    for (const event of fresh) seen.add(event.id);
  }
  expect(versions).toHaveLength(4);
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
});

test("a refused call and a change to the same values are no events", async () => {
  const { id, key } = await newOrganisation();
  await register(key, "A");
  await create(key, "A", "B", "send");
  const before = await eventsOf(id);
  await call("POST", "/connections/definition", { key, body: { connectionId: "A" } });
  await create(key, "A", "B", "send");
  await create(key, "unregistered", "B", "send");
  await set(key, at("A", "B", "send"), false);
  await call("PUT", at("A", "B", "receive"), { key, body: { enabled: "true" } });
  await call("DELETE", at("A", "B", "receive"), { key });
  await call("DELETE", "/connections/definition/unregistered", { key });
  expect(await eventsOf(id)).toEqual(before);
});

test("the same change made twice at once is one change and one event", async () => {
  const { id, key } = await newOrganisation();
  await register(key, "A");
  const path = at("A", "B", "send");
  await Promise.all(Array.from({ length: 8 }, () => create(key, "A", "B", "send")));
  await Promise.all(Array.from({ length: 8 }, () => set(key, path, true)));
  await Promise.all(Array.from({ length: 8 }, () => call("DELETE", path, { key })));
  const types = (await eventsOf(id)).map(({ type }) => type);
  expect(types.sort()).toEqual([
    "connection.created",
    "relay-permission.created",
    "relay-permission.deleted",
    "relay-permission.updated",
  ]);
});

test("an event is recorded in its journal, and stays owed while the journal cannot be reached", async () => {
  stopClockAhead();
  const { id, key } = await newOrganisation();
  const sent: string[] = [];
  await withJournals(
    (events, send) => {
      sent.push(...events.map(({ type }) => type));
      return send();
    },
    async () => {
      await register(key, "A");
      await eventually(() => expect(sent).toEqual(["connection.created"]));
      await settled();
    },
  );
  // Events of one moment have no order.
  advance(1);
  await withJournals(journalUnreachable, () => create(key, "A", "B", "send"));
  const before = (await recordedIn(id)).map(({ event }) => event.type);
  expect(before).toEqual(["connection.created"]);
  advance(61);
  await withJournals(
    (events, send) => {
      sent.push(...events.map(({ type }) => type));
      return send();
    },
    () => runSweep(),
  );
  expect(sent).toEqual(["connection.created", "relay-permission.created"]);
  expect((await eventsOf(id)).map(({ type }) => type)).toEqual(sent);
});
