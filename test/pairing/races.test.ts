/**
 * Races of pairing, each run many times with either side starting first. In any order exactly one
 * side wins, the other is told, and nothing is recorded twice. Where time decides a race, each side
 * has its own time.
 */
import { describe, expect, test } from "vitest";
import {
  approveRequest,
  type DecisionResult,
  rejectRequest,
} from "../../src/pairing/approve-and-reject";
import { pollRequest } from "../../src/pairing/collect-token";
import { REQUEST_LIFE_MS } from "../../src/pairing/pairing-request";
import { expireRequests } from "../../src/pairing/request-endings";
import { call } from "../support/client";
import { withD1 } from "../support/d1";
import {
  ask,
  decide,
  deviceEvents,
  domainDeps,
  findRequest,
  newApplication,
  newDevice,
  operatorOf,
  request,
  verify,
} from "../support/devices";

const ROUNDS = Array.from({ length: 12 }, (_, round) => round);

/** Runs both at once; in every second round the other one starts. */
async function race<A, B>(
  round: number,
  a: () => Promise<A>,
  b: () => Promise<B>,
): Promise<[A, B]> {
  if (round % 2 === 0) return Promise.all([a(), b()]);
  const [second, first] = await Promise.all([b(), a()]);
  return [first, second];
}

const endings = async (at: Parameters<typeof deviceEvents>[0]) =>
  (await deviceEvents(at)).filter((type) => type !== "device.pair.requested");

describe("a race", () => {
  test("of two approvals of one request has one winner, and makes one device and one event", async () => {
    for (const round of ROUNDS) {
      const at = await newApplication();
      const { id } = await request(at, await newDevice());
      const both = await race(
        round,
        () => decide(at, id, "approve"),
        () => decide(at, id, "approve"),
      );
      expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
      expect(both.find(({ status }) => status === 409)?.body.code).toBe("request-approved");
      expect(await endings(at)).toEqual(["device.pair.approved"]);
      const { body } = await call("GET", `${at.path}/devices`, { key: at.key });
      expect(body.data).toHaveLength(1);
    }
  });

  test("of an approval and a rejection has one winner, and the device exists only if that is the approval", async () => {
    for (const round of ROUNDS) {
      const at = await newApplication();
      const device = await newDevice();
      const { id } = await request(at, device);
      const [approved, rejected] = await race(
        round,
        () => decide(at, id, "approve"),
        () => decide(at, id, "reject"),
      );
      const won = approved.status === 200;
      expect([approved.status, rejected.status]).toEqual(won ? [200, 409] : [409, 200]);
      const found = await call("GET", `${at.path}/devices/${device.id}`, { key: at.key });
      expect(found.status).toBe(won ? 200 : 404);
      expect(await endings(at)).toEqual([won ? "device.pair.approved" : "device.pair.rejected"]);
    }
  });

  test("of an approval and a widening retry approves what was shown, or nothing", async () => {
    for (const round of ROUNDS) {
      const at = await newApplication();
      const device = await newDevice();
      const { id } = await request(at, device, { scopes: ["operator.read"] });
      const [approved, retried] = await race(
        round,
        () => decide(at, id, "approve"),
        () => ask(at, device, { scopes: ["operator.admin"] }),
      );
      expect(retried.status).toBe(202);
      expect(retried.body.pair_request_id).not.toBe(id);
      const wider = await findRequest(at, retried.body.pair_request_id);
      const old = await findRequest(at, id);
      const found = await call("GET", `${at.path}/devices/${device.id}`, { key: at.key });
      expect(wider).toMatchObject({ status: "pending", scopes: ["operator.admin"] });
      if (approved.status === 200) {
        expect([old.status, found.body.scopes]).toEqual(["approved", ["operator.read"]]);
        expect(wider.is_repair).toBe(true);
      } else {
        expect([approved.body.code, old.status]).toEqual(["request-superseded", "superseded"]);
        expect([found.status, wider.is_repair]).toEqual([404, false]);
      }
      expect(await endings(at)).toHaveLength(1);
    }
  });

  test("of an approval and an expiry gives the request one ending, which everyone is told", async () => {
    for (const round of ROUNDS) {
      const at = await newApplication();
      const { id } = await request(at, await newDevice());
      const over = Date.parse((await findRequest(at, id)).expires_at);
      const deps = domainDeps();
      const [approved] = await race<DecisionResult, unknown>(
        round,
        () =>
          approveRequest(
            deps,
            operatorOf(at),
            { applicationId: at.application, requestId: id, terms: {} },
            over - 1,
          ),
        () => expireRequests(deps, 100, over),
      );
      const polled = await pollRequest(deps.db, at.application, id, over);
      const status = approved.ok ? "approved" : "expired";
      expect(polled?.status).toBe(status);
      expect(polled?.token === null).toBe(!approved.ok);
      if (!approved.ok) expect(approved.refusal).toEqual({ code: "request-ended", status });
      expect(await endings(at)).toEqual([`device.pair.${status}`]);
    }
  });

  test("of the last poll and an expiry hands out an approved token once", async () => {
    for (const round of ROUNDS) {
      const at = await newApplication();
      const { id } = await request(at, await newDevice());
      const over = Date.parse((await findRequest(at, id)).expires_at);
      const deps = domainDeps();
      const pending = await pollRequest(deps.db, at.application, id, over - 2);
      expect(pending).toEqual({ status: "pending", token: null });
      await approveRequest(
        deps,
        operatorOf(at),
        { applicationId: at.application, requestId: id, terms: {} },
        over - 1,
      );
      const [polled] = await race(
        round,
        () => pollRequest(deps.db, at.application, id, over),
        () => expireRequests(deps, 100, over + REQUEST_LIFE_MS),
      );
      expect(polled?.status).toBe("approved");
      expect(await verify(at, polled?.token?.token ?? "")).toMatchObject({ valid: true });
      expect(await endings(at)).toEqual(["device.pair.approved"]);
    }
  });

  test("of several sweeps records and announces each ending once", async () => {
    for (const round of ROUNDS.slice(0, 4)) {
      const at = await newApplication();
      const devices = await Promise.all(Array.from({ length: 3 }, newDevice));
      for (const device of devices) await request(at, device);
      const deps = domainDeps();
      const over = Date.now() + REQUEST_LIFE_MS;
      await race(
        round,
        () => expireRequests(deps, 100, over),
        () => expireRequests(deps, 100, over),
      );
      expect(await endings(at)).toEqual(Array(3).fill("device.pair.expired"));
    }
  });

  test("of several first polls gives one of them the token, and that token works", async () => {
    for (const _ of ROUNDS) {
      const at = await newApplication();
      const { id } = await request(at, await newDevice());
      await decide(at, id, "approve");
      const { db } = domainDeps();
      const polls = await Promise.all(
        Array.from({ length: 6 }, () => pollRequest(db, at.application, id, Date.now())),
      );
      const tokens = polls.flatMap((each) => (each?.token ? [each.token.token] : []));
      expect(polls.map((each) => each?.status)).toEqual(Array(6).fill("approved"));
      expect(tokens).toHaveLength(1);
      expect(await verify(at, tokens[0] ?? "")).toMatchObject({ valid: true });
    }
  });

  test("of a removal and an approval leaves a device only if it was approved after it was removed", async () => {
    for (const round of ROUNDS) {
      const at = await newApplication();
      const device = await newDevice();
      const first = await request(at, device);
      await decide(at, first.id, "approve");
      const wider = await request(at, device, { scopes: ["operator.admin"] });
      const path = `${at.path}/devices/${device.id}`;
      const [removed, approved] = await race(
        round,
        () => call("DELETE", path, { key: at.key }),
        () => decide(at, wider.id, "approve"),
      );
      expect([removed.status, approved.status]).toEqual([204, 200]);
      const found = await call("GET", path, { key: at.key });
      // If the removal came last, the device is gone. If the approval came last, the device has
      // what was approved last.
      if (found.status === 200) expect(found.body.scopes).toEqual(["operator.admin"]);
      else expect(found.status).toBe(404);
      expect(await endings(at)).toEqual([
        "device.pair.approved",
        "device.pair.approved",
        "device.removed",
      ]);
    }
  });

  test("of two removals or two revocations does one, and announces it once", async () => {
    for (const round of ROUNDS.slice(0, 6)) {
      const at = await newApplication();
      const device = await newDevice();
      const { id } = await request(at, device);
      await decide(at, id, "approve");
      const path = `${at.path}/devices/${device.id}`;
      const body = { role: "operator" };
      const revoke = () => call("POST", `${path}/tokens:revoke`, { key: at.key, body });
      const remove = () => call("DELETE", path, { key: at.key });
      const revoked = await race(round, revoke, revoke);
      expect(revoked.map(({ status }) => status).sort()).toEqual([200, 409]);
      const removed = await race(round, remove, remove);
      expect(removed.map(({ status }) => status).sort()).toEqual([204, 404]);
      expect(await endings(at)).toEqual([
        "device.pair.approved",
        "device.removed",
        "device.token.revoked",
      ]);
    }
  });

  test.each([
    ["a removal", "DELETE", undefined, 409],
    ["a new label", "PATCH", { label: "Front door" }, 200],
  ] as const)(
    "of an approval that reads before %s and writes after it has the approval decided again",
    async (_, method, body, status) => {
      const at = await newApplication();
      const device = await newDevice();
      const first = await request(at, device, { scopes: ["operator.read"] });
      await decide(at, first.id, "approve");
      const wider = await request(at, device, { scopes: ["operator.admin"] });
      const path = `${at.path}/devices/${device.id}`;
      let changed = 0;
      const approved = await withD1(
        async (sql) => {
          if (!/update "pairing_requests"/.test(sql) || changed > 0) return;
          changed = 1;
          changed = (await call(method, path, { key: at.key, body })).status;
        },
        () => decide(at, wider.id, "approve"),
      );
      expect(changed).toBeLessThan(300);
      expect(approved.status).toBe(status);
      const found = await call("GET", path, { key: at.key });
      if (status === 200) {
        expect(found.body).toMatchObject({ scopes: ["operator.admin"], label: "Front door" });
      } else {
        // The removal has ended the device's request.
        expect([approved.body.code, found.status]).toEqual(["request-rejected", 404]);
      }
    },
  );

  test("of two decisions in the domain at the same time tells the loser the winner's ending", async () => {
    for (const round of ROUNDS) {
      const at = await newApplication();
      const { id } = await request(at, await newDevice());
      const deps = domainDeps();
      const now = Date.now();
      const [approved, rejected] = await race(
        round,
        () =>
          approveRequest(
            deps,
            operatorOf(at),
            { applicationId: at.application, requestId: id, terms: {} },
            now,
          ),
        () =>
          rejectRequest(
            deps,
            operatorOf(at),
            { applicationId: at.application, requestId: id, reason: null },
            now,
          ),
      );
      const [winner, loser] = approved.ok ? [approved, rejected] : [rejected, approved];
      if (!winner.ok || loser.ok) throw new Error("exactly one must win");
      expect(loser.refusal).toEqual({ code: "request-ended", status: winner.request.status });
    }
  });
});
