/** A create that is sent again: one session if it is the same request, two if it is not. */
import { evictDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { SessionObject } from "../../src/session-object/object";
import {
  MAX_IDENTICAL_REQUESTS,
  SOURCE_SESSION_ID,
  sessionIdsForRequest,
} from "../../src/sources/duplicate-requests";
import { moveClock } from "../support/clock";
import { newGate } from "../support/d1";
import { insertKey } from "../support/keys";
import {
  create,
  list,
  newBroker,
  newConnector,
  objectOf,
  remove,
} from "../support/source-sessions";

const WINDOW_MS = 300_000;
const lost = { identifier: "jo+lost" };

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Sets the clock to this long after the beginning of a window. */
function setInWindow(milliseconds: number): void {
  const begin = Math.ceil(Date.now() / WINDOW_MS) * WINDOW_MS;
  vi.useFakeTimers({ toFake: ["Date"], now: begin + milliseconds });
}

describe("a duplicate create while the first session is pending", () => {
  test("gets the first session, also when its object was evicted meanwhile", async () => {
    const broker = await newBroker();
    setInWindow(60_000);
    const first = await create(broker, lost);
    await evictDurableObject(objectOf(first.body.id));
    moveClock(9_900);
    const second = await create(broker, lost);
    expect(second.status).toBe(201);
    expect(second.body).toEqual(first.body);
    expect((await list(broker)).body.data).toHaveLength(1);
  });

  test("gets the first session also when a window of time ends in between", async () => {
    const broker = await newBroker();
    setInWindow(-3_000);
    const first = await create(broker, lost);
    moveClock(6_000);
    expect((await create(broker, lost)).body.id).toBe(first.body.id);
    expect((await list(broker)).body.data).toHaveLength(1);
  });

  test.each([0, 1])(
    "gets the first session also when that is overtaken at the edge of a window, after %i that have ended",
    async (ended) => {
      const broker = await newBroker();
      setInWindow(-2_000);
      for (let n = 0; n < ended; n++) await remove(broker, (await create(broker, lost)).body.id);
      const gate = newGate();
      const commit = SessionObject.prototype.create;
      vi.spyOn(SessionObject.prototype, "create").mockImplementation(async function (
        this: SessionObject,
        ...args: Parameters<typeof commit>
      ) {
        if (args[0].facts.createdAt < edge) await gate.wait();
        return commit.apply(this, args);
      });
      const edge = Math.ceil(Date.now() / WINDOW_MS) * WINDOW_MS;
      const first = create(broker, lost);
      await gate.reached;
      moveClock(2_000);
      const second = await create(broker, lost);
      gate.open();
      expect((await first).status).toBe(201);
      expect((await first).body.id).toBe(second.body.id);
      const { body } = await list(broker, "state=pending");
      expect(body.data).toHaveLength(1);
    },
  );

  test("is told apart by the age of the session alone at the edge of a window", async () => {
    const broker = await newBroker();
    const ids: string[] = [];
    setInWindow(-10_000);
    ids.push((await create(broker, lost)).body.id);
    moveClock(9_999);
    ids.push((await create(broker, lost)).body.id);
    moveClock(1);
    ids.push((await create(broker, lost)).body.id);
    moveClock(9_999);
    ids.push((await create(broker, lost)).body.id);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
    expect(ids[3]).toBe(ids[2]);
  });

  test("gets the first session when all are sent at once, and the connector is asked once", async () => {
    const broker = await newBroker();
    const { type, mailbox } = await newConnector(broker);
    const body = '{"result":"active"}';
    await mailbox.answer({ kind: "status", status: 200, body, held: true });
    const allWait = Promise.withResolvers<void>();
    let waiting = 0;
    const outcome = SessionObject.prototype.outcome;
    vi.spyOn(SessionObject.prototype, "outcome").mockImplementation(function (
      this: SessionObject,
      ...args: Parameters<typeof outcome>
    ) {
      if (++waiting === 5) allWait.resolve();
      return outcome.apply(this, args);
    });
    setInWindow(60_000);
    const made = Array.from({ length: 5 }, () => create(broker, { type, wait: 10 }));
    await Promise.all([allWait.promise, mailbox.waitForRequests(1)]);
    await mailbox.release();
    const answers = await Promise.all(made);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(answers.map(({ body }) => body.state)).toEqual(Array(5).fill("active"));
    expect(await mailbox.requests()).toHaveLength(1);
  });

  test("gets the first session, verified, when the first answer was lost after the commit", async () => {
    const broker = await newBroker();
    const commit = SessionObject.prototype.create;
    vi.spyOn(SessionObject.prototype, "create").mockImplementationOnce(async function (
      this: SessionObject,
      ...args: Parameters<typeof commit>
    ) {
      await commit.apply(this, args);
      throw new Error("the connection is gone");
    });
    const { status, body } = await create(broker, { wait: 10 });
    expect(status).toBe(201);
    expect(body.state).toBe("active");
    expect((await list(broker)).body.data).toHaveLength(1);
  });
});

describe("a create makes a session of its own", () => {
  test("after ten seconds", async () => {
    const broker = await newBroker();
    setInWindow(60_000);
    const first = await create(broker, lost);
    moveClock(10_000);
    const second = await create(broker, lost);
    expect(second.body.id).not.toBe(first.body.id);
    // The third is a duplicate of the second, not of the first.
    expect((await create(broker, lost)).body.id).toBe(second.body.id);
  });

  test("ten seconds later in the next window of time", async () => {
    const broker = await newBroker();
    setInWindow(-3_000);
    const first = await create(broker, lost);
    moveClock(10_500);
    expect((await create(broker, lost)).body.id).not.toBe(first.body.id);
  });

  test("with another payload", async () => {
    const broker = await newBroker();
    const first = await create(broker, { ...lost, payload: { password: "one" } });
    const second = await create(broker, { ...lost, payload: { password: "two" } });
    expect(second.body.id).not.toBe(first.body.id);
  });

  test("with another API key", async () => {
    const broker = await newBroker();
    const { token } = await insertKey(broker.id);
    const first = await create(broker, lost);
    const second = await create({ ...broker, key: token }, lost);
    expect(second.status).toBe(201);
    expect(second.body.id).not.toBe(first.body.id);
  });

  test("in another organisation", async () => {
    const [one, two] = await Promise.all([newBroker(), newBroker()]);
    expect((await create(two, lost)).body.id).not.toBe((await create(one, lost)).body.id);
  });

  test("where the first has failed, or was deleted, meanwhile", async () => {
    const broker = await newBroker();
    const wrong = { payload: { password: "wrong" }, wait: 10 };
    const failed = await create(broker, wrong);
    expect((await create(broker, wrong)).body.id).not.toBe(failed.body.id);
    const deleted = await create(broker, lost);
    await remove(broker, deleted.body.id);
    expect((await create(broker, lost)).body.id).not.toBe(deleted.body.id);
  });

  test("however often it has failed before", async () => {
    const broker = await newBroker();
    const ids = new Set<string>();
    for (let n = 0; n < MAX_IDENTICAL_REQUESTS + 3; n++) {
      const { body } = await create(broker, { payload: {}, wait: 10 });
      ids.add(body.id);
    }
    expect(ids.size).toBe(MAX_IDENTICAL_REQUESTS + 3);
  });
});

describe("the id of a source session", () => {
  const request = { organisationId: 1, keyId: 2, body: '{"payload":{"password":"abcd1234"}}' };

  test("cannot be computed without the deployment's secret", () => {
    const ours = sessionIdsForRequest("secret-of-this-deployment", request, 60_000).now(0);
    const theirs = sessionIdsForRequest("secret-of-another-one", request, 60_000).now(0);
    expect(ours).toMatch(SOURCE_SESSION_ID);
    expect(theirs).not.toBe(ours);
  });

  test("is the same in every isolate, for as long as a window of time", () => {
    const first = sessionIdsForRequest("secret", request, WINDOW_MS).now(0);
    expect(sessionIdsForRequest("secret", { ...request }, 2 * WINDOW_MS - 1).now(0)).toBe(first);
    expect(sessionIdsForRequest("secret", request, 2 * WINDOW_MS).now(0)).not.toBe(first);
    expect(sessionIdsForRequest("secret", request, 2 * WINDOW_MS).before?.(0)).toBe(first);
    expect(sessionIdsForRequest("secret", request, 2 * WINDOW_MS + 10_000).before).toBeNull();
  });
});
