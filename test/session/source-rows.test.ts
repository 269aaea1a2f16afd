/** What source sessions cost in rows, and that waiting for an outcome costs none. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { SessionObject } from "../../src/session-object/object";
import { call, newOrganisation } from "../support/client";
import { moveClock } from "../support/clock";
import { eventually, LIMIT_MS } from "../support/eventually";
import { recordedIn, warmJournal } from "../support/journals";
import { type Rows, rowsOf, written } from "../support/rows";
import {
  type Broker,
  create,
  eventsOf,
  list,
  newActive,
  newBroker,
  objectOf,
  read,
  remove,
  use,
} from "../support/source-sessions";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A broker whose source `jo` and first session exist already, with no work under way. */
async function settledBroker(): Promise<Broker> {
  const broker = await newBroker();
  await newActive(broker, { payload: { password: "abcd1234", first: true } });
  await eventsOf(broker, 2);
  return broker;
}

/** The rows of a create that becomes active, its two events included. */
async function rowsOfCreate(broker: Broker, wait: number, events: number): Promise<Rows> {
  return rowsOf(async () => {
    const { body } = await create(broker, { wait });
    if (wait === 0) await objectOf(body.id).outcome(broker.id, LIMIT_MS);
    await eventsRecorded(broker, events);
  });
}

/** Resolves when so many events are recorded; looking writes no row. */
async function eventsRecorded(broker: Broker, count: number): Promise<void> {
  await eventually(async () => {
    expect(await recordedIn(broker.id)).toHaveLength(count);
  });
}

describe("the rows of a source session", () => {
  test("are fixed from its create to active, for a use, and for its end", async () => {
    const broker = await settledBroker();
    const made = await rowsOfCreate(broker, 10, 4);
    const [newest] = (await list(broker)).body.data;
    const used = await rowsOf(() => use(broker, newest.id));
    const again = await rowsOf(() => use(broker, newest.id));
    const looked = await rowsOf(() => read(broker, newest.id));
    const ended = await rowsOf(async () => {
      await remove(broker, newest.id);
      await eventsRecorded(broker, 5);
    });
    expect({
      made: { object: made.objectWritten, d1: made.d1Written },
      used: written(used),
      again: written(again),
      looked: written(looked),
      ended: { object: ended.objectWritten, d1: ended.d1Written },
    }).toEqual({
      made: { object: 4 + 2, d1: 8 },
      used: 1,
      again: 0,
      looked: 0,
      // Its state, the alarm that removes the object, its event. In D1 two of them are indexes of ended ones.
      ended: { object: 3, d1: 8 },
    });
  });

  test("are the same whether or not the caller waits for the outcome", async () => {
    const [one, two] = await Promise.all([settledBroker(), settledBroker()]);
    const waited = await rowsOfCreate(one, 10, 4);
    const polled = await rowsOfCreate(two, 0, 4);
    expect(written(waited)).toBe(written(polled));
  });

  test("are in indexes that relay sessions are not in", async () => {
    const { key, id } = await newOrganisation();
    await warmJournal(id);
    const made = await rowsOf(() =>
      call("POST", "/v1/relays/sessions", { key, body: { users: [{ ip: "192.0.2.1" }] } }),
    );
    expect({ object: made.objectWritten }).toEqual({ object: 2 + 1 });
    const indexed = await env.DB.prepare(
      "select count(*) as n from sessions where kind = 'relay' and (key_id is not null or user_id is not null or source_id is not null)",
    ).first<{ n: number }>();
    expect(indexed?.n).toBe(0);
  });
});

describe("a call with Ricloud-Await", () => {
  test("is answered as soon as the session changes, with one call on its object and no timer", async () => {
    const broker = await newBroker();
    const calls: [object: string | undefined, call: string][] = [];
    for (const name of ["read", "outcome"] as const) {
      const method = SessionObject.prototype[name] as (...args: unknown[]) => unknown;
      vi.spyOn(SessionObject.prototype, name).mockImplementation(function (
        this: SessionObject,
        ...args: unknown[]
      ) {
        calls.push([(this as unknown as { ctx: DurableObjectState }).ctx.id.name, name]);
        return method.apply(this, args) as never;
      });
    }
    // Timers that never fire: only the change itself can end the wait.
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const answer = create(broker, { identifier: "jo+lost", wait: 10 });
    let id: string | undefined;
    while (id === undefined) id = (await list(broker)).body.data[0]?.id;
    const object = objectOf(id);
    await eventually(() => expect(calls).toContainEqual([id, "outcome"]));
    await runInDurableObject(object, (held) => held.activate(broker.id, null));
    const { status, body } = await answer;
    expect(status).toBe(201);
    expect(body).toMatchObject({ id, state: "active" });
    expect(calls.filter(([name]) => name === id)).toEqual([[id, "outcome"]]);
  });

  test("is answered with the state that the alarm gives, when that comes first", async () => {
    const broker = await newBroker();
    const { body } = await create(broker, { identifier: "jo+lost" });
    const waiting = objectOf(body.id).outcome(broker.id, LIMIT_MS);
    moveClock(20_000);
    await runInDurableObject(objectOf(body.id), (object) => object.alarm());
    expect(await waiting).toMatchObject({
      ok: true,
      session: { status: "failed", error: "verification-timeout" },
    });
  });
});
