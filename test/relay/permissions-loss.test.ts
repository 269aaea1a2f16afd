/**
 * A permission ends also when something is lost: the notice of its change, a reading, or the object
 * itself.
 */
import { evictDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MAX_AGE_MS, REFRESH_AFTER_MS } from "../../src/relay/permission-gate";
import { call } from "../support/client";
import { stopClock } from "../support/clock";
import { withD1Answers } from "../support/d1";
import { whileD1Refuses } from "../support/d1-refuses";
import { eventually } from "../support/eventually";
import { PROJECTION } from "../support/faults";
import { allowBoth, at, newConnectedRelay, passes, set, until } from "../support/permissions";
import { connect, fromClient, type Relay, tryConnect, withId } from "../support/socket";

/** The statement that finds the sessions to tell about a change. */
const NOTICES = /select "session_id" from "session_connections"/;
/** The statement with which an object reads its users' permissions. */
const READINGS = /"remote_connection_id" in \(select value from json_each/;

const toClient = withId(1, 7);
const sending = at("host", "client", "send");

beforeEach(() => {
  stopClock();
});
afterEach(() => {
  vi.useRealTimers();
});

const later = (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds);

async function flowing() {
  const relay = await newConnectedRelay("host", "client");
  await allowBoth(relay.key, "host", "client");
  const host = await connect(relay, 0);
  const client = await connect(relay, 1);
  expect(await passes(host, client, toClient)).toBe(true);
  return { relay, host, client };
}

/** Switches the permission and loses the notice of that. */
async function setUnnoticed(relay: Relay, enabled: boolean): Promise<void> {
  const lost = vi.spyOn(console, "log").mockImplementation(() => {});
  try {
    await whileD1Refuses(NOTICES, async () => {
      await set(relay.key, sending, enabled);
      await eventually(() =>
        expect(lost.mock.calls.flat().join()).toContain("live sessions not told"),
      );
    });
  } finally {
    lost.mockRestore();
  }
}

test("a lost notice of a change is made good once the object's copy is old, both ways, without a reconnect", async () => {
  const { relay, host, client } = await flowing();
  await setUnnoticed(relay, false);
  expect(await passes(host, client, toClient)).toBe(true);
  later(REFRESH_AFTER_MS + 1);
  // The first frame that finds the copy old still passes by it; later frames wait for a new
  // reading.
  await until(false, host, client, toClient);
  await setUnnoticed(relay, true);
  expect(await passes(host, client, toClient)).toBe(false);
  later(REFRESH_AFTER_MS + 1);
  await until(true, host, client, toClient);
});

test("no frame passes by a copy of the permissions that is older than the bound: it waits for a new reading", async () => {
  const { relay, host, client } = await flowing();
  await setUnnoticed(relay, false);
  later(MAX_AGE_MS + 1);
  expect(await passes(host, client, toClient)).toBe(false);
  await setUnnoticed(relay, true);
  later(MAX_AGE_MS + 1);
  expect(await passes(host, client, toClient)).toBe(true);
});

test("the known permissions apply up to the bound and no longer while D1 cannot be read, and again after that", async () => {
  const { host, client } = await flowing();
  await whileD1Refuses(READINGS, async () => {
    later(REFRESH_AFTER_MS + 1);
    expect(await passes(host, client, toClient)).toBe(true);
    expect(await passes(host, client, toClient)).toBe(true);
    later(MAX_AGE_MS - REFRESH_AFTER_MS);
    expect(await passes(host, client, toClient)).toBe(false);
  });
  later(1_001);
  await until(true, host, client, toClient);
});

test("an eviction after a lost notice lets nothing pass that is no longer allowed", async () => {
  const { relay, host, client } = await flowing();
  await evictDurableObject(relay.stub);
  await setUnnoticed(relay, false);
  expect(await passes(host, client, toClient)).toBe(false);
  await setUnnoticed(relay, true);
  await evictDurableObject(relay.stub);
  expect(await passes(host, client, toClient)).toBe(true);
});

test("a reconnect reads the change, also when the notice was lost", async () => {
  const { relay, host } = await flowing();
  await setUnnoticed(relay, false);
  const again = await connect(relay, 1);
  expect(await passes(host, again, toClient)).toBe(false);
  expect(await passes(again, host, fromClient(1))).toBe(true);
});

test("a user with a connection is refused while permissions cannot be read, and is asked to come back", async () => {
  const relay = await newConnectedRelay("host", "client", null);
  await whileD1Refuses(READINGS, async () => {
    const refused = await tryConnect(relay, 1);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("Retry-After")).toBe("2");
    expect((await tryConnect(relay, 2)).status).toBe(101);
  });
  expect((await tryConnect(relay, 1)).status).toBe(101);
});

test("a user with a connection is refused while D1 does not show the session, which a deletion would not find", async () => {
  const relay = await whileD1Refuses(PROJECTION, async () => {
    const unseen = await newConnectedRelay("host", "gone");
    expect((await tryConnect(unseen, 1)).status).toBe(503);
    return unseen;
  });
  const gone = await connect(relay, 1);
  await call("DELETE", "/api/v2/connections/definition/gone", { key: relay.key });
  expect((await gone.closed).code).toBe(4403);
});

test("a change during a reading is seen by the next reading, which follows at once", async () => {
  const { relay, host, client } = await flowing();
  const [read, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let readings = 0;
  // The answer of the first reading is held back: it says what was true before the change.
  await withD1Answers(
    async (sql) => {
      if (!READINGS.test(sql)) return;
      readings += 1;
      if (readings > 1) return;
      read.resolve();
      await release.promise;
    },
    async () => {
      later(REFRESH_AFTER_MS + 1);
      expect(await passes(host, client, toClient)).toBe(true);
      await read.promise;
      await set(relay.key, sending, false);
      release.resolve();
      await eventually(async () => expect(await passes(host, client, toClient)).toBe(false));
    },
  );
  expect(readings).toBe(2);
});

test("an object that wakes and cannot read permissions lets nothing pass between connections", async () => {
  const { relay, host, client } = await flowing();
  await evictDurableObject(relay.stub);
  await whileD1Refuses(READINGS, async () => {
    expect(await passes(host, client, toClient)).toBe(false);
  });
  later(1_001);
  await until(true, host, client, toClient);
});
