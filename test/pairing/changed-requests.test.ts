/**
 * A device that changes its request each time supersedes its own request, so the caps on pending
 * requests do not stop it. It may make ten requests an hour, and superseded requests are removed
 * soon.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call } from "../support/client";
import {
  ask,
  decide,
  deviceEvents,
  findRequest,
  newApplication,
  newDevice,
  request,
  type TestApplication,
  type TestDevice,
} from "../support/devices";
import { runSweep } from "../support/sweep";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

afterEach(() => {
  vi.useRealTimers();
});

function atFixedTime(): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
}

function pass(milliseconds: number): void {
  vi.setSystemTime(Date.now() + milliseconds);
}

/** Makes requests under so many names, one after the other. */
async function askAs(at: TestApplication, device: TestDevice, names: number, from = 0) {
  const answers = [];
  for (let i = from; i < from + names; i++) {
    answers.push(await ask(at, device, { displayName: `Name ${i}` }));
  }
  return answers;
}

describe("a device that changes its request each time", () => {
  test("makes ten requests an hour, then is told when to come back, and announces nothing more", async () => {
    atFixedTime();
    const at = await newApplication();
    const device = await newDevice();
    const [first] = await askAs(at, device, 1);
    pass(60_000);
    const more = await askAs(at, device, 9, 1);
    expect([first, ...more].map((answer) => answer?.status)).toEqual(Array(10).fill(202));
    const before = await deviceEvents(at);
    const [refused] = await askAs(at, device, 1, 10);
    expect([refused?.status, refused?.body.code]).toEqual([429, "too-many-new-requests"]);
    expect(refused?.headers.get("Retry-After")).toBe(String(HOUR / 1_000 - 60));
    expect(await deviceEvents(at)).toEqual(before);
    // Its last request is still on the list.
    const last = more.at(-1)?.body.pair_request_id;
    expect((await findRequest(at, last)).status).toBe("pending");

    pass(HOUR - 60_001);
    expect((await askAs(at, device, 1, 10))[0]?.status).toBe(429);
    pass(1);
    expect((await askAs(at, device, 2, 10)).map(({ status }) => status)).toEqual([202, 429]);
  });

  test("is counted however its requests ended", async () => {
    atFixedTime();
    const at = await newApplication();
    const device = await newDevice();
    for (let i = 0; i < 5; i++) {
      await decide(at, (await request(at, device)).id, "reject");
      const expired = await request(at, device);
      pass(300_000);
      if (i % 2 === 0) await runSweep();
      expect((await findRequest(at, expired.id)).status).toBe("expired");
    }
    expect((await ask(at, device)).status).toBe(429);
  });

  test("makes at most ten of many requests at once", async () => {
    const at = await newApplication();
    const device = await newDevice();
    await askAs(at, device, 6);
    const names = Array.from({ length: 10 }, (_, i) => `Other ${i}`);
    await Promise.all(names.map((displayName) => ask(at, device, { displayName })));
    const { results } = await env.DB.prepare(
      "select id from pairing_requests where application_id = ? and device_id = ?",
    )
      .bind(at.application, device.id)
      .all();
    expect(results.length).toBeLessThanOrEqual(10);
    expect((await askAs(at, device, 5, 20)).at(-1)?.status).toBe(429);
  });

  test("may repeat the same request: retries do not count", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const asked = await request(at, device);
    for (let i = 0; i < 12; i++) expect((await request(at, device)).id).toBe(asked.id);
    expect((await askAs(at, device, 9)).map(({ status }) => status)).toEqual(Array(9).fill(202));
    const last = await request(at, device, { displayName: "Name 8" });
    expect((await request(at, device, { displayName: "Name 8" })).id).toBe(last.id);
    expect((await ask(at, device)).status).toBe(429);
  });

  test("does not limit other devices, itself in another application, or a setup code", async () => {
    const [at, other] = [await newApplication(), await newApplication()];
    const device = await newDevice();
    await askAs(at, device, 10);
    expect((await ask(at, device)).status).toBe(429);
    expect((await ask(at, await newDevice())).status).toBe(202);
    expect((await ask(other, device)).status).toBe(202);
    const body = { role: "operator", scopes: ["operator.read"], ttl_seconds: 60 };
    const made = await call("POST", `${at.path}/setup-codes`, { key: at.key, body });
    expect((await ask(at, device, { setupCode: made.body.setup_code })).status).toBe(200);
  });
});

describe("a superseded request", () => {
  test("is kept for a day from its end, and every other request for the whole retention", async () => {
    atFixedTime();
    const at = await newApplication();
    const [device, other] = [await newDevice(), await newDevice()];
    const rejected = await request(at, other);
    await decide(at, rejected.id, "reject");
    const early = await request(at, device);
    const late = await request(at, device, { displayName: "Other" });
    // Refreshed for half a day, so that it ends long after it began.
    for (let i = 0; i < 144; i++) {
      pass(299_999);
      if (i % 48 === 0) await request(at, device, { displayName: "Other" });
      else await refresh(at, late.id);
    }
    expect((await request(at, device, { displayName: "Third" })).id).not.toBe(late.id);
    pass(DAY / 2 + HOUR);
    await runSweep();
    expect(await findRequest(at, early.id)).toBeUndefined();
    expect((await findRequest(at, late.id)).status).toBe("superseded");
    pass(DAY / 2);
    await runSweep();
    expect(await findRequest(at, late.id)).toBeUndefined();
    expect((await findRequest(at, rejected.id)).status).toBe("rejected");
  });
});

/** What a retry of a pending request does to its row, without the signature. */
function refresh(at: TestApplication, id: string) {
  return env.DB.prepare(
    "update pairing_requests set expires_at = ? where status = 'pending' and application_id = ? and id = ?",
  )
    .bind(Date.now() + 300_000, at.application, id)
    .run();
}
