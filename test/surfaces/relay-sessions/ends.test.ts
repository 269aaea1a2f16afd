/**
 * A session ends when its organisation deletes it, when its time is over, or when nobody uses it.
 * Then it is gone.
 */

import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { newOrganisation } from "../../support/client";
import { moveClock, stopClock } from "../../support/clock";
import { authorize, create, idsOf, list, read, remove, revoke } from "../../support/sessions";

const SECOND = 1_000;

afterEach(() => {
  vi.useRealTimers();
});

async function expectGone(key: string, id: string): Promise<void> {
  expect((await read(key, id)).status).toBe(404);
  expect((await remove(key, id)).status).toBe(404);
  expect((await authorize(key, id)).status).toBe(409);
  expect((await revoke(key, id, 1)).status).toBe(409);
  expect(idsOf(await list(key))).not.toContain(id);
}

describe("deleting a session", () => {
  test("answers with an empty body, and the session is gone", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key)).body;
    const { session_id: other } = (await create(key)).body;
    const deleted = await remove(key, id);
    expect(deleted.status).toBe(204);
    expect(deleted.text).toBe("");
    expect(deleted.headers.get("Content-Type")).toBeNull();
    await expectGone(key, id);
    expect((await read(key, other)).status).toBe(200);
  });

  test("a second time finds nothing, also after the object was evicted", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key)).body;
    expect((await remove(key, id)).status).toBe(204);
    expect((await remove(key, id)).status).toBe(404);
    await evictDurableObject(env.SESSIONS.getByName(id));
    await expectGone(key, id);
  });

  test.each(["0123456789ab-S", "0123456789AB-S", "0123456789ab", "x", "%00", "..%2fx"])(
    "finds nothing for the unknown id %s",
    async (id) => {
      const { key } = await newOrganisation();
      const answers = [await remove(key, id), await read(key, id)];
      for (const { status, body } of answers) {
        expect(status).toBe(404);
        expect(body).toEqual({
          message: "There is no such session, or it has ended.",
          code: "session-not-found",
        });
      }
    },
  );
});

describe("a session whose time is over", () => {
  test("is gone, though no alarm has rung", async () => {
    const { key } = await newOrganisation();
    stopClock();
    const { session_id: id } = (await create(key, { ttl_seconds: 60, idle_seconds: 3_600 })).body;
    moveClock(59 * SECOND);
    expect((await read(key, id)).status).toBe(200);
    moveClock(1 * SECOND);
    await expectGone(key, id);
  });

  test.each([
    ["deleting it first", (key: string, id: string) => remove(key, id), 404],
    ["authorising first", (key: string, id: string) => authorize(key, id), 409],
    ["revoking first", (key: string, id: string) => revoke(key, id, 1), 409],
    ["reading first", (key: string, id: string) => read(key, id), 404],
  ])("has ended for a caller who starts by %s", async (_, first, status) => {
    const { key } = await newOrganisation();
    stopClock();
    const { session_id: id } = (await create(key, { ttl_seconds: 60, idle_seconds: 3_600 })).body;
    moveClock(60 * SECOND);
    expect((await first(key, id)).status).toBe(status);
    await expectGone(key, id);
  });

  test("does not live longer because of calls", async () => {
    const { key } = await newOrganisation();
    stopClock();
    const { session_id: id } = (await create(key, { ttl_seconds: 60, idle_seconds: 20 })).body;
    for (let i = 0; i < 5; i++) {
      moveClock(11 * SECOND);
      expect((await read(key, id)).status).toBe(200);
    }
    moveClock(11 * SECOND);
    await expectGone(key, id);
  });
});

describe("a session without a call and without an open websocket", () => {
  test("ends after idle_seconds and a quarter more at most", async () => {
    const { key } = await newOrganisation();
    stopClock();
    const { session_id: id } = (await create(key, { idle_seconds: 100 })).body;
    moveClock(126 * SECOND);
    await expectGone(key, id);
  });

  test.each([
    ["a read", (key: string, id: string) => read(key, id)],
    ["an authorize-user", (key: string, id: string) => authorize(key, id)],
  ])("stays alive with %s in time", async (_, touch) => {
    const { key } = await newOrganisation();
    stopClock();
    const { session_id: id } = (await create(key, { idle_seconds: 100 })).body;
    for (let i = 0; i < 3; i++) {
      moveClock(90 * SECOND);
      expect((await touch(key, id)).status).toBe(200);
    }
    moveClock(126 * SECOND);
    await expectGone(key, id);
  });
});
