/**
 * The races of pairing without luck: one side has read and is about to write when the other does
 * all of its work. The first to write wins, the other is told, and nothing is recorded twice.
 */
import { expect, test } from "vitest";
import { approveRequest } from "../../src/pairing/approve-and-reject";
import { pollRequest } from "../../src/pairing/collect-token";
import { expireRequests } from "../../src/pairing/request-endings";
import { call } from "../support/client";
import { overtaken } from "../support/d1";
import {
  ask,
  decide,
  deviceEvents,
  domainDeps,
  findRequest,
  newApplication,
  newDevice,
  operatorOf,
  pair,
  request,
  type TestApplication,
  type TestDevice,
  verify,
} from "../support/devices";

/** The statements that write an ending, a request, and the token of a poll. */
const ENDING = /^update "pairing_requests"/;
const ASK = /insert into "used_nonces"/;
const TOKEN = /insert into "device_tokens"/;

async function asked() {
  const at = await newApplication();
  const device = await newDevice();
  const { id } = await request(at, device);
  return { at, device, id };
}

const endings = async (at: TestApplication) =>
  (await deviceEvents(at)).filter((type) => type !== "device.pair.requested");
const found = (at: TestApplication, { id }: TestDevice) =>
  call("GET", `${at.path}/devices/${id}`, { key: at.key });
const widen = (at: TestApplication, device: TestDevice) =>
  ask(at, device, { scopes: ["operator.admin"] });

test.each([
  ["approve", "approve"],
  ["approve", "reject"],
  ["reject", "approve"],
  ["reject", "reject"],
] as const)(
  "the call to %s is told the first decision when another call to %s is written before it",
  async (slow, fast) => {
    const { at, device, id } = await asked();
    const [late, first] = await overtaken(
      ENDING,
      () => decide(at, id, slow),
      () => decide(at, id, fast),
    );
    const status = fast === "approve" ? "approved" : "rejected";
    expect(first.status).toBe(200);
    expect([late.status, late.body.code]).toEqual([409, `request-${status}`]);
    expect((await found(at, device)).status).toBe(fast === "approve" ? 200 : 404);
    expect(await endings(at)).toEqual([`device.pair.${status}`]);
  },
);

test("an approval approves nothing when a widening retry is written before it", async () => {
  const { at, device, id } = await asked();
  const [approved, retried] = await overtaken(
    ENDING,
    () => decide(at, id, "approve"),
    () => widen(at, device),
  );
  expect([approved.status, approved.body.code]).toEqual([409, "request-superseded"]);
  expect((await found(at, device)).status).toBe(404);
  const wider = await findRequest(at, retried.body.pair_request_id);
  expect(wider).toMatchObject({ status: "pending", is_repair: false });
  expect(await endings(at)).toEqual(["device.pair.superseded"]);
});

test("a widening retry asks for more than what was approved when an approval is written before it", async () => {
  const { at, device, id } = await asked();
  const [retried, approved] = await overtaken(
    ASK,
    () => widen(at, device),
    () => decide(at, id, "approve"),
  );
  expect([approved.status, retried.status]).toEqual([200, 202]);
  const wider = await findRequest(at, retried.body.pair_request_id);
  expect(wider).toMatchObject({ status: "pending", is_repair: true, scopes: ["operator.admin"] });
  expect((await findRequest(at, id)).status).toBe("approved");
  expect((await found(at, device)).body.scopes).toEqual(["operator.read"]);
  expect(await endings(at)).toEqual(["device.pair.approved"]);
});

test("the same retry finds the device paired with what it asks for when an approval is written before it", async () => {
  const { at, device, id } = await asked();
  const [retried] = await overtaken(
    ASK,
    () => ask(at, device),
    () => decide(at, id, "approve"),
  );
  expect(retried.status).toBe(200);
  expect(await verify(at, retried.body.device_token)).toMatchObject({ valid: true });
});

test.each([
  ["its removal", "", false],
  ["a revocation", "/tokens:revoke", true],
])(
  "a paired device that asks for a token gets none when %s is written before that",
  async (_, end, repair) => {
    const at = await newApplication();
    const device = await newDevice();
    await pair(at, device);
    const path = `${at.path}/devices/${device.id}${end}`;
    const [late, first] = await overtaken(
      ASK,
      () => ask(at, device),
      () =>
        end === ""
          ? call("DELETE", path, { key: at.key })
          : call("POST", path, { key: at.key, body: { role: "operator" } }),
    );
    expect([late.status, late.body.device_token]).toEqual([202, undefined]);
    expect(first.status).toBeLessThan(300);
    expect((await findRequest(at, late.body.pair_request_id)).is_repair).toBe(repair);
  },
);

test("two first requests of one device at once leave one of them pending", async () => {
  const at = await newApplication();
  const device = await newDevice();
  const [late, first] = await overtaken(
    ASK,
    () => ask(at, device, { scopes: ["operator.talk"] }),
    () => ask(at, device, { scopes: ["operator.read"] }),
  );
  expect([late.status, first.status]).toEqual([202, 202]);
  expect((await findRequest(at, first.body.pair_request_id)).status).toBe("superseded");
  expect((await findRequest(at, late.body.pair_request_id)).status).toBe("pending");
});

test("an approval finds the request expired when the expiry is written before it", async () => {
  const { at, device, id } = await asked();
  const over = Date.parse((await findRequest(at, id)).expires_at);
  const deps = domainDeps();
  const [approved] = await overtaken(
    ENDING,
    () =>
      approveRequest(
        deps,
        operatorOf(at),
        { applicationId: at.application, requestId: id, terms: {} },
        over - 1,
      ),
    () => expireRequests(deps, 100, over),
  );
  expect(approved).toEqual({ ok: false, refusal: { code: "request-ended", status: "expired" } });
  expect((await found(at, device)).status).toBe(404);
  expect(await endings(at)).toEqual(["device.pair.expired"]);
});

test("an expiry leaves the request approved when an approval is written before it, and the last poll gets the token", async () => {
  const { at, id } = await asked();
  const over = Date.parse((await findRequest(at, id)).expires_at);
  const deps = domainDeps();
  const [, approved] = await overtaken(
    ENDING,
    () => expireRequests(deps, 100, over),
    () =>
      approveRequest(
        deps,
        operatorOf(at),
        { applicationId: at.application, requestId: id, terms: {} },
        over - 1,
      ),
  );
  expect(approved.ok).toBe(true);
  const polled = await pollRequest(deps.db, at.application, id, over);
  expect(await verify(at, polled?.token?.token ?? "")).toMatchObject({ valid: true });
  expect(await endings(at)).toEqual(["device.pair.approved"]);
});

test("an expiry leaves the request pending when a refresh is written before it", async () => {
  const { at, device, id } = await asked();
  const deps = domainDeps();
  const over = Date.parse((await findRequest(at, id)).expires_at);
  await overtaken(
    ENDING,
    () => expireRequests(deps, 100, over),
    async () => {
      // The refresh comes at least a millisecond after the request was made.
      await expect.poll(() => Date.now()).toBeGreaterThan(over - 300_000);
      return ask(at, device);
    },
  );
  expect((await findRequest(at, id)).status).toBe("pending");
  expect(await endings(at)).toEqual([]);
});

test("a first poll gets no token when another one is written before it, and the token of the other works", async () => {
  const { at, id } = await asked();
  await decide(at, id, "approve");
  const { db } = domainDeps();
  const poll = () => pollRequest(db, at.application, id, Date.now());
  const [late, first] = await overtaken(TOKEN, poll, poll);
  expect(late).toEqual({ status: "approved", token: null });
  expect(await verify(at, first?.token?.token ?? "")).toMatchObject({ valid: true });
});

test("a first poll gets no token when a removal is written before it", async () => {
  const { at, device, id } = await asked();
  await decide(at, id, "approve");
  const { db } = domainDeps();
  const [late] = await overtaken(
    TOKEN,
    () => pollRequest(db, at.application, id, Date.now()),
    () => call("DELETE", `${at.path}/devices/${device.id}`, { key: at.key }),
  );
  expect(late).toEqual({ status: "approved", token: null });
});
