/**
 * When a session's object wakes, and so when a session ends: as a table, and for any course of
 * events.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { drainBackoffMs, dueAt, idleSlackMs, planAlarm } from "../../src/session/timing";
import { after, BORN_AT, creation } from "../support/session-state";

const SECOND = 1_000;
const at = (seconds: number) => BORN_AT + seconds * SECOND;

describe("a session is due to end", () => {
  const session = after(creation({ expiresAt: at(1_000) }));
  test.each<[string, number | null, number]>([
    ["when it is idle, if nobody is connected", at(300), at(300)],
    ["at the end of its life, if it would be idle later", at(1_300), at(1_000)],
    ["at the end of its life, while somebody is connected", null, at(1_000)],
  ])("%s", (_, idleAt, expected) => {
    expect(dueAt(session, idleAt)).toBe(expected);
  });
});

describe("the alarm of a session that is idle after 100 s and lives 1,000 s", () => {
  const session = after(creation({ idleSeconds: 100, expiresAt: at(1_000) }));
  test("may be a quarter of the idle time late", () => {
    expect(idleSlackMs(100)).toBe(25 * SECOND);
  });

  test.each<[string, number | null, number | null, number | null]>([
    ["is set as late as it may be, when there is none", at(100), null, at(125)],
    [
      "is set to the end of life, when there is none and somebody is connected",
      null,
      null,
      at(1_000),
    ],
    ["is never set later than the end of life", at(990), null, at(1_000)],
    ["stays where it is on time", at(100), at(100), null],
    ["stays where it is late, but not too late", at(100), at(125), null],
    ["moves when it is later than the slack", at(100), at(126), at(125)],
    ["moves when it is earlier than the idle time", at(101), at(100), at(126)],
    ["stays early while somebody is connected: they are found", null, at(50), null],
    ["moves from after the end of life", null, at(1_001), at(1_000)],
    ["stays at the end of life, when idle would be later", at(1_050), at(1_000), null],
  ])("%s", (_, idleAt, alarmAt, expected) => {
    expect(planAlarm(session, idleAt, alarmAt)).toBe(expected);
  });
});

describe("the next try to drain", () => {
  test("waits twice as long each time, and at most five minutes, however often it failed", () => {
    const seconds = [0, 1, 2, 3, 8, 9, 20, 21, 1_000, 1e9].map((n) => drainBackoffMs(n) / SECOND);
    expect(seconds).toEqual([1, 2, 4, 8, 256, 300, 300, 300, 300, 300]);
  });
});

/**
 * The times of a session's object as the object keeps them: the idle time is in memory, the alarm
 * in storage, and an eviction leaves only the alarm.
 */
class Clockwork {
  readonly #session;
  readonly #idleMs: number;
  readonly expiresAt: number;
  #idleAt: number | null;
  #sockets = 0;
  alarmAt: number | null = null;
  alarmWrites = 0;
  /** The last call, or the last moment with a participant connected. */
  lastActivity = BORN_AT;
  endedAt: number | null = null;

  constructor(idleSeconds: number, lifeSeconds: number) {
    this.expiresAt = at(lifeSeconds);
    this.#session = after(creation({ idleSeconds, expiresAt: this.expiresAt }));
    this.#idleMs = idleSeconds * SECOND;
    this.#idleAt = BORN_AT + this.#idleMs;
    this.#arm();
  }

  get connected(): boolean {
    return this.#sockets > 0;
  }

  call(now: number): void {
    if (this.#settle(now)) return;
    this.#touch(now);
  }

  connect(now: number): void {
    if (this.#settle(now)) return;
    this.#sockets += 1;
  }

  disconnect(now: number): void {
    if (this.endedAt !== null || this.#sockets === 0) return;
    this.#sockets -= 1;
    if (this.#sockets === 0) this.#touch(now);
  }

  evict(): void {
    this.#idleAt = this.alarmAt;
  }

  ring(now: number, evicted: boolean): void {
    const scheduledAt = this.alarmAt;
    this.alarmAt = null;
    // An object that is woken by its alarm finds none set, and is told for which time it was.
    if (evicted) this.#idleAt = scheduledAt;
    if (!this.#settle(now)) this.#arm();
  }

  #touch(now: number): void {
    this.lastActivity = now;
    this.#idleAt = now + this.#idleMs;
    this.#arm();
  }

  #settle(now: number): boolean {
    if (this.endedAt !== null) return true;
    if (now < dueAt(this.#session, this.connected ? null : this.#idleAt)) return false;
    this.endedAt = now;
    return true;
  }

  #arm(): void {
    const next = planAlarm(this.#session, this.connected ? null : this.#idleAt, this.alarmAt);
    if (next === null) return;
    this.alarmAt = next;
    this.alarmWrites += 1;
  }
}

type What = "call" | "connect" | "disconnect" | "evict";

const courses = fc.record({
  idleSeconds: fc.integer({ min: 10, max: 3_600 }),
  lifeSeconds: fc.integer({ min: 60, max: 20_000 }),
  /** How late alarms are, as a share of the idle time. */
  lateness: fc.constantFrom(0, 0, 0.1, 3),
  steps: fc.array(
    fc.record({
      /** Time since the step before, as a share of the idle time. */
      pause: fc.double({ min: 0, max: 1.3, noNaN: true }),
      what: fc.constantFrom<What>(
        "call",
        "call",
        "call",
        "connect",
        "disconnect",
        "evict",
        "evict",
      ),
    }),
    { maxLength: 60 },
  ),
  wakesEvicted: fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
});

/** Runs a course of events, ringing each alarm when it is due, until the session has ended. */
function runToTheEnd({ idleSeconds, lifeSeconds, lateness, steps, wakesEvicted }: Course) {
  const clockwork = new Clockwork(idleSeconds, lifeSeconds);
  const lateMs = Math.round(lateness * idleSeconds * SECOND);
  let now = BORN_AT;
  let rings = 0;
  const ringUntil = (time: number) => {
    while (clockwork.endedAt === null && clockwork.alarmAt !== null) {
      const ringsAt = Math.max(now, clockwork.alarmAt + lateMs);
      if (ringsAt > time) return;
      now = ringsAt;
      clockwork.ring(now, wakesEvicted[rings % wakesEvicted.length] ?? false);
      rings += 1;
      if (rings > 1_000) throw new Error("the alarm rings for ever");
    }
  };
  for (const { pause, what } of steps) {
    const next = now + Math.round(pause * idleSeconds * SECOND);
    ringUntil(next);
    if (clockwork.endedAt !== null) break;
    now = next;
    if (what === "evict") clockwork.evict();
    else clockwork[what](now);
  }
  const connectedAtTheEnd = clockwork.connected;
  ringUntil(Number.POSITIVE_INFINITY);
  if (clockwork.endedAt === null) throw new Error("the session never ends: it has no alarm");
  return { clockwork, endedAt: clockwork.endedAt, lateMs, connectedAtTheEnd, rings };
}
type Course = typeof courses extends fc.Arbitrary<infer T> ? T : never;

describe("a session, whatever calls, websockets, evictions and alarms come,", () => {
  test("ends neither before its idle time nor before the end of its life", () => {
    fc.assert(
      fc.property(courses, (course) => {
        const { clockwork, endedAt } = runToTheEnd(course);
        const idleAt = clockwork.connected
          ? clockwork.expiresAt
          : clockwork.lastActivity + course.idleSeconds * SECOND;
        expect(endedAt).toBeGreaterThanOrEqual(Math.min(idleAt, clockwork.expiresAt));
      }),
      { numRuns: 2_000 },
    );
  });

  test("ends at most a quarter after its idle time, and at the end of its life", () => {
    fc.assert(
      fc.property(courses, (course) => {
        const { clockwork, endedAt, lateMs } = runToTheEnd(course);
        expect(endedAt).toBeLessThanOrEqual(clockwork.expiresAt + lateMs);
        if (clockwork.connected) return;
        const latest = clockwork.lastActivity + course.idleSeconds * 1.25 * SECOND;
        expect(endedAt).toBeLessThanOrEqual(latest + lateMs);
      }),
      { numRuns: 2_000 },
    );
  });

  test("moves its alarm once in a quarter of its idle time when it is polled often", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 3_600 }),
        fc.integer({ min: 1, max: 400 }),
        (idle, n) => {
          const clockwork = new Clockwork(idle, 1_000_000);
          const everyMs = (idle * SECOND) / 100;
          for (let i = 1; i <= n; i++) clockwork.call(BORN_AT + i * everyMs);
          expect(clockwork.endedAt).toBeNull();
          expect(clockwork.alarmWrites).toBeLessThanOrEqual(1 + Math.ceil(n / 25));
        },
      ),
    );
  });
});
