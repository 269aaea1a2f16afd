/**
 * A caller who hangs up changes nothing. In production the platform then ends whatever a request was
 * doing, but for what was given to waitUntil; locally it ends nothing. So these tests look at what is
 * given to waitUntil, and when: all of a call, before any of it begins.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { createApp } from "../../src/app";
import { newOrganisation, ORIGIN } from "../support/client";
import { newGate, withD1 } from "../support/d1";
import { create, list, SESSIONS } from "../support/sessions";

/** An execution context that remembers what it was given. */
function newContext() {
  const given: Promise<unknown>[] = [];
  const ctx = {
    waitUntil: (work: Promise<unknown>) => {
      given.push(work);
    },
    passThroughOnException: () => undefined,
    props: {},
  } as unknown as ExecutionContext;
  return { ctx, given };
}

/** A create with an Idempotency-Key that nobody waits for. */
function createAndHangUp(key: string, ctx: ExecutionContext): void {
  const caller = new AbortController();
  const request = new Request(ORIGIN + SESSIONS, {
    method: "POST",
    headers: { Authorization: `token ${key}`, "Idempotency-Key": "k" },
    body: JSON.stringify({ users: [{ ip: "1.1.1.1" }] }),
    signal: caller.signal,
  });
  void createApp().fetch(request, env, ctx);
  caller.abort();
}

describe("a call whose caller hangs up", () => {
  test("is given to waitUntil before it has asked D1 for anything", async () => {
    const { key } = await newOrganisation();
    const { ctx, given } = newContext();
    const givenAt: number[] = [];
    await withD1(
      () => {
        givenAt.push(given.length);
      },
      async () => {
        createAndHangUp(key, ctx);
        expect([given.length, givenAt.length]).toEqual([1, 0]);
        await given[0];
      },
    );
    expect(givenAt.length).toBeGreaterThan(0);
    expect(Math.min(...givenAt)).toBeGreaterThan(0);
  });

  test.each([
    ["is claimed", 'insert into "idempotency_keys"'],
    ["runs", "session_counts"],
    ["is recorded", 'update "idempotency_keys"'],
  ])("while it %s is finished, and recorded for who asks again", async (_, statement) => {
    const { key } = await newOrganisation();
    await list(key);
    const { ctx, given } = newContext();
    const gate = newGate();
    let isDone = false;
    await withD1(
      (sql) => (sql.includes(statement) ? gate.wait() : undefined),
      async () => {
        createAndHangUp(key, ctx);
        const work = Promise.resolve(given[0]).then(() => {
          isDone = true;
        });
        await gate.reached;
        // The platform keeps alive what is not settled: the call itself, up to its record.
        expect(isDone).toBe(false);
        gate.open();
        await work;
      },
    );
    const body = { users: [{ ip: "1.1.1.1" }] };
    const again = await create(key, body, { "Idempotency-Key": "k" });
    expect([again.status, again.headers.get("Idempotent-Replayed")]).toEqual([200, "true"]);
    expect((await list(key)).body.total_count).toBe(1);
  });
});
