/**
 * A caller who hangs up changes nothing. In production the platform then ends whatever the request
 * was doing, except what was given to waitUntil; locally it ends nothing. So these tests look at
 * what is given to waitUntil, and when: all of a call, before any of it begins.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { createApp } from "../../src/app";
import { newOrganisation, ORIGIN } from "../support/client";
import { newGate, withD1 } from "../support/d1";
import { create, list, SESSIONS } from "../support/sessions";

/**
 * Stands for the platform during a call: it records what it was given, and how much had been done
 * by then.
 */
function newPlatform() {
  const given: { work: Promise<unknown>; usesBefore: number }[] = [];
  let uses = 0;
  const ctx = {
    waitUntil: (work: Promise<unknown>) => {
      given.push({ work, usesBefore: uses });
    },
    passThroughOnException: () => undefined,
    props: {},
  } as unknown as ExecutionContext;
  const bindings = new Proxy(env, {
    get: (target, name) => {
      uses += 1;
      return Reflect.get(target, name);
    },
  });
  return { ctx, bindings, given, uses: () => uses };
}

/** A create with an Idempotency-Key whose answer nobody waits for. */
function createAndHangUp(key: string, { ctx, bindings }: ReturnType<typeof newPlatform>): void {
  const caller = new AbortController();
  const request = new Request(ORIGIN + SESSIONS, {
    method: "POST",
    headers: { Authorization: `token ${key}`, "Idempotency-Key": "k" },
    body: JSON.stringify({ users: [{ ip: "1.1.1.1" }] }),
    signal: caller.signal,
  });
  void createApp().fetch(request, bindings, ctx);
  caller.abort();
}

describe("a call whose caller hangs up", () => {
  test("is given to waitUntil before it has used a setting, D1 or an object", async () => {
    const { key } = await newOrganisation();
    const platform = newPlatform();
    createAndHangUp(key, platform);
    await platform.given[0]?.work;
    expect(platform.given[0]?.usesBefore).toBe(0);
    expect(platform.uses()).toBeGreaterThan(0);
  });

  test.each([
    ["is claimed", 'insert into "idempotency_keys"'],
    ["runs", "session_counts"],
    ["is recorded", 'update "idempotency_keys"'],
  ])("while it %s is finished, and its answer is kept for a repeat", async (_, statement) => {
    const { key } = await newOrganisation();
    await list(key);
    const platform = newPlatform();
    const gate = newGate();
    let isDone = false;
    await withD1(
      (sql) => (sql.includes(statement) ? gate.wait() : undefined),
      async () => {
        createAndHangUp(key, platform);
        const work = platform.given[0]?.work.then(() => {
          isDone = true;
        });
        await gate.reached;
        // The platform keeps alive what is not settled: the call itself, up to the record of its
        // answer.
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
