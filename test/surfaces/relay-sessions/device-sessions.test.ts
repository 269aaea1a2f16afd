/** The list of the live relay sessions of one device: those that end for it when it is removed. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { newOrganisation } from "../../support/client";
import { moveClock, stopClock } from "../../support/clock";
import { rowsOf } from "../../support/rows";
import { authorize, create, idsOf, list, remove, revoke } from "../../support/sessions";

const DEVICE = "a".repeat(64);
const OTHER = "b".repeat(64);

afterEach(() => {
  vi.useRealTimers();
});

/** A session whose users have these devices; its id. */
async function withDevices(key: string, ...ids: (string | null)[]): Promise<string> {
  const users = ids.map((device_id) => ({ ip: "192.0.2.1", device_id }));
  return (await create(key, { users })).body.session_id;
}

const listOf = (key: string, device: string, more = "") => list(key, `?device_id=${device}${more}`);

describe("the list of relay sessions with a device_id", () => {
  test("has the sessions in which the device is a user, newest first, and counts them", async () => {
    const { key } = await newOrganisation();
    stopClock();
    const ids: string[] = [];
    const made: (string | null)[][] = [
      ...[[DEVICE], [OTHER], [OTHER, DEVICE]],
      ...[[null], [DEVICE, DEVICE]],
    ];
    for (const devices of made) {
      moveClock(1_000);
      const id = await withDevices(key, ...devices);
      if (devices.includes(DEVICE)) ids.unshift(id);
    }
    const page = await listOf(key, DEVICE);
    expect(idsOf(page)).toEqual(ids);
    expect(page.body).toMatchObject({
      total_count: 3,
      pagination: { number: 1, has_next: false, paginator: { num_pages: 1 } },
    });
    const first = await listOf(key, DEVICE, "&limit=2");
    expect(idsOf(first)).toEqual(ids.slice(0, 2));
    expect(first.body).toMatchObject({
      total_count: 3,
      pagination: { next_page_number: 2, previous_page_number: null, paginator: { num_pages: 2 } },
    });
    const second = await listOf(key, DEVICE, "&limit=2&page=2");
    expect(idsOf(second)).toEqual(ids.slice(2));
    expect(second.body.pagination).toMatchObject({
      next_page_number: null,
      previous_page_number: 1,
    });
    expect(idsOf(await listOf(key, DEVICE, "&page=2"))).toEqual([]);
    expect((await listOf(key, OTHER)).body.total_count).toBe(2);
    expect((await list(key)).body.total_count).toBe(5);
  });

  test("follows the users of a session, and its end, at once", async () => {
    const { key } = await newOrganisation();
    const id = await withDevices(key, null);
    expect((await listOf(key, DEVICE)).body).toMatchObject({ sessions: [], total_count: 0 });
    const added = await authorize(key, id, "192.0.2.7", { device_id: DEVICE });
    expect(idsOf(await listOf(key, DEVICE))).toEqual([id]);
    await revoke(key, id, added.body.session_user.authorization_token);
    expect((await listOf(key, DEVICE)).body).toMatchObject({ sessions: [], total_count: 0 });
    await authorize(key, id, "192.0.2.7", { device_id: DEVICE });
    expect(idsOf(await listOf(key, DEVICE))).toEqual([id]);
    await remove(key, id);
    expect((await listOf(key, DEVICE)).body).toMatchObject({ sessions: [], total_count: 0 });
  });

  test("has those too that a Worker of before migration 0014 has written", async () => {
    const { key } = await newOrganisation();
    const ids: string[] = [];
    stopClock();
    for (let i = 0; i < 3; i++) {
      moveClock(1_000);
      ids.unshift(await withDevices(key, DEVICE));
    }
    await env.DB.prepare("update session_devices set created_at = 0 where session_id = ?")
      .bind(ids[1])
      .run();
    expect(idsOf(await listOf(key, DEVICE))).toEqual(ids);
  });

  test("never has the sessions of another organisation", async () => {
    const [mine, other] = [await newOrganisation(), await newOrganisation()];
    const id = await withDevices(mine.key, DEVICE);
    await withDevices(other.key, DEVICE);
    const page = await listOf(mine.key, DEVICE);
    expect(idsOf(page)).toEqual([id]);
    expect(page.body.total_count).toBe(1);
  });

  test("has figures with with_traffic=true", async () => {
    const { key } = await newOrganisation();
    await withDevices(key, DEVICE);
    const [session] = (await listOf(key, DEVICE, "&with_traffic=true")).body.sessions;
    expect(session.session_users[0]).toMatchObject({ device_id: DEVICE, connected: false });
  });

  test.each([
    ["too short", "abc"],
    ["empty", ""],
    ["too long", `${DEVICE}a`],
    ["in capitals", "A".repeat(64)],
    ["not hexadecimal", "g".repeat(64)],
    ["followed by a line break", `${DEVICE}%0A`],
  ])("refuses a device_id that is %s", async (_, device) => {
    const { key } = await newOrganisation();
    const { status, body } = await listOf(key, device);
    expect(status).toBe(400);
    expect(body).toEqual({
      code: "invalid-parameter",
      message: "device_id must be the id of a device: 64 digits 0-9a-f.",
    });
  });

  test("reads no session where the device has none, and else its own", async () => {
    const { key } = await newOrganisation();
    for (let i = 0; i < 8; i++) await withDevices(key, null);
    await list(key);
    const none = await rowsOf(() => listOf(key, DEVICE));
    expect(none).toEqual({ d1Read: 0, d1Written: 0, objectRead: 0, objectWritten: 0 });
    await withDevices(key, DEVICE);
    const one = await rowsOf(() => listOf(key, DEVICE));
    expect(one).toMatchObject({ d1Written: 0, objectRead: 0, objectWritten: 0 });
    // The entry of the device, where D1 stops, the place that is looked up, and the session: none of the
    // eight others.
    expect(one.d1Read).toBeLessThanOrEqual(4);
  });
});
