/**
 * Faults of what a session's object relies on, made in the real thing: an object that dies between
 * two steps of a command, a journal that cannot be reached, an alarm that is early, late or lost. Everything is
 * undone when `work` is over.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { DomainEvent } from "../../src/events/event";
import { JournalClient, type RecordResult } from "../../src/events/journal-client";
import { SessionObject } from "../../src/session-object/object";
import { eventually } from "./eventually";
import { asSessionEvent } from "./session-event";

export type SessionStub = DurableObjectStub<SessionObject>;

export function stubOf(id: string): SessionStub {
  return env.SESSIONS.getByName(id);
}

/** In how many seconds the object will be woken; null: never. */
export async function alarmIn(id: string): Promise<number | null> {
  const at = await runInDurableObject(stubOf(id), (_, { storage }) => storage.getAlarm());
  return at === null ? null : (at - Date.now()) / 1_000;
}

/** Calls the alarm's handler `times` times at once, whether or not an alarm is set. */
export async function ring(id: string, times = 1): Promise<void> {
  await runInDurableObject<SessionObject, unknown>(stubOf(id), (object) =>
    Promise.all(Array.from({ length: times }, () => object.alarm())),
  );
}

export async function loseAlarm(id: string): Promise<void> {
  await runInDurableObject(stubOf(id), (_, { storage }) => storage.deleteAlarm());
}

type Query = (this: unknown, ...args: unknown[]) => Promise<unknown>;

/** Is called before journals are told of events; `send` tells them. */
export type OnRecord = (events: readonly DomainEvent[], send: () => Promise<unknown>) => unknown;

/** Runs `work`; `onRecord` decides what happens to events on their way to their journals. */
export async function withJournals<T>(onRecord: OnRecord, work: () => Promise<T>): Promise<T> {
  const client = JournalClient.prototype;
  const { recordEach } = client;
  client.recordEach = async function (events) {
    let result: RecordResult = { recorded: [...events], failures: [] };
    const send = async () => {
      result = await recordEach.call(this, events);
      if (result.failures.length > 0) throw result.failures[0];
    };
    try {
      await onRecord(events, send);
      return result;
    } catch (error) {
      return { recorded: [], failures: [error] };
    }
  };
  try {
    return await work();
  } finally {
    client.recordEach = recordEach;
  }
}

/** What a journal that cannot be reached throws. */
export function journalUnreachable(): never {
  throw new Error("Network connection lost.");
}

/** A step of announcing a change at which an object may die. */
export const DEATHS = [
  "before its events are recorded",
  "after its events are recorded",
  "before D1 shows it",
  "after D1 shows it",
] as const;
export type Death = (typeof DEATHS)[number];

/** A statement that writes a session's row: no other statement looks like it. */
export const PROJECTION = /^\s*(insert into|update) sessions\b/m;

/** Whether a statement, or one of a batch, writes a session's row. */
export const isProjection = (sql: string) => PROJECTION.test(sql);

/** Runs `work`; D1 does the statements that match, and their answers never arrive. */
export async function losingAnswers<T>(
  isLost: (sql: string) => boolean,
  work: () => Promise<T>,
): Promise<T> {
  return withQueries(async (sql, query) => {
    const answer = await query();
    if (isLost(sql)) throw new Error("D1_ERROR: Network connection lost.");
    return answer;
  }, work);
}

/** Runs `work`; the first object that comes to this step dies there at once. */
export async function dyingAt<T>(death: Death, work: () => Promise<T>): Promise<T> {
  let sessionId: string | undefined;
  let dead = false;
  const never = () => {
    dead = true;
    return new Promise<never>(() => undefined);
  };
  const onQuery: OnQuery = async (sql, query) => {
    const here = !dead && isProjection(sql);
    if (here && death === "before D1 shows it") return never();
    const answer = await query();
    return here && death === "after D1 shows it" ? never() : answer;
  };
  const onRecord: OnRecord = async (events, send) => {
    const here = !dead;
    if (here && events[0]) sessionId = asSessionEvent(events[0]).data.session.id;
    if (here && death === "before its events are recorded") return never();
    const answer = await send();
    return here && death === "after its events are recorded" ? never() : answer;
  };
  const kills = async () => {
    const done = work();
    await eventually(() => {
      if (!dead) throw new Error(`no object came to die ${death}`);
    });
    await kill(sessionId ?? "");
    return done;
  };
  return withJournals(onRecord, () => withQueries(onQuery, kills));
}

/**
 * Makes a call on the objects with these names fail, until the mocks are restored.
 * @returns the names of all objects on which the call was made, in order
 */
export function breakObjects(
  call: "reconcile" | "purge" | "purgeEnded",
  isBroken: (name: string) => boolean,
): string[] {
  const called: string[] = [];
  const works = SessionObject.prototype[call] as () => Promise<never>;
  vi.spyOn(SessionObject.prototype, call).mockImplementation(async function (this: SessionObject) {
    const { id } = (this as unknown as { ctx: DurableObjectState }).ctx;
    called.push(id.name ?? "");
    if (isBroken(id.name ?? "")) throw new Error("this object is broken");
    return works.call(this);
  });
  return called;
}

/** Ends the object's instance at once, with all that it is doing; what it has stored stays. */
export async function kill(id: string): Promise<void> {
  const killed = runInDurableObject(stubOf(id), (_, state) => state.abort("killed by a test"));
  await killed.catch(() => undefined);
}

type OnQuery = (sql: string, query: () => Promise<unknown>) => Promise<unknown>;

async function withQueries<T>(onQuery: OnQuery, work: () => Promise<T>): Promise<T> {
  const database = Object.getPrototypeOf(env.DB.withSession()) as { _send: Query };
  const { _send } = database;
  database._send = function (...args) {
    return onQuery([args[1]].flat().join(";\n"), () => _send.apply(this, args));
  };
  try {
    return await work();
  } finally {
    database._send = _send;
  }
}
