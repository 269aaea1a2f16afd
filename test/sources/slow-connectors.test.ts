/** A connector may use all of its time: an answer at the end of it still counts. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { answerWaitMs } from "../../src/sources/connector";
import { moveClock } from "../support/clock";
import { create, newBroker, newConnector, objectOf } from "../support/source-sessions";

afterEach(() => vi.useRealTimers());

/** A connector that takes a moment to accept anything. */
async function newSlow(timeoutSeconds: number) {
  const broker = await newBroker();
  const connector = await newConnector(broker, undefined, { timeout_seconds: timeoutSeconds });
  const body = '{"result":"active"}';
  await connector.mailbox.answer({ kind: "status", status: 200, body, delayMs: 500 });
  return { broker, ...connector };
}

describe("a connector that answers at the end of its time", () => {
  test.each([5, 10, 30])("of %i seconds makes the session active", async (timeoutSeconds) => {
    const { broker, type, mailbox } = await newSlow(timeoutSeconds);
    const answer = create(broker, { type, wait: 10 });
    const [request] = await mailbox.waitForRequests(1);
    const { session_id: id } = JSON.parse(request?.body ?? "{}");
    // All of its time, and the time that a slow D1 and queue have taken before it was asked.
    moveClock(timeoutSeconds * 1_000 + 8_000);
    await runDurableObjectAlarm(objectOf(id));
    expect((await answer).body).toMatchObject({ id, state: "active" });
  });

  test("is waited for before the answer when it may take longer than the platform allows after one", async () => {
    // Timers that never fire: only the outcome can end the wait.
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const long = await newSlow(30);
    expect((await create(long.broker, { type: long.type })).body.state).toBe("active");
  });

  test("is left to finish after the answer when the platform allows that time", async () => {
    const { broker, type } = await newSlow(25);
    const { body } = await create(broker, { type });
    expect(body.state).toBe("pending");
    const settled = await objectOf(body.id).outcome(broker.id, 10_000);
    expect(settled).toMatchObject({ session: { status: "active" } });
  });

  test("delays a duplicate request no longer than that request asks, since the first one verifies", async () => {
    const { broker, type, mailbox } = await newSlow(30);
    const first = create(broker, { type });
    await mailbox.waitForRequests(1);
    expect((await create(broker, { type })).body.state).toBe("pending");
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
