/**
 * What pairing costs in rows of D1, also in an application with 10,000 devices, and under a flood
 * of requests.
 */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { pollRequest } from "../../src/pairing/collect-token";
import { call } from "../support/client";
import {
  ask,
  decide,
  domainDeps,
  eventsSent,
  findRequest,
  newAddress,
  newApplication,
  newDevice,
  newNonce,
  pair,
  poll,
  request,
  signedBody,
  type TestApplication,
  type TestDevice,
  verify,
} from "../support/devices";
import { eventually } from "../support/pipeline";
import { rowsOf } from "../support/rows";
import { addressesOfOneClient } from "../support/sessions";

const DEVICES = 10_000;
const REQUESTS = 50;

/** An application with many devices and some requests, as the Worker itself writes them. */
async function fill(at: TestApplication): Promise<void> {
  const state = JSON.stringify({
    applicationId: at.application,
    organisationId: at.id,
    publicKey: "A".repeat(43),
    version: 1,
    createdAt: 1,
    removedAt: null,
    label: null,
    displayName: "",
    platform: "linux",
    family: "server",
    clientId: "cli",
    clientMode: "cli",
    role: "operator",
    roles: ["operator"],
    scopes: ["operator.read"],
    grants: [],
  });
  const numbers = `with recursive n(i) as (select 1 union all select i + 1 from n where i < ?)`;
  await env.DB.batch([
    env.DB.prepare(
      `insert into devices ${numbers} select ?, 0, i, printf('%064x', i), 1, null,
        json_set(?, '$.id', printf('%064x', i), '$.createdAt', i) from n`,
    ).bind(DEVICES, at.application, state),
  ]);
  const devices = await Promise.all(Array.from({ length: REQUESTS }, newDevice));
  for (const device of devices) await request(at, device);
}

/** Requests that ended long ago, all of one device. */
async function insertEnded(at: TestApplication, count: number): Promise<void> {
  await env.DB.prepare(
    `insert into pairing_requests
     with recursive n(i) as (select 1 union all select i + 1 from n where i < ?)
     select 'superseded', ?, printf('pr-%08x-0000-7000-8000-000000000000', i), ?, ?, '192.0.2.1',
       1, null, '{}', '{"at":1}', 1 from n`,
  )
    .bind(count, at.application, at.id, "0".repeat(64))
    .run();
}

/** Waits until a device is recorded as seen, which is written after the answer. */
async function seen({ id }: TestDevice): Promise<void> {
  await eventually(async () => {
    const row = env.DB.prepare("select last_seen_at from devices where id = ?").bind(id);
    expect(await row.first("last_seen_at")).not.toBeNull();
  });
}

describe("an application with 10,000 devices", () => {
  let at: TestApplication;

  beforeAll(async () => {
    at = await newApplication();
    await fill(at);
  });

  test("lists each device and request with one read, and approves and rejects as cheaply as a small application", async () => {
    const small = await newApplication();
    const cost = async (place: TestApplication, verb: "approve" | "reject") => {
      const { id } = await request(place, await newDevice());
      return rowsOf(async () => {
        expect((await decide(place, id, verb)).status).toBe(200);
      });
    };
    // Rows of the event that is being sent are counted here too, some more and some fewer each
    // time.
    for (const verb of ["approve", "reject"] as const) {
      const [few, many] = [await cost(small, verb), await cost(at, verb)];
      for (const rows of [few, many]) {
        expect(rows.d1Read).toBeLessThanOrEqual(40);
        expect(rows.d1Written).toBeLessThanOrEqual(10);
      }
    }

    const query = `Action=ListPolarClawDevicePairs&Version=2017-08-01&ApplicationId=${at.application}`;
    let paired: { CreatedAtMs: number }[] = [];
    await eventsSent();
    const rows = await rowsOf(async () => {
      const { body } = await call("GET", `/?${query}`, { key: at.key });
      paired = body.Paired;
      expect(body.Pending).toHaveLength(REQUESTS);
    });
    expect(paired).toHaveLength(DEVICES + 1);
    expect(paired.slice(1, 3).map(({ CreatedAtMs }) => CreatedAtMs)).toEqual([
      DEVICES,
      DEVICES - 1,
    ]);
    expect(rows.d1Read).toBeLessThanOrEqual(DEVICES + REQUESTS + 10);
    expect(rows.d1Written).toBe(0);
  });

  test("costs one page for a page of devices, and for a pairing request only the pending ones", async () => {
    let cursor = "";
    for (let i = 0; i < 3; i++) {
      const rows = await rowsOf(async () => {
        const { body } = await call("GET", `${at.path}/devices?limit=50${cursor}`, { key: at.key });
        expect(body.data).toHaveLength(50);
        cursor = `&cursor=${body.next_cursor}`;
      });
      expect(rows.d1Read).toBeLessThanOrEqual(54);
    }
    await insertEnded(at, 2_000);
    const body = await signedBody(await newDevice(), {}, await newNonce(at));
    const rows = await rowsOf(async () => {
      const answer = await call("POST", `${at.path}/pairing/requests`, { body, ip: newAddress() });
      expect(answer.status).toBe(202);
    });
    // The pending requests are read three times: for the device's own, as a condition of the write,
    // and for the caps. The requests that ended in the last hour are counted for each of the four
    // endings: two requests, and where each ending begins and ends in the index.
    expect(rows.d1Read).toBeLessThanOrEqual(3 * (REQUESTS + 3) + 10 + 2 + 4 * 2);
  });
});

describe("the cost in rows", () => {
  test("of pairing a device is fixed for each step, from the request to the check of its token", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const body = await signedBody(device, {}, await newNonce(at));
    await eventsSent();
    let asked = { id: "", pollToken: "" };
    const quiet = { ...body, silent: true };
    const asking = await rowsOf(async () => {
      const answer = await call("POST", `${at.path}/pairing/requests`, { body: quiet });
      asked = { id: answer.body.pair_request_id, pollToken: answer.body.poll_token };
    });
    // The nonce, the request and its two index entries: in the list, and for the sweep.
    expect(asking.d1Written).toBe(4);

    const again = await signedBody(device, { silent: true }, await newNonce(at));
    const refreshing = await rowsOf(() =>
      call("POST", `${at.path}/pairing/requests`, { body: again }),
    );
    // The nonce and the request.
    expect(refreshing.d1Written).toBe(2);

    const polling = await rowsOf(() => poll(at, asked));
    // The request, and a row for each of the statuses among which its key is looked for.
    expect([polling.d1Read, polling.d1Written]).toEqual([6, 0]);

    await decide(at, asked.id, "approve");
    await eventsSent();
    let token = "";
    const collecting = await rowsOf(async () => {
      const { db } = domainDeps();
      token = (await pollRequest(db, at.application, asked.id, Date.now()))?.token?.token ?? "";
    });
    // The token and the device.
    expect(collecting.d1Written).toBe(2);

    const first = await rowsOf(async () => {
      await verify(at, token);
      await seen(device);
    });
    expect(first.d1Written).toBe(1);
    // The token and the device.
    const more = [];
    for (let i = 0; i < 3; i++) more.push(await rowsOf(() => verify(at, token)));
    expect(Math.min(...more.map(({ d1Read }) => d1Read))).toBe(2);
    expect(more.map(({ d1Written }) => d1Written)).toEqual([0, 0, 0]);
  });

  test("of twenty checks of a token at once is one write of when the device was last seen", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    await eventsSent();
    const rows = await rowsOf(async () => {
      await Promise.all(Array.from({ length: 20 }, () => verify(at, token)));
      await seen(device);
      // D1 answers in order: what was sent before this is done.
      await verify(at, token);
    });
    expect(rows.d1Written).toBe(1);
  });
});

describe("a flood of pairing requests", () => {
  test("from one address stays within its cap, costs few rows, and leaves other pending requests alone", async () => {
    const at = await newApplication();
    const ip = newAddress();
    const mine = await request(at, await newDevice());
    const before = await findRequest(at, mine.id);
    const devices = await Promise.all(Array.from({ length: 60 }, newDevice));
    const bodies = await Promise.all(
      devices.map(async (device) => signedBody(device, { silent: true }, await newNonce(at))),
    );
    const statuses: number[] = [];
    await eventsSent();
    const rows = await rowsOf(async () => {
      for (let i = 0; i < bodies.length; i += 10) {
        const answers = await Promise.all(
          bodies
            .slice(i, i + 10)
            .map((body) => call("POST", `${at.path}/pairing/requests`, { body, ip })),
        );
        statuses.push(...answers.map(({ status }) => status));
      }
    });
    expect(statuses.filter((status) => status === 202)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(55);
    // Five nonces, and five requests with two index entries each; a refused request writes nothing.
    expect(rows.d1Written).toBe(20);
    expect(rows.d1Read).toBeLessThanOrEqual(60 * 100);
    expect(await findRequest(at, mine.id)).toEqual(before);
    expect((await decide(at, mine.id, "approve")).status).toBe(200);
  });

  test("from one /64 takes at most five of the application's 500 places, and shows each full address", async () => {
    const at = await newApplication();
    const nextAddress = addressesOfOneClient();
    const accepted: { id: string; ip: string }[] = [];
    let refused = 0;
    for (let i = 0; i < 504; i++) {
      const ip = nextAddress();
      const { status, body } = await ask(at, await newDevice(), { silent: true, ip });
      if (status === 202) accepted.push({ id: body.pair_request_id, ip });
      if (status === 429) refused += 1;
    }
    expect([accepted.length, refused]).toEqual([5, 499]);
    for (const { id, ip } of accepted) expect((await findRequest(at, id)).remote_ip).toBe(ip);
    expect((await ask(at, await newDevice())).status).toBe(202);
  });

  test("from one address is stopped before D1 is asked", async () => {
    const at = await newApplication();
    const ip = newAddress();
    let refused = 0;
    for (let i = 0; i < 130; i++) {
      const { status } = await call("POST", `${at.path}/pairing/challenges`, { ip });
      if (status === 429) refused += 1;
    }
    expect(refused).toBe(10);
    const rows = await rowsOf(() => call("POST", `${at.path}/pairing/challenges`, { ip }));
    expect(rows).toEqual({ d1Read: 0, d1Written: 0, objectRead: 0, objectWritten: 0 });
    expect((await ask(at, await newDevice())).status).toBe(202);
  });

  test("from one /64 is stopped before D1 is asked", async () => {
    const at = await newApplication();
    const nextAddress = addressesOfOneClient();
    const challenge = () => call("POST", `${at.path}/pairing/challenges`, { ip: nextAddress() });
    let refused = 0;
    for (let i = 0; i < 130; i++) if ((await challenge()).status === 429) refused += 1;
    expect(refused).toBe(10);
    const rows = await rowsOf(challenge);
    expect(rows).toEqual({ d1Read: 0, d1Written: 0, objectRead: 0, objectWritten: 0 });
  });

  test("is refused at 500 pending requests of an application, and removes none that is pending", async () => {
    const at = await newApplication();
    const first = await request(at, await newDevice());
    await env.DB.prepare(
      `insert into pairing_requests
       with recursive n(i) as (select 1 union all select i + 1 from n where i < 499)
       select 'pending', application_id, printf('pr-%d', i), organisation_id, printf('%064x', i),
         printf('192.0.2.%d', i), expires_at, null, asked, null, expires_at
       from pairing_requests, n where status = 'pending' and application_id = ?`,
    )
      .bind(at.application)
      .run();
    const refused = await ask(at, await newDevice());
    expect([refused.status, refused.body.code]).toEqual([429, "too-many-requests-pending"]);
    expect((await poll(at, first)).body.status).toBe("pending");
    await decide(at, first.id, "reject");
    expect((await ask(at, await newDevice())).status).toBe(202);
  });
});
