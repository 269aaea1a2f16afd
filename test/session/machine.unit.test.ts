/**
 * Which command is taken in which state and at which time, and what becomes of the session: as a
 * table.
 */
import { describe, expect, test } from "vitest";
import { evolve } from "../../src/session/evolve";
import { decide, type SessionCommand, type SessionEvent } from "../../src/session/machine";
import { endReasonOf, isFinal, MAX_SESSION_USERS, type Session } from "../../src/session/session";
import { after, BORN_AT, creation, TTL_MS, userAt } from "../support/session-state";

const NOW = BORN_AT + 60_000;
const EXPIRES_AT = BORN_AT + TTL_MS;

const activate: SessionCommand = { type: "activate", expiresAt: null };
const fail: SessionCommand = { type: "fail", error: "wrong-password" };
const authorize: SessionCommand = { type: "authorize-user", user: userAt(9) };
const revoke: SessionCommand = { type: "revoke-user", n: 0 };
const assign: SessionCommand = { type: "assign-host", n: 1 };
const setCode: SessionCommand = { type: "set-join-code", draw: 5 };
const closeCode: SessionCommand = { type: "set-join-code", draw: null };
const expire: SessionCommand = { type: "expire", reason: "organisation" };

/** A join into a session that may be full, while these seats are free. */
const joinInPlaceOf = (...freeSeats: number[]): SessionCommand => ({
  type: "authorize-user",
  user: { ...userAt(9), joinedAt: NOW },
  freeSeats,
});

/** A join with an Idempotency-Key, of which the session sees a digest. */
const join = (joinedWith: string): SessionCommand => ({
  type: "authorize-user",
  user: { ...userAt(9), joinedWith },
});

const pending = after(creation({ active: false }));
const active = after(creation());
const full = after(creation({ users: 3 }));
const failed = after(creation({ active: false }), fail);
const expired = after(creation(), expire);
const joined = after(creation(), join("one"));
const trio = after(creation({ users: 3 }));
/** Full: users 0 and 1 are the organisation's, user 2 has joined. */
const seated = after(creation({ users: 2 }), joinInPlaceOf());
const hostRevoked = after(creation({ users: 3 }), revoke);
const hostAssigned = after(creation({ users: 3 }), assign);
const joinerIsHost = after(creation({ users: 2 }), joinInPlaceOf(), { type: "assign-host", n: 2 });
const withRoom = after(creation({ users: 1, maxUsers: 3 }), joinInPlaceOf());
const codeSet = after(creation(), setCode);
const codeClosed = after(creation({ joinCodeDraw: 3 }), closeCode);
const withCode = after(creation({ joinCodeDraw: 3 }));
const node = { id: "rn_1", host: "play.example.com", ip: null, serverPort: 1, clientPort: 2 };
const onNode = after({ ...creation({ users: 2, linkBy: EXPIRES_AT }), node });
const joinedFull = after(creation({ maxUsers: 2 }), join("one"));
const joinedExpired = after(creation(), join("one"), expire);

const refused = (code: string, more: object = {}) => ({ ok: false, refusal: { code, ...more } });
const happened = (type: string, more: object = {}) => ({
  ok: true,
  events: [{ version: 2, at: NOW, type, ...more }],
});

describe("creating a session", () => {
  test("makes it active, with its users in their order, where nothing has to be verified", () => {
    const command = creation({ users: 2 });
    const users = [
      { ...userAt(0), n: 0 },
      { ...userAt(1), n: 1 },
    ];
    const born = { facts: command.facts, expiresAt: EXPIRES_AT, users };
    expect(decide(null, command, NOW)).toEqual({
      ok: true,
      events: [{ version: 1, at: NOW, type: "session.active", born, expiresAt: EXPIRES_AT }],
    });
  });

  test("makes it pending where something has to be verified", () => {
    const command = creation({ active: false, users: 0 });
    const born = { facts: command.facts, expiresAt: EXPIRES_AT, users: [] };
    expect(decide(null, command, NOW)).toEqual({
      ok: true,
      events: [{ version: 1, at: NOW, type: "session.created", born }],
    });
  });

  test("keeps all of its facts, its users, and the ordinal of the next one", () => {
    const command = creation({ users: 2, metadata: { map: "dust" }, joinCodeDraw: 4 });
    expect(after(command)).toEqual({
      ...command.facts,
      version: 1,
      status: "active",
      expiresAt: EXPIRES_AT,
      users: [
        { ...userAt(0), n: 0 },
        { ...userAt(1), n: 1 },
      ],
      nextUser: 2,
    });
  });

  test("takes as many users as it may have, and refuses one more", () => {
    expect(decide(null, creation({ users: 3 }), NOW).ok).toBe(true);
    expect(decide(null, creation({ users: 4 }), NOW)).toEqual(refused("full", { maxUsers: 3 }));
    const tooMany = creation({ users: MAX_SESSION_USERS + 1, maxUsers: 1_000 });
    expect(decide(null, tooMany, NOW)).toEqual(refused("full", { maxUsers: MAX_SESSION_USERS }));
  });

  test.each([
    ["pending", pending],
    ["active", active],
    ["failed", failed],
    ["expired", expired],
  ])("is refused under the id of a %s session", (_, state) => {
    expect(decide(state, creation(), NOW)).toEqual(refused("exists"));
  });
});

describe("a command in a state", () => {
  const ended = { status: "expired", reason: "organisation" };
  const table: [string, Session | null, SessionCommand, object][] = [
    ["nothing, activate", null, activate, refused("not-found")],
    ["nothing, fail", null, fail, refused("not-found")],
    ["nothing, authorize", null, authorize, refused("not-found")],
    ["nothing, revoke", null, revoke, refused("not-found")],
    ["nothing, expire", null, expire, refused("not-found")],
    [
      "pending, activate",
      pending,
      activate,
      happened("session.active", { born: null, expiresAt: EXPIRES_AT }),
    ],
    [
      "pending, activate with another end",
      pending,
      { type: "activate", expiresAt: 77 },
      happened("session.active", { born: null, expiresAt: 77 }),
    ],
    ["pending, fail", pending, fail, happened("session.failed", { error: "wrong-password" })],
    ["pending, authorize", pending, authorize, refused("not-active", { status: "pending" })],
    ["pending, revoke", pending, revoke, happened("session.user_revoked", { n: 0 })],
    ["pending, expire", pending, expire, happened("session.expired", { reason: "organisation" })],
    ["active, activate", active, activate, refused("not-pending", { status: "active" })],
    ["active, fail", active, fail, refused("not-pending", { status: "active" })],
    [
      "active, authorize",
      active,
      authorize,
      happened("session.user_authorized", { user: { ...userAt(9), n: 1 } }),
    ],
    ["active and full, authorize", full, authorize, refused("full", { maxUsers: 3 })],
    ["active, the same join again", joined, join("one"), { ok: true, events: [] }],
    ["active and full, the same join again", joinedFull, join("one"), { ok: true, events: [] }],
    ["active and full, another join", joinedFull, join("two"), refused("full", { maxUsers: 2 })],
    ["expired, the same join again", joinedExpired, join("one"), refused("ended", ended)],
    ["active, revoke", active, revoke, happened("session.user_revoked", { n: 0 })],
    ["active, revoke nobody", active, { type: "revoke-user", n: 1 }, refused("unknown-user")],
    ["active, assign the host", trio, assign, happened("session.host_changed", { n: 1 })],
    ["active, assign the host again", hostAssigned, assign, { ok: true, events: [] }],
    [
      "active, assign who is the host from the start",
      trio,
      { type: "assign-host", n: 0 },
      { ok: true, events: [] },
    ],
    ["active, assign nobody", trio, { type: "assign-host", n: 3 }, refused("unknown-user")],
    [
      "active, assign a revoked host",
      hostRevoked,
      { type: "assign-host", n: 0 },
      refused("unknown-user"),
    ],
    [
      "active, assign another after the host was revoked",
      hostRevoked,
      assign,
      { ok: true, events: [{ version: 3, at: NOW, type: "session.host_changed", n: 1 }] },
    ],
    ["on a relay node, assign the host", onNode, assign, refused("session-on-relay-node")],
    ["pending, assign the host", pending, assign, refused("not-active", { status: "pending" })],
    ["expired, assign the host", expired, assign, refused("ended", ended)],
    ["active, set a code", active, setCode, happened("session.join_code_changed", { draw: 5 })],
    [
      "active, set another code",
      withCode,
      setCode,
      happened("session.join_code_changed", { draw: 5 }),
    ],
    ["active, set the same code again", codeSet, setCode, { ok: true, events: [] }],
    [
      "active, close the code",
      withCode,
      closeCode,
      happened("session.join_code_changed", { draw: null }),
    ],
    ["active, close the code again", codeClosed, closeCode, { ok: true, events: [] }],
    ["active, close no code", active, closeCode, { ok: true, events: [] }],
    ["pending, set a code", pending, setCode, happened("session.join_code_changed", { draw: 5 })],
    ["expired, set a code", expired, setCode, refused("ended", ended)],
    [
      "active with room, join while a seat is free",
      withRoom,
      joinInPlaceOf(1),
      {
        ok: true,
        events: [
          {
            version: 3,
            at: NOW,
            type: "session.user_authorized",
            user: { ...userAt(9), joinedAt: NOW, n: 2 },
          },
        ],
      },
    ],
    [
      "active and full, join in a seat that is free",
      seated,
      joinInPlaceOf(2),
      {
        ok: true,
        events: [
          { version: 3, at: NOW, type: "session.user_released", n: 2 },
          {
            version: 4,
            at: NOW,
            type: "session.user_authorized",
            user: { ...userAt(9), joinedAt: NOW, n: 3 },
          },
        ],
      },
    ],
    [
      "active and full, join where no seat is free",
      seated,
      joinInPlaceOf(),
      refused("full", { maxUsers: 3 }),
    ],
    [
      "active and full, join in the seat of the host",
      seated,
      joinInPlaceOf(0),
      refused("full", { maxUsers: 3 }),
    ],
    [
      "active and full, join in the seat of the organisation's user",
      seated,
      joinInPlaceOf(1),
      refused("full", { maxUsers: 3 }),
    ],
    [
      "active and full, join in the seat of nobody",
      seated,
      joinInPlaceOf(7),
      refused("full", { maxUsers: 3 }),
    ],
    [
      "active and full, join in the seat of one who joined and is the host",
      joinerIsHost,
      joinInPlaceOf(2),
      refused("full", { maxUsers: 3 }),
    ],
    ["active, expire", active, expire, happened("session.expired", { reason: "organisation" })],
    ["expired, activate", expired, activate, refused("ended", ended)],
    ["expired, fail", expired, fail, refused("ended", ended)],
    ["expired, authorize", expired, authorize, refused("ended", ended)],
    ["expired, revoke", expired, revoke, refused("ended", ended)],
    ["expired, expire", expired, expire, refused("ended", ended)],
    [
      "failed, authorize",
      failed,
      authorize,
      refused("ended", { status: "failed", reason: "wrong-password" }),
    ],
    [
      "failed, expire",
      failed,
      expire,
      refused("ended", { status: "failed", reason: "wrong-password" }),
    ],
  ];
  test.each(table)("%s", (_, state, command, expected) => {
    expect(decide(state, command, NOW)).toEqual(expected);
  });
});

describe("a session at the end of its life", () => {
  const tooLate = refused("ended", { status: "expired", reason: "api" });
  test.each([
    ["activate", pending, activate],
    ["fail", pending, fail],
    ["authorize", active, authorize],
    ["revoke", active, revoke],
  ])("takes %s a millisecond before, and from then on refuses it as ended", (_, state, command) => {
    expect(decide(state, command, EXPIRES_AT - 1).ok).toBe(true);
    expect(decide(state, command, EXPIRES_AT)).toEqual(tooLate);
    expect(decide(state, command, EXPIRES_AT + 1)).toEqual(tooLate);
  });

  test("refuses a user as ended, not as full, also when it is full", () => {
    expect(decide(full, authorize, EXPIRES_AT)).toEqual(tooLate);
  });

  test.each([pending, active])("still takes expire ($status)", (state) => {
    expect(decide(state, { type: "expire", reason: "api" }, EXPIRES_AT + 5)).toEqual({
      ok: true,
      events: [{ version: 2, at: EXPIRES_AT + 5, type: "session.expired", reason: "api" }],
    });
  });
});

describe("an event changes", () => {
  const base = { version: 2, at: NOW };
  test.each<[string, Session, SessionEvent, Session]>([
    [
      "pending to active, with the end that it names",
      pending,
      { ...base, type: "session.active", born: null, expiresAt: 77 },
      { ...pending, version: 2, status: "active", expiresAt: 77 } as Session,
    ],
    [
      "pending to failed, with the reason and the time",
      pending,
      { ...base, type: "session.failed", error: "wrong-password" },
      {
        ...pending,
        version: 2,
        status: "failed",
        endedAt: NOW,
        error: "wrong-password",
      } as Session,
    ],
    [
      "active to expired, with the reason and the time",
      active,
      { ...base, type: "session.expired", reason: "admin" },
      { ...active, version: 2, status: "expired", endedAt: NOW, reason: "admin" } as Session,
    ],
    [
      "who may use it, and the next ordinal",
      active,
      { ...base, type: "session.user_authorized", user: { ...userAt(9), n: 1 } },
      { ...active, version: 2, users: [...active.users, { ...userAt(9), n: 1 }], nextUser: 2 },
    ],
    [
      "who may use it, and not the host or the next ordinal, when a seat is given away",
      seated,
      { version: 3, at: NOW, type: "session.user_released", n: 2 },
      { ...seated, version: 3, users: seated.users.slice(0, 2) },
    ],
    [
      "who is the host, and since when",
      trio,
      { ...base, type: "session.host_changed", n: 2 },
      { ...trio, version: 2, host: 2, hostSince: NOW },
    ],
    [
      "who is the host after the one before was revoked",
      { ...active, hostRevokedAt: NOW - 5 } as Session,
      { ...base, type: "session.host_changed", n: 2 },
      { ...active, version: 2, host: 2, hostSince: NOW },
    ],
    [
      "the join code, and not the one that it was made with",
      withCode,
      { ...base, type: "session.join_code_changed", draw: null },
      { ...withCode, version: 2, newJoinCodeDraw: null },
    ],
    [
      "who may use it, and not the next ordinal when one is revoked",
      active,
      { ...base, type: "session.user_revoked", n: 0 },
      { ...active, version: 2, users: [], hostRevokedAt: NOW },
    ],
  ])("%s", (_, state, event, expected) => {
    expect(evolve(state, event)).toEqual(expected);
  });

  test("nothing when its version is not the next", () => {
    const event = { at: NOW, type: "session.expired", reason: "api" } as const;
    for (const version of [0, 1, 3, 4]) {
      expect(() => evolve(active, { ...event, version })).toThrow(/version/);
    }
    const [birth] = decisionEvents(creation());
    expect(() => evolve(null, { ...birth, version: 2 } as SessionEvent)).toThrow(/version/);
  });

  test("nothing where there is no session", () => {
    const event = { version: 1, at: NOW, type: "session.expired", reason: "api" } as const;
    expect(() => evolve(null, event)).toThrow(/no session/);
    const reborn = {
      version: 1,
      at: NOW,
      type: "session.active",
      born: null,
      expiresAt: 1,
    } as const;
    expect(() => evolve(null, reborn)).toThrow(/no session/);
  });

  test("nothing after the end", () => {
    for (const state of [failed, expired]) {
      const event = { version: 3, at: NOW, type: "session.user_revoked", n: 0 } as const;
      expect(() => evolve(state, event)).toThrow(/end/);
    }
  });

  test("nothing when it makes a session that exists", () => {
    const [birth] = decisionEvents(creation({ active: false }));
    expect(() => evolve(active, { ...birth, version: 2 } as SessionEvent)).toThrow(/exists/);
  });
});

test("the reason of an ended session is its failure or its end, and a live session has none", () => {
  expect([pending, active, failed, expired].map(endReasonOf)).toEqual([
    null,
    null,
    "wrong-password",
    "organisation",
  ]);
  expect([pending, active, failed, expired].map(isFinal)).toEqual([false, false, true, true]);
});

function decisionEvents(command: SessionCommand): readonly SessionEvent[] {
  const decision = decide(null, command, NOW);
  return decision.ok ? decision.events : [];
}
