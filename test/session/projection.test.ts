/**
 * The read model of sessions shows the latest state, in whatever order its writes come and however
 * often.
 */
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openDatabase } from "../../src/db/open";
import { evolve } from "../../src/session/evolve";
import { listLiveSessions } from "../../src/session/live-sessions";
import { type ProjectionInput, SessionProjection } from "../../src/session/projection";
import type { Session } from "../../src/session/session";
import { endedOf } from "../../src/session/session-key";
import { forgetSessions } from "../../src/session/session-retention";
import { newOrganisation } from "../support/client";
import { d1CallsOf } from "../support/rows";
import { BORN_AT, creation, eventsOf, userAt } from "../support/session-state";

const db = openDatabase(env);

/** A session's states, from its create to its end. */
function lifeOf(organisationId: number, id: string): Session[] {
  const commands = [
    creation({ organisationId, id }),
    { type: "authorize-user", user: userAt(1) } as const,
    { type: "revoke-user", n: 0 } as const,
    { type: "expire", reason: "organisation" } as const,
  ];
  const states: Session[] = [];
  for (const command of commands) {
    const [event] = eventsOf(states.at(-1) ?? null, command, BORN_AT + states.length);
    if (event) states.push(evolve(states.at(-1) ?? null, event));
  }
  return states;
}

interface Row {
  id: string;
  ended: number;
  version: number;
  announced: number;
  state: string;
}

async function rowsOf(organisationId: number): Promise<Row[]> {
  const { results } = await env.DB.prepare(
    "select id, ended, version, announced, state from sessions where organisation_id = ?",
  )
    .bind(organisationId)
    .all<Row>();
  return results;
}

/** All of a session's rows, with when the sweep looks at it. */
async function rowsOfSession(organisationId: number, id: string) {
  const { results } = await env.DB.prepare(
    `select id, ended, version, announced, state, sweep_at as sweepAt from sessions
      where organisation_id = ? and id = ?`,
  )
    .bind(organisationId, id)
    .all<Row & { sweepAt: number | null }>();
  return results;
}

/** When the sweep is to look at a session: soon if an event is owed, never if it has ended, else after its end. */
function sweepAtOf(session: Session, announced: number): number | null {
  if (announced < session.version) return BORN_AT + 120_000;
  return session.status === "active" ? session.expiresAt + 60_000 : null;
}

async function live(organisationId: number) {
  const query = { organisationId, kind: "relay" as const, offset: 0, limit: 10, now: BORN_AT };
  const page = await listLiveSessions(db, query);
  if (!page) throw new Error("the first page is not deep");
  return page;
}

/** As the object of a session writes that remembers nothing of D1. */
const project = (session: Session, input: ProjectionInput) =>
  new SessionProjection(db, { isNew: false }).write(session, input);

/** As the object of a session asks that has just woken. */
const findAnnounced = (session: Session) =>
  new SessionProjection(db, { isNew: false }).findAnnounced(session);

describe("writes of a session's state to D1, in any order and any number of times,", () => {
  const writes = fc.array(
    fc.record({ session: fc.nat(1), version: fc.nat(3), announced: fc.nat(4) }),
    { minLength: 1, maxLength: 8 },
  );

  test("leave one row with the highest version, and a count of the live sessions", async () => {
    const { id: organisationId } = await newOrganisation();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(writes, async (order) => {
        run += 1;
        const lives = [0, 1].map((n) => lifeOf(organisationId, `${run}-${n}`));
        const latest = new Map<string, { state: Session; announced: number }>();
        for (const write of order) {
          const state = lives[write.session]?.[write.version];
          if (!state) continue;
          // What is announced is part of the log: never more than the log has.
          const announced = Math.min(write.announced, state.version);
          await project(state, { announced, now: BORN_AT });
          const shown = latest.get(state.id);
          const isNewer =
            !shown ||
            state.version > shown.state.version ||
            (state.version === shown.state.version && announced > shown.announced);
          if (isNewer) latest.set(state.id, { state, announced });
        }
        const rows = await rowsOf(organisationId);
        expect(new Map(rows.map((row) => [row.id, row]))).toEqual(
          new Map(
            [...latest].map(([id, { state, announced }]) => [
              id,
              {
                id,
                ended: endedOf(state),
                version: state.version,
                announced,
                state: JSON.stringify(state),
              },
            ]),
          ),
        );
        expect(rows).toHaveLength(latest.size);
        const alive = [...latest.values()].filter(({ state }) => state.status === "active");
        expect((await live(organisationId)).total).toBe(alive.length);

        for (const { state, announced } of latest.values()) {
          expect(await findAnnounced(state)).toBe(announced);
          await forgetSessions(db, [state]);
          expect(await findAnnounced(state)).toBeNull();
        }
        expect((await live(organisationId)).total).toBe(0);
        expect(await rowsOf(organisationId)).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });
});

describe("what a session's object writes to D1, each time relying on what it wrote before,", () => {
  type Step = "write" | "anew" | "evict" | "restore" | "unanswered";
  const steps = fc.array(
    fc.record({
      step: fc.constantFrom<Step>(
        "write",
        "write",
        "write",
        "anew",
        "evict",
        "restore",
        "unanswered",
      ),
      /** How many versions further the session is by then, and how many of them are not announced. */
      further: fc.nat(2),
      owed: fc.nat(1),
    }),
    { minLength: 1, maxLength: 10 },
  );

  test("is what it would write if it relied on nothing, also after an eviction or a restore of D1", async () => {
    const { id: organisationId } = await newOrganisation();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (story) => {
        run += 1;
        const life = lifeOf(organisationId, `known-${run}`);
        let projection = new SessionProjection(db, { isNew: true });
        let version = 1;
        let wanted: Partial<Row & { sweepAt: number | null }> = {};
        for (const { step, further, owed } of story) {
          version = Math.min(version + further, life.length);
          const state = life[version - 1];
          if (!state) throw new Error("a life has four states");
          if (step === "restore") {
            await forgetSessions(db, [state]);
            wanted = {};
          }
          if (step === "evict") projection = new SessionProjection(db, { isNew: false });
          if (step === "evict") await projection.findAnnounced(state);
          const announced = Math.max(version - owed, wanted.announced ?? 0);
          const input = { announced, now: BORN_AT };
          const writing = projection.write(state, input, { anew: step === "anew" });
          // The next write begins before this one has ended: it is as if its answer had not come.
          if (step === "unanswered") await Promise.all([writing, projection.write(state, input)]);
          else await writing;
          wanted = { ended: endedOf(state), version, announced, state: JSON.stringify(state) };
          expect(await rowsOfSession(organisationId, state.id)).toEqual([
            { ...wanted, id: state.id, sweepAt: sweepAtOf(state, announced) },
          ]);
          const alive = state.status === "active" ? 1 : 0;
          expect((await live(organisationId)).total).toBe(alive);
        }
        const last = life[version - 1];
        if (last) await forgetSessions(db, [last]);
        expect((await live(organisationId)).total).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test("is one statement for a change of a live session, and two for its end", async () => {
    const { id: organisationId } = await newOrganisation();
    const [born, joined, , ended] = lifeOf(organisationId, "counted");
    if (!born || !joined || !ended) throw new Error("a life has four states");
    const projection = new SessionProjection(db, { isNew: true });
    const statementsOf = async (state: Session) => {
      const calls = await d1CallsOf(() =>
        projection.write(state, { announced: state.version, now: BORN_AT }),
      );
      return calls.map((call) => (JSON.parse(call)[1] as unknown[]).length);
    };
    expect(await statementsOf(born)).toEqual([2]);
    expect(await statementsOf(joined)).toEqual([1]);
    expect(await statementsOf(ended)).toEqual([2]);
    // Of an ended row nothing is remembered: these are all, two of them for the user whom it lost.
    expect(await statementsOf(ended)).toEqual([4 + 2]);
  });

  test("has no device any more once its user is revoked, also by an object that woke for that", async () => {
    const { id: organisationId } = await newOrganisation();
    const devices = async () => {
      const { results } = await env.DB.prepare(
        "select device_id as id from session_devices where organisation_id = ?",
      )
        .bind(organisationId)
        .all<{ id: string }>();
      return results.map(({ id }) => id);
    };
    for (const wakes of [false, true]) {
      const created = creation({ organisationId, id: `device-${wakes}` });
      const states: Session[] = [];
      const withDevice = { ...userAt(1), deviceId: "d-1" };
      for (const command of [
        created,
        { type: "authorize-user", user: withDevice } as const,
        { type: "revoke-user", n: created.users.length } as const,
      ]) {
        const [event] = eventsOf(states.at(-1) ?? null, command, BORN_AT + states.length);
        if (event) states.push(evolve(states.at(-1) ?? null, event));
      }
      const [born, joined, revoked] = states;
      if (!born || !joined || !revoked) throw new Error("there are three states");
      let projection = new SessionProjection(db, { isNew: true });
      const write = (state: Session) =>
        projection.write(state, { announced: state.version, now: BORN_AT });
      await write(born);
      await write(joined);
      expect(await devices()).toEqual(["d-1"]);
      if (wakes) {
        projection = new SessionProjection(db, { isNew: false });
        await projection.findAnnounced(joined);
      }
      await write(revoked);
      expect(await devices()).toEqual([]);
    }
  });
});

describe("a write to D1 that comes late", () => {
  test("does not bring an ended session back into the list", async () => {
    const { id: organisationId } = await newOrganisation();
    const [born, , , ended] = lifeOf(organisationId, "late");
    if (!born || !ended) throw new Error("a life has four states");
    await project(ended, { announced: 4, now: BORN_AT });
    await project(born, { announced: 1, now: BORN_AT });
    expect(await live(organisationId)).toEqual({ sessions: [], total: 0 });
  });

  test("does not undo what a later one showed", async () => {
    const { id: organisationId } = await newOrganisation();
    const [born, joined] = lifeOf(organisationId, "late");
    if (!born || !joined) throw new Error("a life has four states");
    await project(joined, { announced: 2, now: BORN_AT });
    await project(born, { announced: 1, now: BORN_AT });
    await project(joined, { announced: 1, now: BORN_AT });
    expect(await rowsOf(organisationId)).toMatchObject([{ version: 2, announced: 2 }]);
    expect((await live(organisationId)).sessions).toEqual([joined]);
  });
});
