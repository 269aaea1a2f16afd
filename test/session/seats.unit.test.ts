/** Which seats of a full session are free for somebody else, and who takes over from a host who is gone. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hostMigrationAt, nextHost } from "../../src/session/host-migration";
import type { SessionCommand } from "../../src/session/machine";
import { freeSeats, type SeatUse } from "../../src/session/seats";
import type { Session } from "../../src/session/session";
import { BORN_AT, creation, after as made, userAt } from "../support/session-state";

const never: SeatUse = { connected: false, leftAt: null };
const here: SeatUse = { connected: true, leftAt: null };
const left = (ms: number): SeatUse => ({ connected: false, leftAt: BORN_AT + ms });

const join = (joinedAfterMs: number): SessionCommand => ({
  type: "authorize-user",
  user: { ...userAt(9), joinedAt: BORN_AT + joinedAfterMs },
});

/** Users 0 and 1 are the organisation's; 2, 3 and 4 joined after so many milliseconds. */
const session = made(
  creation({ users: 2, maxUsers: 5, rejoinSeconds: 120 }),
  join(0),
  join(10_000),
  join(20_000),
);

describe("the free seats of a session", () => {
  const table: [string, Record<number, SeatUse>, number, number[]][] = [
    ["are none a millisecond before a minute after the first join", {}, 59_999, []],
    ["is the first one's from then on, if they never connected", {}, 60_000, [2]],
    ["are all of them, in the order in which they became free", {}, 80_000, [2, 3, 4]],
    ["are none of users who are connected", { 2: here, 3: here }, 80_000, [4]],
    [
      "are none of the organisation's users, however long they are away",
      { 0: left(0) },
      69_999,
      [2],
    ],
    [
      "are none of users who have left for less than rejoin_seconds",
      { 2: left(50_000) },
      169_999,
      [3, 4],
    ],
    [
      "are also those who left rejoin_seconds ago, by when they became free",
      { 2: left(50_000) },
      170_000,
      [3, 4, 2],
    ],
    [
      "are none of users who came back, whenever they had left",
      { 2: { connected: true, leftAt: BORN_AT }, 3: here, 4: here },
      3_000_000,
      [],
    ],
  ];
  test.each(table)("%s", (_, uses, ms, expected) => {
    expect(freeSeats(session, (n) => uses[n] ?? never, BORN_AT + ms)).toEqual(expected);
  });

  test("are free at once when rejoin_seconds is 0, but a first connection has its minute", () => {
    const strict = made(creation({ users: 1, maxUsers: 3, rejoinSeconds: 0 }), join(0), join(0));
    const useOf = (n: number) => (n === 1 ? left(5_000) : never);
    expect(freeSeats(strict, useOf, BORN_AT + 5_000)).toEqual([1]);
  });

  test("are kept for 120 seconds in a session that was made before there was rejoin_seconds", () => {
    const old = made(creation({ users: 1 }), join(0));
    expect(freeSeats(old, () => left(0), BORN_AT + 119_999)).toEqual([]);
    expect(freeSeats(old, () => left(0), BORN_AT + 120_000)).toEqual([1]);
  });

  test("are never the host's, who may have joined with the code too", () => {
    const hosted = made(creation({ users: 0 }), join(0), join(0));
    expect(freeSeats(hosted, () => never, BORN_AT + 3_000_000)).toEqual([1]);
    const migrated = made(creation({ users: 0 }), join(0), join(0), { type: "assign-host", n: 1 });
    expect(freeSeats(migrated, () => never, BORN_AT + 3_000_000)).toEqual([0]);
  });

  test("are never of somebody who is connected, of the organisation's users, or of the host", () => {
    const uses = fc.array(
      fc.record({
        connected: fc.boolean(),
        leftAt: fc.option(fc.integer({ min: BORN_AT, max: BORN_AT + 400_000 })),
      }),
      { minLength: 5, maxLength: 5 },
    );
    fc.assert(
      fc.property(uses, fc.nat(400_000), (use, ms) => {
        const free = freeSeats(session, (n) => use[n] ?? never, BORN_AT + ms);
        for (const n of free) {
          expect(use[n]?.connected).toBe(false);
          expect([2, 3, 4]).toContain(n);
        }
        expect(new Set(free).size).toBe(free.length);
      }),
    );
  });
});

describe("a host who is gone is replaced", () => {
  const migrating = { users: 3, hostMigration: "oldest", hostGraceSeconds: 10 } as const;
  const migratable = made(creation(migrating));
  const node = { id: "rn_1", host: "play.example.com", ip: null, serverPort: 1, clientPort: 2 };
  const table: [string, Session, SeatUse, number | null][] = [
    ["so many seconds after they left", migratable, left(5_000), 15_000],
    ["never while they are connected", migratable, { connected: true, leftAt: BORN_AT }, null],
    ["never before they were connected at all", migratable, never, null],
    ["never without host_migration", made(creation({ users: 3 })), left(0), null],
    ["never on a relay node", { ...migratable, node }, left(0), null],
    [
      "never before the session is active",
      made(creation({ ...migrating, active: false })),
      left(0),
      null,
    ],
    [
      "never after its end",
      made(creation(migrating), { type: "expire", reason: "api" }),
      left(0),
      null,
    ],
    [
      "so many seconds after they were revoked, also if they were never connected",
      made(creation(migrating), { type: "revoke-user", n: 0 }),
      never,
      11_000,
    ],
    [
      "so many seconds after they were made the host, if they had left before",
      made(creation(migrating), { type: "assign-host", n: 1 }),
      left(500),
      11_000,
    ],
    [
      "by nobody, if they have been made the host and never came",
      made(creation(migrating), { type: "assign-host", n: 1 }),
      never,
      null,
    ],
    [
      "like any other, after they have replaced one who was revoked",
      made(creation(migrating), { type: "revoke-user", n: 0 }, { type: "assign-host", n: 1 }),
      left(5_000),
      15_000,
    ],
  ];
  test.each(table)("%s", (_, state, use, expected) => {
    const at = hostMigrationAt(state, use);
    expect(at === null ? null : at - BORN_AT).toBe(expected);
  });

  test("by the connected user with the lowest ordinal, and by nobody where nobody is", () => {
    expect(nextHost(migratable, () => true)).toBe(1);
    expect(nextHost(migratable, (n) => n === 2)).toBe(2);
    expect(nextHost(migratable, (n) => n === 0)).toBeNull();
    expect(nextHost(migratable, () => false)).toBeNull();
  });
});
