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
import { findAnnounced, projectSession } from "../../src/session/projection";
import type { Session } from "../../src/session/session";
import { endedOf } from "../../src/session/session-key";
import { forgetSessions } from "../../src/session/session-retention";
import { newOrganisation } from "../support/client";
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

async function live(organisationId: number) {
  const query = { organisationId, kind: "relay" as const, offset: 0, limit: 10, now: BORN_AT };
  const page = await listLiveSessions(db, query);
  if (!page) throw new Error("the first page is not deep");
  return page;
}

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
          await projectSession(db, state, { announced: announced, now: BORN_AT });
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
          expect(await findAnnounced(db, state)).toBe(announced);
          await forgetSessions(db, [state]);
          expect(await findAnnounced(db, state)).toBeNull();
        }
        expect((await live(organisationId)).total).toBe(0);
        expect(await rowsOf(organisationId)).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });
});

describe("a write to D1 that comes late", () => {
  test("does not bring an ended session back into the list", async () => {
    const { id: organisationId } = await newOrganisation();
    const [born, , , ended] = lifeOf(organisationId, "late");
    if (!born || !ended) throw new Error("a life has four states");
    await projectSession(db, ended, { announced: 4, now: BORN_AT });
    await projectSession(db, born, { announced: 1, now: BORN_AT });
    expect(await live(organisationId)).toEqual({ sessions: [], total: 0 });
  });

  test("does not undo what a later one showed", async () => {
    const { id: organisationId } = await newOrganisation();
    const [born, joined] = lifeOf(organisationId, "late");
    if (!born || !joined) throw new Error("a life has four states");
    await projectSession(db, joined, { announced: 2, now: BORN_AT });
    await projectSession(db, born, { announced: 1, now: BORN_AT });
    await projectSession(db, joined, { announced: 1, now: BORN_AT });
    expect(await rowsOf(organisationId)).toMatchObject([{ version: 2, announced: 2 }]);
    expect((await live(organisationId)).sessions).toEqual([joined]);
  });
});
