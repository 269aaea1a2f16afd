/**
 * The message that a connector signs to end a session: it works for one session, however often it
 * arrives.
 */
import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, test, vi } from "vitest";
import { NONCE_MS } from "../../src/once/nonces";
import { type Answer, call } from "../support/client";
import { moveClock } from "../support/clock";
import { rowsOf, settled, written } from "../support/rows";
import {
  type Broker,
  eventsOf,
  newActive,
  newBroker,
  newConnector,
  read,
  type TestConnector,
} from "../support/source-sessions";

afterEach(() => vi.useRealTimers());

/**
 * A message as it goes over the network: anyone who has seen it can send it again, to any session.
 */
function signed(connector: TestConnector, messageId: string) {
  const body = '{"reason":"service"}';
  const at = new Date();
  const headers = {
    "webhook-id": messageId,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": new Webhook(connector.secret).sign(messageId, at, body),
  };
  return (id: string): Promise<Answer> =>
    call("POST", `/v1/sessions/${id}:expire`, { body, headers });
}

/** Active sessions of one connector, each of an account of its own. */
async function newSessions(count: number) {
  const broker = await newBroker();
  const connector = await newConnector(broker, { result: "active" });
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    ids.push(await newActive(broker, { type: connector.type, identifier: `jo-${n}` }));
  }
  return { broker, connector, ids };
}

async function stateOf(broker: Broker, id: string | undefined): Promise<string> {
  return (await read(broker, id ?? "")).body.state;
}

describe("a message that a connector has signed", () => {
  test("ends one session, and no other one to which it is sent again", async () => {
    const { broker, connector, ids } = await newSessions(2);
    const [mine = "", other = ""] = ids;
    const send = signed(connector, "msg_1");
    expect((await send(mine)).status).toBe(200);
    const replayed = await send(other);
    expect(replayed.status).toBe(401);
    expect(replayed.body).toMatchObject({ code: "message-used" });
    expect(replayed.body.detail).toContain("webhook-id");
    expect(await stateOf(broker, other)).toBe("active");
    expect((await signed(connector, "msg_2")(other)).status).toBe(200);
    expect(await stateOf(broker, other)).toBe("expired");
  });

  test("is answered 200 each time that it comes again for its own session", async () => {
    const { broker, connector, ids } = await newSessions(1);
    const [id = ""] = ids;
    const send = signed(connector, "msg_1");
    const first = await send(id);
    const answers = await Promise.all([send(id), send(id)]);
    for (const { status, body } of answers) {
      expect(status).toBe(200);
      expect(body).toEqual(first.body);
    }
    expect(await eventsOf(broker, 3)).toHaveLength(3);
  });

  test("ends only one of several sessions to which it is sent at the same time", async () => {
    const { broker, connector, ids } = await newSessions(4);
    const send = signed(connector, "msg_1");
    const answers = await Promise.all(ids.map(send));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401]);
    const states = await Promise.all(ids.map((id) => stateOf(broker, id)));
    expect(states.sort()).toEqual(["active", "active", "active", "expired"]);
  });

  test("is remembered for as long as its signature is accepted, also into the next half hour", async () => {
    const { broker, connector, ids } = await newSessions(2);
    const [mine = "", other = ""] = ids;
    const edge = Math.ceil(Date.now() / NONCE_MS) * NONCE_MS;
    vi.useFakeTimers({ toFake: ["Date"], now: edge - 1_000 });
    const send = signed(connector, "msg_1");
    expect((await send(mine)).status).toBe(200);
    moveClock(299_000);
    expect((await send(mine)).status).toBe(200);
    expect((await send(other)).body.code).toBe("message-used");
    moveClock(3_000);
    const stale = (await send(mine)).body;
    expect(stale.code).toBe("wrong-signature");
    expect(stale.detail).toMatch(
      /webhook-timestamp is 302 seconds behind the server's, which is 20/,
    );
    expect(await stateOf(broker, other)).toBe("active");
  });

  test("does not use up the same id of another connector", async () => {
    const { broker, connector, ids } = await newSessions(1);
    const sibling = await newConnector(broker, { result: "active" });
    const id = await newActive(broker, { type: sibling.type });
    expect((await signed(connector, "msg_1")(ids[0] ?? "")).status).toBe(200);
    expect((await signed(sibling, "msg_1")(id)).status).toBe(200);
  });

  test("writes nothing when it comes again or has no valid signature", async () => {
    const { connector, ids } = await newSessions(1);
    const [id = ""] = ids;
    const send = signed(connector, "msg_1");
    await send(id);
    await settled();
    expect(written(await rowsOf(() => send(id)))).toBe(0);
    const forged = signed({ ...connector, secret: `whsec_${btoa("another")}` }, "msg_2");
    const cost = await rowsOf(async () => expect((await forged(id)).status).toBe(401));
    expect(written(cost)).toBe(0);
  });
});
