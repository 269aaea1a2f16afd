/**
 * The credentials of a third party are nowhere: not stored, not queued, not logged, not answered.
 */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createHash } from "node:crypto";
import { afterEach, expect, test, vi } from "vitest";
import { SessionObject } from "../../src/session-object/object";
import { call } from "../support/client";
import { moveClock } from "../support/clock";
import { LIMIT_MS } from "../support/eventually";
import { recordedIn } from "../support/journals";
import { createMailbox } from "../support/receiver";
import {
  type Broker,
  create,
  eventsOf,
  newBroker,
  newConnector,
  objectOf,
  read,
  remove,
  use,
} from "../support/source-sessions";
import { runSweep } from "../support/sweep";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Everything that is logged, and all that is put on a queue, from now on. */
function listen(): { logged: string[]; queued: string[] } {
  const logged: string[] = [];
  const queued: string[] = [];
  for (const level of ["log", "info", "warn", "error", "debug"] as const) {
    vi.spyOn(console, level).mockImplementation((...said) => void logged.push(said.join(" ")));
  }
  const queue = Object.getPrototypeOf(env.DELIVERIES);
  for (const name of ["send", "sendBatch"] as const) {
    const send = queue[name];
    vi.spyOn(queue, name).mockImplementation(function (this: unknown, ...args: unknown[]) {
      queued.push(JSON.stringify(args));
      return send.apply(this, args);
    });
  }
  return { logged, queued };
}

/** Every row of every table of D1. */
async function dumpD1(): Promise<string> {
  const { results } = await env.DB.prepare(
    "select name from sqlite_master where type = 'table' and name not like '\\_cf%' escape '\\'",
  ).all<{ name: string }>();
  const tables = await Promise.all(
    results.map(({ name }) => env.DB.prepare(`select * from "${name}"`).all()),
  );
  return JSON.stringify(tables.map(({ results: rows }) => rows));
}

async function dumpObject(id: string): Promise<string> {
  return runInDurableObject(objectOf(id), async (_, { storage }) => {
    const all = [...(await storage.list())];
    return JSON.stringify(all, (_key, value) => (value instanceof Map ? [...value] : value));
  });
}

/**
 * Asserts that none of these texts holds a password, or a digest of one from which it could be
 * guessed.
 */
function marksOf(password: string, body: string): string[] {
  const digests = [password, body].flatMap((text) =>
    (["hex", "base64", "base64url"] as const).map((form) =>
      createHash("sha256").update(text).digest(form),
    ),
  );
  return [
    password,
    Buffer.from(password).toString("base64"),
    encodeURIComponent(password),
    ...digests,
  ];
}

test("a password in a payload is in the request to the connector and nowhere else", async () => {
  const { logged, queued } = listen();
  const answers: string[] = [];
  const keep = <T extends { text: string }>(answer: T): T => {
    answers.push(answer.text, JSON.stringify((answer as T & { headers?: Headers }).headers ?? ""));
    return answer;
  };
  const broker = await newBroker();
  const hook = createMailbox(env.TEST_RECEIVER_URL);
  await call("POST", "/configs/webhook", { key: broker.key, body: { url: hook.url } });
  const password = `mark-${crypto.randomUUID()}`;
  const payload = { password, nested: { again: [password] } };
  const { type, mailbox } = await newConnector(broker, undefined, { timeout_seconds: 25 });
  const silent = await newConnector(broker, undefined, { timeout_seconds: 1 });
  await silent.mailbox.answer({ kind: "hang" });
  const say = (body: string) => mailbox.answer({ kind: "status", status: 200, body });
  const wanted = { type, payload, wait: 10 };

  // A session that becomes active, is used, is checked, and ends.
  await say('{"result":"active"}');
  const active = keep(await create(broker, { ...wanted, headers: { "Idempotency-Key": "once" } }));
  expect(active.body.state).toBe("active");
  keep(await create(broker, { ...wanted, headers: { "Idempotency-Key": "once" } }));
  await evictDurableObject(objectOf(active.body.id));
  keep(await use(broker, active.body.id));
  keep(await remove(broker, active.body.id));
  // Failures: one in the agreed form, and those in which the connector repeats what it was told.
  const failed = [];
  for (const answer of [
    '{"result":"failed","error":"invalid-credentials"}',
    JSON.stringify({ result: "failed", error: password }),
    JSON.stringify({ result: "active", expires_at: password }),
    JSON.stringify({ [password]: password }),
    `${password} is not JSON`,
  ]) {
    await say(answer);
    failed.push(keep(await create(broker, wanted)));
  }
  expect(failed.map(({ body }) => body.error)).toEqual([
    "invalid-credentials",
    ...Array(4).fill("service-unavailable"),
  ]);
  // A connector that hangs, one whose connection breaks, and a refused create.
  failed.push(keep(await create(broker, { ...wanted, type: silent.type })));
  await mailbox.answer({ kind: "reset" });
  failed.push(keep(await create(broker, wanted)));
  keep(await create(broker, { ...wanted, type: "nobody.knows" }));
  keep(await create(broker, { ...wanted, user: password }));
  const body = { source: password, payload: password };
  keep(await call("POST", "/sessions", { key: broker.key, body }));
  keep(await call("POST", "/sessions", { key: broker.key, body: `{"payload":"${password}"` }));
  // An object that is evicted while its connector is asked, and one that cannot be reached.
  const asked = (await mailbox.requests()).length;
  await mailbox.answer({ kind: "status", status: 200, body: '{"result":"active"}', held: true });
  const evicted = keep(await create(broker, { type, payload: { ...payload, evicted: true } }));
  await mailbox.waitForRequests(asked + 1);
  await evictDurableObject(objectOf(evicted.body.id));
  await mailbox.release();
  await objectOf(evicted.body.id).outcome(broker.id, LIMIT_MS);
  expect(keep(await read(broker, evicted.body.id)).body.state).toBe("active");
  const unreachable = vi
    .spyOn(SessionObject.prototype, "create")
    .mockRejectedValueOnce(Object.assign(new Error("no such luck"), { overloaded: true }));
  const broken = keep(await create(broker, { type, payload: { ...payload, broken: true } }));
  expect(broken.status).toBe(503);
  unreachable.mockRestore();
  // A Worker that has died: evicted, timed out, swept.
  const lost = keep(await create(broker, { identifier: "jo+lost", payload }));
  await evictDurableObject(objectOf(lost.body.id));
  moveClock(60_000);
  await runDurableObjectAlarm(objectOf(lost.body.id));
  expect(keep(await read(broker, lost.body.id)).body.error).toBe("verification-timeout");
  await runSweep();

  const sessions = [active, ...failed, evicted, lost].map(({ body }) => body.id as string);
  const events = await eventsOf(broker, 2 * sessions.length + 1);
  const hooks = await hook.waitForRequests(2 * sessions.length + 3);
  for (const path of ["/sessions?limit=1000", "/sources", "/users", "/events?limit=1000"]) {
    keep(await call("GET", path, { key: broker.key }));
  }
  vi.useRealTimers();

  const received = JSON.stringify(await mailbox.requests());
  expect(received).toContain(password);
  const sent = JSON.parse((await mailbox.requests())[0]?.body ?? "{}");
  const request = JSON.stringify({
    source: { user: broker.userId, type, identifier: "jo" },
    payload: sent.payload,
  });
  const id: string = lost.body.id;
  // Each place, with something that must be in it, to show that the test has looked there.
  const places: Record<string, [text: string, shows: string]> = {
    D1: [await dumpD1(), id],
    objects: [(await Promise.all(sessions.map(dumpObject))).join("\n"), id],
    logs: [logged.join("\n"), '"route":"/sessions","status":503'],
    queues: [queued.join("\n"), "attempt"],
    journals: [JSON.stringify(await recordedIn(broker.id)), id],
    events: [JSON.stringify(events), id],
    webhooks: [JSON.stringify(hooks), id],
    answers: [answers.join("\n"), id],
  };
  for (const [place, [text, shows]] of Object.entries(places)) {
    expect(text, `${place} was looked at`).toContain(shows);
    for (const mark of marksOf(password, request)) {
      expect(text.includes(mark), `${place} holds ${mark}`).toBe(false);
    }
    // The digest that an Idempotency-Key would have without a secret.
    const digest = createHash("sha256").update(`/sessions\n${request}`).digest("base64url");
    expect(text.includes(digest), `${place} holds a plain digest of the request`).toBe(false);
  }
}, 300_000);

test("a source session's answers have no field that could hold a payload", async () => {
  const broker: Broker = await newBroker();
  const { body } = await create(broker, { wait: 10 });
  expect(Object.keys(body).sort()).toEqual(
    [
      "date_created",
      "date_expired",
      "date_last_used",
      "error",
      "error_class",
      "expires_at",
      "id",
      "key",
      "organisation",
      "resource",
      "source",
      "state",
      "user",
    ].sort(),
  );
});
