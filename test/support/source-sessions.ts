/** Source sessions as their clients use them, and the connectors behind them. */
import { env } from "cloudflare:workers";
import { type Answer, call, newOrganisation, type Tenant } from "./client";
import { eventually } from "./eventually";
import { createMailbox, type Mailbox } from "./receiver";

/** The password that the built-in type accepts. */
export const GOOD = { password: "abcd1234" };

/** An organisation with a user of its own. */
export interface Broker extends Tenant {
  userId: number;
}

export async function newBroker(): Promise<Broker> {
  const tenant = await newOrganisation();
  const { body } = await call("POST", "/users", {
    key: tenant.key,
    body: { identifier: "user-1" },
  });
  return { ...tenant, userId: body.id };
}

/** What a create names, in place of `{type: "mocks.mock", identifier: "jo", payload: GOOD}`. */
export interface Wanted {
  user?: unknown;
  type?: unknown;
  identifier?: unknown;
  payload?: unknown;
  /** Seconds to wait for the outcome. */
  wait?: number;
  headers?: Record<string, string>;
}

/** Creates a session, and returns the answer, whatever it is. */
export function create(broker: Broker, wanted: Wanted = {}): Promise<Answer> {
  const { user = broker.userId, type = "mocks.mock", identifier = "jo", payload = GOOD } = wanted;
  return call("POST", "/sessions", {
    key: broker.key,
    body: { source: { user, type, identifier }, payload },
    headers: {
      ...(wanted.wait === undefined ? {} : { "Ricloud-Await": String(wanted.wait) }),
      ...wanted.headers,
    },
  });
}

/** The id of a session that is active. */
export async function newActive(broker: Broker, wanted: Wanted = {}): Promise<string> {
  const { body } = await create(broker, { wait: 10, ...wanted });
  if (body.state !== "active") throw new Error(`not active: ${JSON.stringify(body)}`);
  return body.id;
}

export function read(broker: Tenant, id: string): Promise<Answer> {
  return call("GET", `/sessions/${id}`, { key: broker.key });
}

export function remove(broker: Tenant, id: string): Promise<Answer> {
  return call("DELETE", `/sessions/${id}`, { key: broker.key });
}

/** Lists sessions; `query` without its question mark. */
export function list(broker: Tenant, query = ""): Promise<Answer> {
  return call("GET", `/sessions?${query}`, { key: broker.key });
}

export function use(broker: Tenant, id: string): Promise<Answer> {
  return call("POST", `/v1/sessions/${id}:use`, { key: broker.key });
}

/** The ids of a list's page. */
export function idsOf(page: Answer): (string | number)[] {
  return page.body.data.map((item: { id: string | number }) => item.id);
}

/** A connector of this test's own, behind a mailbox. */
export interface TestConnector {
  type: string;
  secret: string;
  mailbox: Mailbox;
}

/** Registers a connector; it answers with `answer` if that is given, and otherwise with 204. */
export async function newConnector(
  broker: Tenant,
  answer?: unknown,
  terms: Record<string, unknown> = {},
): Promise<TestConnector> {
  const mailbox = createMailbox(env.TEST_RECEIVER_URL);
  if (answer !== undefined) await answerWith(mailbox, answer);
  const type = `test.${crypto.randomUUID().slice(0, 8)}`;
  const { status, body, text } = await call("PUT", `/v1/connectors/${type}`, {
    key: broker.key,
    body: { url: mailbox.url, ...terms },
  });
  if (status !== 200) throw new Error(`no connector: ${status} ${text}`);
  return { type, secret: body.secret, mailbox };
}

/** Makes a mailbox answer with this JSON from now on. */
export function answerWith(mailbox: Mailbox, answer: unknown): Promise<void> {
  return mailbox.answer({ kind: "status", status: 200, body: JSON.stringify(answer) });
}

/** The session's object. */
export function objectOf(id: string) {
  return env.SESSIONS.getByName(id);
}

/** The organisation's events of sessions, oldest first, once there are so many. */
export function eventsOf(broker: Tenant, count: number) {
  return eventually(async () => {
    const { body } = await call("GET", "/events?limit=1000&type=session", { key: broker.key });
    if (body.data.length < count) {
      throw new Error(`${body.data.length} of ${count} events: ${JSON.stringify(body.data)}`);
    }
    return body.data.reverse() as { action: string; data: Record<string, unknown> }[];
  });
}
