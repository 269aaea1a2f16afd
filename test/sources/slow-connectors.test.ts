/** A connector may use all of its time: an answer at the end of it still counts. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { answerWaitMs } from "../../src/sources/connector";
import { moveClock, stopClock } from "../support/clock";
import { LIMIT_MS } from "../support/eventually";
import { create, newBroker, newConnector, objectOf } from "../support/source-sessions";

beforeEach(() => {
  // Its time is never over here: only `release` ends a request.
  vi.spyOn(AbortSignal, "timeout").mockImplementation(() => new AbortController().signal);
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A connector that accepts anything when it is released. */
async function newSlow(timeoutSeconds: number) {
  const broker = await newBroker();
  const connector = await newConnector(broker, undefined, { timeout_seconds: timeoutSeconds });
  const body = '{"result":"active"}';
  await connector.mailbox.answer({ kind: "status", status: 200, body, held: true });
  return { broker, ...connector };
}

describe("a connector that answers at the end of its time", () => {
  test.each([5, 10, 30])("of %i seconds makes the session active", async (timeoutSeconds) => {
    const { broker, type, mailbox } = await newSlow(timeoutSeconds);
    stopClock();
    const answer = create(broker, { type, wait: 10 });
    const [request] = await mailbox.waitForRequests(1);
    const { session_id: id } = JSON.parse(request?.body ?? "{}");
    // All of its time, and the time that a slow D1 and queue have taken before it was asked.
    moveClock(timeoutSeconds * 1_000 + 8_000);
    await runDurableObjectAlarm(objectOf(id));
    await mailbox.release();
    expect((await answer).body).toMatchObject({ id, state: "active" });
  });

  test("is waited for before the answer when it may take longer than the platform allows after one", async () => {
    // Timers that never fire: only the outcome can end the wait.
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const { broker, type, mailbox } = await newSlow(30);
    const answer = create(broker, { type });
    await mailbox.waitForRequests(1);
    await mailbox.release();
    expect((await answer).body.state).toBe("active");
  });

  test("is left to finish after the answer when the platform allows that time", async () => {
    const { broker, type, mailbox } = await newSlow(25);
    const { body } = await create(broker, { type });
    expect(body.state).toBe("pending");
    await mailbox.waitForRequests(1);
    const outcome = objectOf(body.id).outcome(broker.id, LIMIT_MS);
    await mailbox.release();
    const settled = await outcome;
    expect(settled).toMatchObject({ session: { status: "active" } });
  });

  test("delays a duplicate request no longer than that request asks, since the first one verifies", async () => {
    const { broker, type, mailbox } = await newSlow(30);
    const first = create(broker, { type });
    await mailbox.waitForRequests(1);
    expect((await create(broker, { type })).body.state).toBe("pending");
    await mailbox.release();
    expect((await first).body.state).toBe("active");
  });
});

test.each([
  [1, 0],
  [25, 0],
  [26, 1_000],
  [30, 5_000],
])(
  "a connector with %i seconds to answer holds the caller's answer back for %i milliseconds at most",
  (seconds, most) => {
    expect(answerWaitMs({ timeoutSeconds: seconds })).toBe(most);
  },
);
