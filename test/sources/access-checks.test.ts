/**
 * What the sweep does for source sessions: it has their connectors check them, and announces their
 * end ahead of time.
 */
import { createExecutionContext, createMessageBatch } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { handleBatch } from "../../src/queues";
import { moveClock, stopClock } from "../support/clock";
import {
  answerWith,
  type Broker,
  create,
  eventsOf,
  newActive,
  newBroker,
  newConnector,
  objectOf,
  read,
} from "../support/source-sessions";
import { runSweep } from "../support/sweep";

const HOUR_MS = 3_600_000;

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** The checks that a run of the sweep puts on the queue. */
async function checksOfSweep(): Promise<string[]> {
  const asked: string[] = [];
  const queue = Object.getPrototypeOf(env.CHECKS);
  const send = queue.sendBatch;
  vi.spyOn(queue, "sendBatch").mockImplementation(function (this: unknown, ...args: unknown[]) {
    const messages = args[0] as { body: { sessionId?: string } }[];
    asked.push(...messages.flatMap(({ body }) => body.sessionId ?? []));
    return send.apply(this, args);
  });
  await runSweep();
  vi.restoreAllMocks();
  return asked;
}

/** Gives messages to the Worker's consumer, and waits until it is done with them. */
async function consume(...bodies: unknown[]) {
  const messages = bodies.map((body) => ({
    id: crypto.randomUUID(),
    timestamp: new Date(),
    attempts: 1,
    body,
  }));
  await handleBatch(
    createMessageBatch("drawbridge-checks", messages),
    env,
    createExecutionContext(),
  );
}

function checkOf(broker: Broker, sessionId: string) {
  return { v: 1, organisationId: broker.id, sessionId };
}

/** The version of a session: how many events it has had. */
async function versionOf(broker: Broker, id: string): Promise<number> {
  const result = await objectOf(id).read(broker.id);
  return result.ok ? result.session.version : 0;
}

describe("a check of a source session", () => {
  test("is made as often as its connector wants, while the session is active", async () => {
    const broker = await newBroker();
    stopClock();
    const terms = { check_interval_seconds: 120 };
    const { type } = await newConnector(broker, { result: "active" }, terms);
    const id = await newActive(broker, { type });
    const unchecked = await newActive(broker);
    const asked: boolean[] = [];
    for (let minutes = 0; minutes < 6; minutes++) {
      asked.push((await checksOfSweep()).includes(id));
      moveClock(60_500);
    }
    expect(asked).toEqual([false, false, true, false, true, false]);
    await objectOf(id).expire(broker.id, "organisation");
    moveClock(HOUR_MS);
    const last = await checksOfSweep();
    expect(last).not.toContain(id);
    expect(last).not.toContain(unchecked);
  });

  test("carries no payload, and ends a session that the connector says has ended", async () => {
    const broker = await newBroker();
    const { type, mailbox } = await newConnector(broker, { result: "active" });
    const id = await newActive(broker, { type });
    await answerWith(mailbox, { result: "expired" });
    await consume(checkOf(broker, id));
    const [, check] = await mailbox.requests();
    expect(JSON.parse(check?.body ?? "")).toEqual({
      session_id: id,
      source: { id: 1, user: broker.userId, type, identifier: "jo" },
    });
    expect((await read(broker, id)).body).toMatchObject({ state: "expired", error: "service" });
  });

  test("goes from the sweep over the queue to the connector", async () => {
    const broker = await newBroker();
    const terms = { check_interval_seconds: 60 };
    const { type, mailbox } = await newConnector(broker, { result: "active" }, terms);
    const id = await newActive(broker, { type });
    await answerWith(mailbox, { result: "expired" });
    moveClock(61_000);
    await runSweep();
    await mailbox.waitForRequests(2);
    const events = await eventsOf(broker, 3);
    expect(events[2]).toMatchObject({ action: "expired", data: { id, error: "service" } });
  });

  test.each([
    ["says that it stands", { kind: "status", status: 200, body: '{"result":"active"}' }],
    ["says that it has failed", { kind: "status", status: 200, body: '{"result":"failed"}' }],
    ["says nothing", { kind: "status", status: 204 }],
    [
      "says that it has ended, with an error",
      { kind: "status", status: 500, body: '{"result":"expired"}' },
    ],
    ["is down", { kind: "reset" }],
  ] as const)("ends no session whose connector %s", async (_, behaviour) => {
    const broker = await newBroker();
    const { type, mailbox } = await newConnector(broker, { result: "active" });
    const id = await newActive(broker, { type });
    await mailbox.answer(behaviour);
    await consume(checkOf(broker, id));
    expect(await mailbox.requests()).toHaveLength(2);
    expect((await read(broker, id)).body.state).toBe("active");
  });

  test("asks nobody when the session is not active, is not there, or is another organisation's", async () => {
    const broker = await newBroker();
    const other = await newBroker();
    const { type, mailbox } = await newConnector(broker, {
      result: "failed",
      error: "code-invalid",
    });
    const { body } = await create(broker, { type, wait: 10 });
    await consume(
      checkOf(broker, body.id),
      checkOf(other, body.id),
      checkOf(broker, "ses_AAAAAAAAAAAAAAAAAAAAAA"),
    );
    expect(await mailbox.requests()).toHaveLength(1);
  });

  test("that cannot be read is recorded as a dead letter", async () => {
    const marker = crypto.randomUUID();
    await consume({ v: 99, marker });
    const found = await env.DB.prepare("select reason from dead_letters where instr(body, ?) > 0")
      .bind(marker)
      .first<{ reason: string }>();
    expect(found?.reason).toBe("not a check message");
  });
});

test("the end of a source session is announced once, an hour ahead", async () => {
  const broker = await newBroker();
  stopClock();
  const terms = { session_ttl_seconds: 12 * 3_600 };
  const { type } = await newConnector(broker, { result: "active" }, terms);
  const id = await newActive(broker, { type });
  moveClock(10 * HOUR_MS);
  await runSweep();
  expect(await versionOf(broker, id)).toBe(2);
  moveClock(HOUR_MS + 1_000);
  await runSweep();
  expect(await versionOf(broker, id)).toBe(3);
  await runSweep();
  expect(await versionOf(broker, id)).toBe(3);
  const events = await eventsOf(broker, 3);
  expect(events[2]).toMatchObject({ action: "expiring", data: { id, state: "active" } });
});

test("the end of a short source session is announced in the last quarter of its life", async () => {
  const broker = await newBroker();
  stopClock();
  const terms = { session_ttl_seconds: 400, idle_seconds: 1_000 };
  const { type } = await newConnector(broker, { result: "active" }, terms);
  const id = await newActive(broker, { type });
  moveClock(290_000);
  await runSweep();
  expect(await versionOf(broker, id)).toBe(2);
  moveClock(20_000);
  await runSweep();
  expect(await versionOf(broker, id)).toBe(3);
});
