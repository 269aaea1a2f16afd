/** Why a connector's last answer could not be used, as the connector's owner can read it. */
import { createExecutionContext, createMessageBatch } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { handleBatch } from "../../src/queues";
import { call } from "../support/client";
import { eventually } from "../support/pipeline";
import type { Behaviour } from "../support/receiver";
import { d1CallsOf, rowsOf, settled } from "../support/rows";
import {
  answerWith,
  type Broker,
  create,
  newActive,
  newBroker,
  newConnector,
} from "../support/source-sessions";

afterEach(() => vi.useRealTimers());

const SECRET = "canary-of-an-end-user";

function answering(body: string, status = 200): Behaviour {
  return { kind: "status", status, body };
}

async function lastFailure(broker: Broker, type: string) {
  const { body } = await call("GET", `/v1/connectors/${type}`, { key: broker.key });
  return body.last_failure;
}

/** It is written after the outcome. */
function noted(broker: Broker, type: string, reason: RegExp) {
  return eventually(async () => {
    const failure = await lastFailure(broker, type);
    expect(failure?.reason).toMatch(reason);
    return failure;
  });
}

async function fails(broker: Broker, type: string) {
  const payload = { password: SECRET };
  const identifier = `jo-${crypto.randomUUID()}`;
  const { body } = await create(broker, { type, identifier, payload, wait: 10 });
  expect(body).toMatchObject({ state: "failed", error: "service-unavailable" });
}

/** An active session; has its connector check it, and waits for the outcome. */
async function checked() {
  const broker = await newBroker();
  const { type, mailbox } = await newConnector(broker, { result: "active" });
  const sessionId = await newActive(broker, { type });
  const check = async () => {
    const body = { v: 1, organisationId: broker.id, sessionId };
    const message = { id: crypto.randomUUID(), timestamp: new Date(), attempts: 1, body };
    const batch = createMessageBatch("drawbridge-checks", [message]);
    await handleBatch(batch, env, createExecutionContext());
  };
  return { broker, type, mailbox, check };
}

describe("the last failure of a connector", () => {
  test.each<[string, Behaviour, RegExp]>([
    [
      "an expires_at without an offset",
      answering('{"result":"active","expires_at":"2999-01-01T00:00:00"}'),
      /^expires_at must be a date and time with an offset/,
    ],
    [
      "an expires_at in seconds",
      answering('{"result":"active","expires_at":4102444800}'),
      /^expires_at must be/,
    ],
    [
      "an expires_at that has passed",
      answering('{"result":"active","expires_at":"2020-01-01T00:00:00Z"}'),
      /^expires_at has passed$/,
    ],
    ["another result", answering(`{"result":"${SECRET}"}`), /result is "active" or "failed"$/],
    ["an array", answering(`["${SECRET}"]`), /^the answer must be a JSON object/],
    [
      "another error",
      answering(`{"result":"failed","error":"${SECRET}"}`),
      /^error must be one of/,
    ],
    ["no JSON", answering(SECRET), /^its answer is not JSON in UTF-8$/],
    ["nothing", { kind: "status", status: 204 }, /^its answer is not JSON in UTF-8$/],
    ["too much", answering(`{"result":"${"x".repeat(20_000)}"}`), /more than 16384 bytes$/],
    ["a refusal", answering(`{"said":"${SECRET}"}`, 401), /the status 401 instead of 2xx$/],
    ["a redirect", { kind: "redirect", to: "http://127.0.0.1:9/" }, /the status 30\d instead/],
    ["a broken connection", { kind: "reset" }, /^there was no connection, or it broke off$/],
    ["silence", { kind: "hang" }, /^it gave no answer within 1 s$/],
  ])(
    "says that it answered with %s, and quotes nothing that it said or was told",
    async (_, behaviour, reason) => {
      const broker = await newBroker();
      // Only silence takes all of the time.
      const timeout_seconds = behaviour.kind === "hang" ? 1 : 25;
      const { type, mailbox } = await newConnector(broker, undefined, { timeout_seconds });
      expect(await lastFailure(broker, type)).toBeNull();
      await mailbox.answer(behaviour);
      await fails(broker, type);
      const failure = await noted(broker, type, reason);
      expect(failure.at).toMatch(/^\d{4}-.*\.\d{3}Z$/);
      const rows = await env.DB.prepare("select * from connectors where type = ?").bind(type).all();
      expect(JSON.stringify(rows.results)).not.toContain(SECRET);
    },
  );

  test("says that we may no longer send to its address", async () => {
    const broker = await newBroker();
    const { type } = await newConnector(broker);
    await env.DB.prepare("update connectors set url = 'http://10.0.0.1/' where type = ?")
      .bind(type)
      .run();
    await fails(broker, type);
    await noted(broker, type, /^nothing may be sent to the url: /);
  });

  test("is neither an answer in the agreed form nor a failure of another connector", async () => {
    const [broker, other] = [await newBroker(), await newBroker()];
    const { type, mailbox } = await newConnector(broker, { result: "active" });
    const sibling = await newConnector(other, "no object");
    await newActive(broker, { type });
    for (const error of ["invalid-credentials", "service-unavailable"]) {
      await answerWith(mailbox, { result: "failed", error });
      await create(broker, { type, identifier: error, wait: 10 });
    }
    await fails(other, sibling.type);
    await noted(other, sibling.type, /JSON object/);
    expect(await lastFailure(broker, type)).toBeNull();
  });

  test("is recorded for a check too: an answer that is neither active nor expired", async () => {
    const { broker, type, mailbox, check } = await checked();
    await check();
    expect(await lastFailure(broker, type)).toBeNull();
    await answerWith(mailbox, { result: "ended" });
    await check();
    expect((await lastFailure(broker, type)).reason).toContain("the answer to a check");
  });

  test("is written once a minute while its reason stays, and at once when the reason changes", async () => {
    const { broker, type, mailbox, check } = await checked();
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    /** Whether a check writes to D1, and the time of the failure that is stored afterwards. */
    const noted = async () => {
      const calls = await d1CallsOf(check);
      const { at } = await lastFailure(broker, type);
      return [calls.some((sql) => /update .{1,3}connectors/.test(sql)), Date.parse(at) - now];
    };
    await answerWith(mailbox, { result: "ended" });
    expect(await noted()).toEqual([true, 0]);
    vi.setSystemTime(now + 59_999);
    expect(await noted()).toEqual([false, 0]);
    vi.setSystemTime(now + 60_000);
    expect(await noted()).toEqual([true, 60_000]);
    vi.setSystemTime(now + 60_001);
    await mailbox.answer(answering("", 500));
    expect(await noted()).toEqual([true, 60_001]);
  });

  test("is written once where many calls find it at the same moment", async () => {
    const { broker, type, mailbox, check } = await checked();
    await answerWith(mailbox, { result: "ended" });
    await settled();
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const rows = await rowsOf(() => Promise.all([check(), check(), check(), check()]));
    expect(rows.d1Written).toBe(1);
    expect(await lastFailure(broker, type)).not.toBeNull();
  });

  test("is forgotten together with the address at which it happened", async () => {
    const broker = await newBroker();
    const { type, mailbox } = await newConnector(broker, "no object");
    await fails(broker, type);
    await noted(broker, type, /JSON object/);
    const put = (url: string, timeout_seconds: number) =>
      call("PUT", `/v1/connectors/${type}`, { key: broker.key, body: { url, timeout_seconds } });
    expect((await put(mailbox.url, 5)).body.last_failure).not.toBeNull();
    expect((await put(`${mailbox.url}/2`, 5)).body.last_failure).toBeNull();
  });
});
