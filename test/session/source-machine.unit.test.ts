/** The rules of source sessions: every transition, every refusal, and when one is due to end. Pure. */
import { describe, expect, test } from "vitest";
import { decide, evolve, type SessionCommand } from "../../src/session/machine";
import type { Session, SessionFacts } from "../../src/session/session";
import { dueAt, endDue, expiringAt, nextCheckAt, planAlarm } from "../../src/session/timing";

const BORN_AT = 1_000_000_000;
const HOUR_MS = 3_600_000;
const VERIFY_BY = BORN_AT + 20_000;
const ENDS_AT = BORN_AT + 30 * 24 * HOUR_MS;
const IDLE_SECONDS = 86_400;

const facts: SessionFacts = {
  id: "ses_AAAAAAAAAAAAAAAAAAAAAA",
  kind: "source",
  organisationId: 7,
  keyId: 8,
  createdAt: BORN_AT,
  idleSeconds: IDLE_SECONDS,
  maxUsers: 0,
  origin: "https://drawbridge.example.com",
  webhookUrl: null,
  metadata: null,
  region: null,
  joinCodeDraw: null,
  source: {
    userId: 1,
    sourceId: 2,
    type: "mocks.mock",
    identifier: "jo",
    sourceState: "unvalidated",
    sourceCreatedAt: BORN_AT,
    verifyBy: VERIFY_BY,
    lifetimeEndsAt: ENDS_AT,
    checkSeconds: 60,
  },
};

/** The state after a command, which must be accepted. */
function after(state: Session | null, command: SessionCommand, now: number): Session {
  const decision = decide(state, command, now);
  if (!decision.ok) throw new Error(`refused: ${JSON.stringify(decision.refusal)}`);
  const next = decision.events.reduce<Session | null>(evolve, state);
  if (!next) throw new Error("no session came of it");
  return next;
}

const creation: SessionCommand = {
  type: "create",
  facts,
  expiresAt: ENDS_AT,
  users: [],
  active: false,
};
const VERIFIED_AT = BORN_AT + 1_000;
const pending = after(null, creation, BORN_AT);
const active = after(pending, { type: "activate", expiresAt: null }, VERIFIED_AT);
const limited = after(pending, { type: "activate", expiresAt: BORN_AT + HOUR_MS }, VERIFIED_AT);
const failed = after(pending, { type: "fail", error: "code-required" }, VERIFIED_AT);
const expired = after(active, { type: "expire", reason: "organisation" }, VERIFIED_AT + 1);
const warned = after(active, { type: "warn" }, VERIFIED_AT + 1);

const commands: Record<string, SessionCommand> = {
  create: creation,
  activate: { type: "activate", expiresAt: null },
  fail: { type: "fail", error: "invalid-credentials" },
  warn: { type: "warn" },
  expire: { type: "expire", reason: "service" },
};
const NOW = BORN_AT + 5_000;

describe("what a source session takes in each state", () => {
  const states: Record<string, Session> = { pending, active, warned, failed, expired };
  const outcomes: Record<string, Record<string, string>> = {
    pending: {
      create: "exists",
      activate: "session.active",
      fail: "session.failed",
      warn: "not-active",
      expire: "session.expired",
    },
    active: {
      create: "exists",
      activate: "not-pending",
      fail: "not-pending",
      warn: "session.expiring",
      expire: "session.expired",
    },
    warned: {
      create: "exists",
      activate: "not-pending",
      fail: "not-pending",
      warn: "session.expiring",
      expire: "session.expired",
    },
    failed: { create: "exists", activate: "ended", fail: "ended", warn: "ended", expire: "ended" },
    expired: { create: "exists", activate: "ended", fail: "ended", warn: "ended", expire: "ended" },
  };
  const cases = Object.entries(outcomes).flatMap(([state, byCommand]) =>
    Object.entries(byCommand).map(([command, outcome]) => [state, command, outcome] as const),
  );

  test.each(cases)("%s, %s: %s", (state, command, outcome) => {
    const decision = decide(states[state] as Session, commands[command] as SessionCommand, NOW);
    expect(decision.ok ? decision.events.map(({ type }) => type) : decision.refusal.code).toEqual(
      decision.ok ? [outcome] : outcome,
    );
  });

  test("from nothing, only a create makes one, and it is pending", () => {
    expect(pending).toMatchObject({ status: "pending", version: 1, expiresAt: ENDS_AT });
    for (const name of ["activate", "fail", "warn", "expire"]) {
      const refusal = { ok: false, refusal: { code: "not-found" } };
      expect(decide(null, commands[name] as SessionCommand, NOW)).toEqual(refusal);
    }
  });

  test("becoming active keeps when access was verified, and its own limit", () => {
    expect(active).toMatchObject({ verifiedAt: VERIFIED_AT, expiresAt: ENDS_AT });
    expect(limited).toMatchObject({ verifiedAt: VERIFIED_AT, expiresAt: BORN_AT + HOUR_MS });
  });

  test("a verification that comes too late is refused with the failure that it has become", () => {
    const decision = decide(pending, commands.activate as SessionCommand, VERIFY_BY);
    const refusal = { code: "ended", status: "failed", reason: "verification-timeout" };
    expect(decision).toEqual({ ok: false, refusal });
    expect(decide(pending, commands.activate as SessionCommand, VERIFY_BY - 1).ok).toBe(true);
  });

  test.each([
    ["its life", active, ENDS_AT, "api"],
    ["its third party's limit", limited, BORN_AT + HOUR_MS, "service"],
  ] as const)("at the end of %s every other command is refused", (_, state, end, reason) => {
    for (const name of ["activate", "fail", "warn"]) {
      const decision = decide(state, commands[name] as SessionCommand, end);
      expect(decision).toEqual({
        ok: false,
        refusal: { code: "ended", status: "expired", reason },
      });
    }
  });
});

describe("when a source session ends by itself", () => {
  const idleAt = BORN_AT + 5_000;

  test("pending: at its deadline, whatever the idle clock says", () => {
    expect(dueAt(pending, idleAt)).toBe(VERIFY_BY);
    expect(endDue(pending, idleAt, VERIFY_BY - 1)).toBeNull();
    const end = { type: "fail", error: "verification-timeout" };
    expect(endDue(pending, idleAt, VERIFY_BY)).toEqual(end);
    expect(planAlarm(pending, idleAt, null)).toBe(VERIFY_BY);
  });

  test("pending, found after its whole life: still as a verification that timed out", () => {
    const end = endDue(pending, null, ENDS_AT + 1);
    expect(end).toEqual({ type: "fail", error: "verification-timeout" });
    expect(decide(pending, end as SessionCommand, ENDS_AT + 1).ok).toBe(true);
  });

  test("active: when it is idle, or when its life is over, by us", () => {
    expect(endDue(active, idleAt, idleAt)).toEqual({ type: "expire", reason: "api" });
    expect(endDue(active, null, ENDS_AT - 1)).toBeNull();
    expect(endDue(active, null, ENDS_AT)).toEqual({ type: "expire", reason: "api" });
  });

  test("active: when its third party's limit is reached, by the service", () => {
    const limit = BORN_AT + HOUR_MS;
    expect(endDue(limited, null, limit)).toEqual({ type: "expire", reason: "service" });
    expect(endDue(limited, idleAt, limit - 1)).toEqual({ type: "expire", reason: "api" });
  });

  test("once verified, its alarm moves from the deadline to the idle clock", () => {
    const idle = VERIFIED_AT + IDLE_SECONDS * 1_000;
    expect(planAlarm(active, idle, VERIFY_BY)).toBe(idle + IDLE_SECONDS * 250);
  });

  test.each([
    ["failed", failed],
    ["expired", expired],
  ])("%s: never again", (_, state) => {
    expect(endDue(state, 0, ENDS_AT + 1)).toBeNull();
    expect(expiringAt(state)).toBeNull();
    expect(nextCheckAt(state, NOW)).toBeNull();
  });
});

describe("what the sweep looks for", () => {
  test("an end is announced an hour ahead, in a short life a quarter of it, and once", () => {
    expect(expiringAt(active)).toBe(ENDS_AT - HOUR_MS);
    const life = HOUR_MS - (VERIFIED_AT - BORN_AT);
    expect(expiringAt(limited)).toBe(BORN_AT + HOUR_MS - life / 4);
    expect(expiringAt(warned)).toBeNull();
    expect(expiringAt(pending)).toBeNull();
  });

  test("checks are counted from the verification, and the next one is always ahead", () => {
    expect(nextCheckAt(active, VERIFIED_AT)).toBe(VERIFIED_AT + 60_000);
    expect(nextCheckAt(active, VERIFIED_AT + 59_999)).toBe(VERIFIED_AT + 60_000);
    expect(nextCheckAt(active, VERIFIED_AT + 60_000)).toBe(VERIFIED_AT + 120_000);
    expect(nextCheckAt(active, VERIFIED_AT + 1_000_001)).toBe(VERIFIED_AT + 1_020_000);
    expect(nextCheckAt(pending, NOW)).toBeNull();
  });
});
