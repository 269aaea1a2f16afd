/**
 * The rules of source sessions: every transition, every refusal, and when one is due to end. Pure.
 */
import { describe, expect, test } from "vitest";
import { evolve } from "../../src/session/evolve";
import { decide, type SessionCommand } from "../../src/session/machine";
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

describe("a source session", () => {
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

  test.each(cases)("%s takes %s: %s", (state, command, outcome) => {
    const decision = decide(states[state] as Session, commands[command] as SessionCommand, NOW);
    expect(decision.ok ? decision.events.map(({ type }) => type) : decision.refusal.code).toEqual(
      decision.ok ? [outcome] : outcome,
    );
  });

  test("is made by a create only, and is then pending", () => {
    expect(pending).toMatchObject({ status: "pending", version: 1, expiresAt: ENDS_AT });
    for (const name of ["activate", "fail", "warn", "expire"]) {
      const refusal = { ok: false, refusal: { code: "not-found" } };
      expect(decide(null, commands[name] as SessionCommand, NOW)).toEqual(refusal);
    }
  });

  test("keeps, when it becomes active, the time of its verification and its own limit", () => {
    expect(active).toMatchObject({ verifiedAt: VERIFIED_AT, expiresAt: ENDS_AT });
    expect(limited).toMatchObject({ verifiedAt: VERIFIED_AT, expiresAt: BORN_AT + HOUR_MS });
  });

  test("refuses a verification after the deadline with the failure that it has become", () => {
    const decision = decide(pending, commands.activate as SessionCommand, VERIFY_BY);
    const refusal = { code: "ended", status: "failed", reason: "verification-timeout" };
    expect(decision).toEqual({ ok: false, refusal });
    expect(decide(pending, commands.activate as SessionCommand, VERIFY_BY - 1).ok).toBe(true);
  });

  test.each([
    ["its life", active, ENDS_AT, "api"],
    ["its third party's limit", limited, BORN_AT + HOUR_MS, "service"],
  ] as const)("refuses every other command at the end of %s", (_, state, end, reason) => {
    for (const name of ["activate", "fail", "warn"]) {
      const decision = decide(state, commands[name] as SessionCommand, end);
      expect(decision).toEqual({
        ok: false,
        refusal: { code: "ended", status: "expired", reason },
      });
    }
  });
});

describe("a source session ends by itself", () => {
  const idleAt = BORN_AT + 5_000;

  test("at its deadline while it is pending, whatever the idle clock says", () => {
    expect(dueAt(pending, idleAt)).toBe(VERIFY_BY);
    expect(endDue(pending, idleAt, VERIFY_BY - 1)).toBeNull();
    const end = { type: "fail", error: "verification-timeout" };
    expect(endDue(pending, idleAt, VERIFY_BY)).toEqual(end);
    expect(planAlarm(pending, idleAt, null)).toBe(VERIFY_BY);
  });

  test("as a verification that timed out when it is found pending after its whole life", () => {
    const end = endDue(pending, null, ENDS_AT + 1);
    expect(end).toEqual({ type: "fail", error: "verification-timeout" });
    expect(decide(pending, end as SessionCommand, ENDS_AT + 1).ok).toBe(true);
  });

  test("as expired by Drawbridge when it is active and idle, or active when its life is over", () => {
    expect(endDue(active, idleAt, idleAt)).toEqual({ type: "expire", reason: "api" });
    expect(endDue(active, null, ENDS_AT - 1)).toBeNull();
    expect(endDue(active, null, ENDS_AT)).toEqual({ type: "expire", reason: "api" });
  });

  test("as expired by the service when it is active at its third party's limit", () => {
    const limit = BORN_AT + HOUR_MS;
    expect(endDue(limited, null, limit)).toEqual({ type: "expire", reason: "service" });
    expect(endDue(limited, idleAt, limit - 1)).toEqual({ type: "expire", reason: "api" });
  });

  test("by the idle clock instead of the deadline once it was verified", () => {
    const idle = VERIFIED_AT + IDLE_SECONDS * 1_000;
    expect(planAlarm(active, idle, VERIFY_BY)).toBe(idle + IDLE_SECONDS * 250);
  });

  test.each([
    ["failed", failed],
    ["expired", expired],
  ])("never again when it is %s", (_, state) => {
    expect(endDue(state, 0, ENDS_AT + 1)).toBeNull();
    expect(expiringAt(state)).toBeNull();
    expect(nextCheckAt(state, NOW)).toBeNull();
  });
});

describe("the sweep of source sessions", () => {
  test("announces an end an hour ahead, in a short life a quarter of it, and once", () => {
    expect(expiringAt(active)).toBe(ENDS_AT - HOUR_MS);
    const life = HOUR_MS - (VERIFIED_AT - BORN_AT);
    expect(expiringAt(limited)).toBe(BORN_AT + HOUR_MS - life / 4);
    expect(expiringAt(warned)).toBeNull();
    expect(expiringAt(pending)).toBeNull();
  });

  test("counts checks from the verification, and sets the next one always ahead", () => {
    expect(nextCheckAt(active, VERIFIED_AT)).toBe(VERIFIED_AT + 60_000);
    expect(nextCheckAt(active, VERIFIED_AT + 59_999)).toBe(VERIFIED_AT + 60_000);
    expect(nextCheckAt(active, VERIFIED_AT + 60_000)).toBe(VERIFIED_AT + 120_000);
    expect(nextCheckAt(active, VERIFIED_AT + 1_000_001)).toBe(VERIFIED_AT + 1_020_000);
    expect(nextCheckAt(pending, NOW)).toBeNull();
  });
});
