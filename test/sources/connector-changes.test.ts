/**
 * Who may change the address to which end users' credentials go, which events that makes, and how
 * its secret rotates.
 */
import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, test, vi } from "vitest";
import { deriveSecret } from "../../src/outbound/standard-webhooks";
import { type Answer, call } from "../support/client";
import { newKey } from "../support/keys";
import { eventRows } from "../support/pipeline";
import type { ReceivedRequest } from "../support/receiver";
import { rowsOf, settled, written } from "../support/rows";
import {
  type Broker,
  newActive,
  newBroker,
  newConnector,
  type TestConnector,
} from "../support/source-sessions";

afterEach(() => vi.useRealTimers());

const url = "http://127.0.0.1:9/verify";

/** The organisation's events of connectors, oldest first. */
async function told(broker: Broker) {
  const rows = await eventRows(broker);
  return rows
    .filter(({ type }) => type.startsWith("connector."))
    .map(({ type, data }) => ({ type, ...JSON.parse(data).connector }));
}

const rotate = (broker: Broker, { type }: { type: string }, graceSeconds: number) =>
  call("POST", `/v1/connectors/${type}/secret:rotate`, {
    key: broker.key,
    body: { grace_seconds: graceSeconds },
  });

describe("a connector", () => {
  test("is changed only with connectors:write, and may be read with sessions:read", async () => {
    const broker = await newBroker();
    const { type } = await newConnector(broker, { result: "active" });
    const path = `/v1/connectors/${type}`;
    const { token } = await newKey(broker, { permissions: ["sessions:read", "sessions:write"] });
    const answers = [
      await call("PUT", path, { key: token, body: { url } }),
      await call("DELETE", path, { key: token }),
      await call("POST", `${path}/secret:rotate`, { key: token }),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(403);
      expect(answer.body.detail).toContain("connectors:write");
    }
    const seen = await call("GET", path, { key: token });
    expect(seen.status).toBe(200);
    expect(seen.body).not.toHaveProperty("secret");
    const owner = await newKey(broker, { permissions: ["connectors:write"] });
    expect((await call("PUT", path, { key: owner.token, body: { url } })).status).toBe(200);
  });

  test("makes an event, in the same batch, when it is made, changed, given a new secret or removed", async () => {
    const broker = await newBroker();
    const type = "test.told";
    const path = `/v1/connectors/${type}`;
    const put = (body: object) => call("PUT", path, { key: broker.key, body });
    await put({ url });
    await put({ url, timeout_seconds: 7 });
    await rotate(broker, { type }, 60);
    await call("DELETE", path, { key: broker.key });
    await put({ url });
    const events = await told(broker);
    expect(events).toMatchObject([
      { type: "test.told", url, timeoutSeconds: 10 },
      { timeoutSeconds: 7 },
      { timeoutSeconds: 7 },
      { timeoutSeconds: 7 },
      { timeoutSeconds: 10 },
    ]);
    expect((await eventRows(broker)).map((row) => row.type)).toEqual([
      "connector.created",
      "connector.updated",
      "connector.secret.rotated",
      "connector.deleted",
      "connector.created",
    ]);
    const versions = events.map(({ version }) => version);
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
  });

  test("costs nothing and makes no event when it is put as it is", async () => {
    const broker = await newBroker();
    const type = "test.same";
    const put = () => call("PUT", `/v1/connectors/${type}`, { key: broker.key, body: { url } });
    const first = await put();
    await settled();
    const rows = await rowsOf(async () => {
      expect((await put()).body).toEqual(first.body);
    });
    expect(written(rows)).toBe(0);
    expect(await told(broker)).toHaveLength(1);
  });

  test("is as the last of several simultaneous changes left it, with an event for each", async () => {
    const broker = await newBroker();
    const type = "test.race";
    const timeouts = [1, 2, 3, 4];
    const answers = await Promise.all(
      timeouts.map((timeout_seconds) =>
        call("PUT", `/v1/connectors/${type}`, { key: broker.key, body: { url, timeout_seconds } }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(new Set(answers.map(({ body }) => body.secret)).size).toBe(1);
    const events = (await told(broker)).sort((a, b) => a.version - b.version);
    expect(events.map((event) => event.timeoutSeconds).sort()).toEqual(timeouts);
    const { body } = await call("GET", `/v1/connectors/${type}`, { key: broker.key });
    expect(body.timeout_seconds).toBe(events.at(-1)?.timeoutSeconds);
  });
});

describe("the secret of a connector", () => {
  const good = (secret: string, request: ReceivedRequest | undefined) => {
    try {
      new Webhook(secret).verify(request?.body ?? "", request?.headers ?? {});
      return true;
    } catch {
      return false;
    }
  };

  /** Ends a session as its connector, with this secret. */
  function expire(id: string, secret: string): Promise<Answer> {
    const body = '{"reason":"service"}';
    const at = new Date();
    const messageId = `msg_${crypto.randomUUID()}`;
    return call("POST", `/v1/sessions/${id}:expire`, {
      body,
      headers: {
        "webhook-id": messageId,
        "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
        "webhook-signature": new Webhook(secret).sign(messageId, at, body),
      },
    });
  }

  /** Which of these secrets sign what Drawbridge sends, and are accepted from the connector. */
  async function working(broker: Broker, connector: TestConnector, secrets: string[]) {
    const { type, mailbox } = connector;
    const works: [boolean, boolean][] = [];
    for (const secret of secrets) {
      const identifier = `jo-${crypto.randomUUID()}`;
      const id = await newActive(broker, { type, identifier });
      const request = (await mailbox.requests()).at(-1);
      works.push([good(secret, request), (await expire(id, secret)).status === 200]);
    }
    return works;
  }

  test("signs and is accepted beside the new one after a rotation, until its grace is over", async () => {
    const broker = await newBroker();
    const connector = await newConnector(broker, { result: "active" });
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const answer = await rotate(broker, connector, 100);
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body)).toEqual(["secret"]);
    expect(answer.headers.get("Cache-Control")).toBe("no-store");
    const secrets = [connector.secret, answer.body.secret];
    const both: [boolean, boolean] = [true, true];
    const none: [boolean, boolean] = [false, false];
    expect(await working(broker, connector, secrets)).toEqual([both, both]);
    vi.setSystemTime(now + 99_999);
    expect(await working(broker, connector, secrets)).toEqual([both, both]);
    vi.setSystemTime(now + 100_000);
    expect(await working(broker, connector, secrets)).toEqual([none, both]);
  });

  test("ends at once when it is rotated without a grace, and registering again shows the new one", async () => {
    const broker = await newBroker();
    const connector = await newConnector(broker, { result: "active" });
    const { body } = await rotate(broker, connector, 0);
    const works = await working(broker, connector, [connector.secret, body.secret]);
    expect(works).toEqual([
      [false, false],
      [true, true],
    ]);
    const again = await call("PUT", `/v1/connectors/${connector.type}`, {
      key: broker.key,
      body: { url: connector.mailbox.url },
    });
    expect(again.body.secret).toBe(body.secret);
  });

  test("cannot be rotated where there is no connector, or where it is another organisation's", async () => {
    const [broker, other] = [await newBroker(), await newBroker()];
    const connector = await newConnector(broker, { result: "active" });
    const answers = [
      await rotate(broker, { type: "test.none" }, 0),
      await rotate(other, connector, 0),
    ];
    for (const { status, body } of answers) {
      expect([status, body.code]).toEqual([404, "connector-not-found"]);
    }
    expect(await working(broker, connector, [connector.secret])).toEqual([[true, true]]);
  });

  test("is unchanged by an upgrade from when its version was the time of its creation", async () => {
    const broker = await newBroker();
    const { type, secret } = await newConnector(broker, { result: "active" });
    const row = await env.DB.prepare(
      "select created_at, version, secret_version from connectors where organisation_id = ? and type = ?",
    )
      .bind(broker.id, type)
      .first<Record<string, number>>();
    expect(row?.version).toBe(row?.created_at);
    expect(row?.secret_version).toBe(row?.created_at);
    const before = deriveSecret(
      env.DRAWBRIDGE_SECRET,
      `connector/${broker.id}/${type}`,
      row?.created_at ?? 0,
    );
    expect(secret).toBe(before);
  });
});
