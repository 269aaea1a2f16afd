/** What is true of a session after any commands in any order, at any times. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { evolve } from "../../src/session/evolve";
import { decide, type SessionCommand, type SessionEvent } from "../../src/session/machine";
import { hostOf, isFinal, type Session } from "../../src/session/session";
import { BORN_AT, creation, userAt } from "../support/session-state";

const maxUsers = 4;
const lifeMs = 1_000;

const node = { id: "rn_1", host: "play.example.com", ip: null, serverPort: 1, clientPort: 2 };

const commands: fc.Arbitrary<SessionCommand> = fc.oneof(
  fc
    .record({ users: fc.nat(5), active: fc.boolean() })
    .map((made) => creation({ ...made, maxUsers, expiresAt: BORN_AT + lifeMs })),
  fc.record({ users: fc.nat(3), active: fc.boolean() }).map(({ active, ...made }) => ({
    ...creation({ ...made, active, maxUsers, expiresAt: BORN_AT + lifeMs, linkBy: BORN_AT + 100 }),
    ...(active ? { node } : {}),
  })),
  fc.tuple(fc.option(fc.integer({ min: 1, max: 2 * lifeMs })), fc.boolean()).map(
    ([ms, onNode]): SessionCommand => ({
      type: "activate",
      expiresAt: ms && BORN_AT + ms,
      ...(onNode ? { node } : {}),
    }),
  ),
  fc
    .constantFrom("wrong-password", "unreachable", "no-relay-node", "relay-node-lost")
    .map((error) => ({ type: "fail", error }) as const),
  {
    weight: 4,
    arbitrary: fc.nat(200).map((h) => ({ type: "authorize-user", user: userAt(h) }) as const),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.nat(200), fc.array(fc.nat(9), { maxLength: 4 }))
      .map(([h, freeSeats]): SessionCommand => {
        const user = { ...userAt(h), joinedAt: BORN_AT };
        return { type: "authorize-user", user, freeSeats };
      }),
  },
  {
    weight: 3,
    arbitrary: fc.integer({ min: -1, max: 9 }).map((n) => ({ type: "assign-host", n }) as const),
  },
  fc.option(fc.nat(3)).map((draw): SessionCommand => ({ type: "set-join-code", draw })),
  {
    weight: 4,
    arbitrary: fc.integer({ min: -1, max: 9 }).map((n) => ({ type: "revoke-user", n }) as const),
  },
  fc
    .constantFrom("service", "api", "organisation", "admin")
    .map((reason) => ({ type: "expire", reason }) as const),
);

/**
 * Commands with the milliseconds before each. Most stories are short compared to a session's life.
 */
const stories = fc.array(fc.tuple(fc.oneof(fc.nat(20), fc.nat(lifeMs)), commands), {
  maxLength: 40,
});

interface Step {
  before: Session | null;
  command: SessionCommand;
  now: number;
  events: readonly SessionEvent[] | null;
  after: Session | null;
}

/** Runs a story on states that cannot be changed in place. */
function run(story: [number, SessionCommand][]): Step[] {
  const steps: Step[] = [];
  let state: Session | null = null;
  let now = BORN_AT;
  for (const [ms, command] of story) {
    now += ms;
    const before: Session | null = state;
    const decision = decide(before, command, now);
    const events = decision.ok ? decision.events : null;
    state = (events ?? []).reduce<Session | null>((s, event) => freeze(evolve(s, event)), before);
    steps.push({ before, command, now, events, after: state });
  }
  return steps;
}

function freeze(session: Session): Session {
  Object.freeze(session.users);
  return Object.freeze(session);
}

function holds(check: (steps: Step[]) => void): void {
  fc.assert(
    fc.property(stories, (story) => check(run(story))),
    { numRuns: 500 },
  );
}

describe("a session, whatever is done with it,", () => {
  test("reaches every state by every way in the stories of this test", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(stories, (story) => {
        for (const step of run(story)) {
          seen.add(step.events?.[0]?.type ?? decisionCode(step));
        }
      }),
      { numRuns: 2_000, seed: 1 },
    );
    expect([...seen].sort()).toEqual([
      "ended",
      "exists",
      "full",
      "not-active",
      "not-found",
      "not-pending",
      "ok",
      "session-on-relay-node",
      "session.active",
      "session.created",
      "session.expired",
      "session.failed",
      "session.host_changed",
      "session.join_code_changed",
      "session.user_authorized",
      "session.user_released",
      "session.user_revoked",
      "unknown-user",
    ]);
  });

  test("takes no command after it has ended", () => {
    holds((steps) => {
      for (const { before, events } of steps) {
        if (before !== null && isFinal(before)) expect(events).toBeNull();
      }
    });
  });

  test("takes only expire at and after the end of its life", () => {
    holds((steps) => {
      for (const { before, now, command, events } of steps) {
        if (before === null || now < before.expiresAt || events === null) continue;
        // What was not ready in time has failed, even when that is noticed late.
        const isLate = command.type === "fail" && command.error === "no-relay-node";
        if (!(isLate && before.status === "pending")) expect(command.type).toBe("expire");
      }
    });
  });

  test("changes and makes an event for each command that it takes, and neither for one that it refuses", () => {
    holds((steps) => {
      for (const { before, command, after, events } of steps) {
        if (events === null) {
          expect(after).toBe(before);
          continue;
        }
        // Who is the host already, or a code that the session has: nothing happens.
        if (events.length === 0) {
          expect(["assign-host", "set-join-code"]).toContain(command.type);
          expect(after).toBe(before);
          continue;
        }
        expect({ ...after, version: 0 }).not.toEqual({ ...before, version: 0 });
      }
    });
  });

  test("has a version that rises by one with each event, from one, and each event has its time", () => {
    holds((steps) => {
      let version = 0;
      for (const { events, now, after } of steps) {
        for (const event of events ?? []) {
          version += 1;
          expect(event).toMatchObject({ version, at: now });
        }
        expect(after?.version ?? 0).toBe(version);
      }
    });
  });

  test("has the state that all of its events give, applied from any earlier state", () => {
    holds((steps) => {
      const events = steps.flatMap((step) => step.events ?? []);
      const last = steps.at(-1)?.after ?? null;
      const states: (Session | null)[] = [null];
      for (const event of events) states.push(evolve(states.at(-1) ?? null, event));
      states.forEach((state, i) => {
        expect(events.slice(i).reduce<Session | null>(evolve, state)).toEqual(last);
      });
    });
  });

  test("fails while it is active only when its relay node is lost, and keeps its node until then", () => {
    holds((steps) => {
      for (const { before, command, events, after } of steps) {
        if (before?.status !== "active" || events === null) continue;
        expect(after?.node).toEqual(before.node);
        if (command.type !== "fail") continue;
        expect([command.error, before.node]).toEqual(["relay-node-lost", node]);
      }
    });
  });

  test("never has more users than it may have", () => {
    holds((steps) => {
      for (const { after } of steps) {
        expect(after?.users.length ?? 0).toBeLessThanOrEqual(maxUsers);
      }
    });
  });

  test("never gives an ordinal twice, and gives them rising", () => {
    holds((steps) => {
      const given = steps.flatMap(({ events }) => (events ?? []).flatMap(ordinalsGiven));
      expect(given).toEqual([...new Set(given)].sort((a, b) => a - b));
    });
  });

  test("has a host who is one of its users, or was revoked, or is yet to come", () => {
    holds((steps) => {
      for (const { after } of steps) {
        if (after === null) continue;
        const host = hostOf(after);
        const isUser = after.users.some(({ n }) => n === host);
        const isToCome = after.nextUser === 0;
        expect([isUser, after.hostRevokedAt !== undefined, isToCome].filter(Boolean)).toEqual([
          true,
        ]);
      }
    });
  });

  test("never has another host on a relay node", () => {
    holds((steps) => {
      for (const { after } of steps) if (after?.node) expect(hostOf(after)).toBe(0);
    });
  });

  test("gives away only seats that were named free, of users who joined and are not the host, and only when it is full", () => {
    holds((steps) => {
      for (const { before, command, events } of steps) {
        for (const event of events ?? []) {
          if (event.type !== "session.user_released") continue;
          const user = before?.users.find(({ n }) => n === event.n);
          expect(user?.joinedAt).toBeDefined();
          expect(event.n).not.toBe(before && hostOf(before));
          expect(before?.users).toHaveLength(maxUsers);
          expect(command).toMatchObject({ freeSeats: expect.arrayContaining([event.n]) });
          expect(events?.map(({ type }) => type)).toEqual([
            "session.user_released",
            "session.user_authorized",
          ]);
        }
      }
    });
  });

  test("never loses the facts of its create", () => {
    holds((steps) => {
      const made = steps.find(({ events }) => events !== null);
      const facts = made?.command.type === "create" ? made.command.facts : {};
      for (const { after } of steps) if (after !== null) expect(after).toMatchObject(facts);
    });
  });

  test("never applies an event out of its turn", () => {
    fc.assert(
      fc.property(stories, fc.integer(), (story, version) => {
        const steps = run(story);
        for (const { before, events } of steps) {
          const [event] = events ?? [];
          if (!event || event.version === version) continue;
          expect(() => evolve(before, { ...event, version })).toThrow();
        }
      }),
    );
  });
});

function ordinalsGiven(event: SessionEvent): number[] {
  if (event.type === "session.user_authorized") return [event.user.n];
  return "born" in event && event.born !== null ? event.born.users.map(({ n }) => n) : [];
}

function decisionCode({ before, command, now }: Step): string {
  const decision = decide(before, command, now);
  return decision.ok ? "ok" : decision.refusal.code;
}
