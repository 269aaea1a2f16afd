/** The RPC actions as they are served: fields, errors, parameters, and organisations. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call, newOrganisation } from "../../support/client";
import {
  findRequest,
  newApplication,
  newDevice,
  newKey,
  pair,
  request,
  type TestApplication,
  verify,
} from "../../support/devices";

const VERSION = "2017-08-01";

afterEach(() => {
  vi.useRealTimers();
});

function rpc(
  key: string,
  action: string,
  parameters: Record<string, string> = {},
  method = "POST",
) {
  const query = new URLSearchParams({ Action: action, Version: VERSION, ...parameters });
  return call(method, `/?${query}`, { key });
}

const list = (at: TestApplication) =>
  rpc(at.key, "ListPolarClawDevicePairs", { ApplicationId: at.application });

/** Every field that an error always has. */
function wrong(Code: string) {
  return {
    RequestId: expect.any(String),
    HostId: "localhost:8787",
    Code,
    Message: expect.any(String),
    Recommend: expect.any(String),
  };
}

describe("the four RPC actions", () => {
  test("list pairing requests with all documented fields in their types, and no other", async () => {
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const at = await newApplication();
    const [waiting, paired] = [await newDevice(), await newDevice()];
    const { id } = await request(at, waiting, {
      roles: ["node"],
      scopes: ["operator.read", "node.camera"],
      displayName: "Phone",
      platform: "iOS",
    });
    await pair(at, paired, { scopes: ["operator.admin"], family: "Server" });
    const { status, body, headers } = await list(at);
    expect(status).toBe(200);
    expect(body).toEqual({
      RequestId: headers.get("X-Request-Id"),
      Message: "successful",
      Code: 200,
      ApplicationId: at.application,
      Pending: [
        {
          PairRequestId: id,
          DeviceId: waiting.id,
          PublicKey: waiting.publicKey,
          DisplayName: "Phone",
          Platform: "ios",
          DeviceFamily: "",
          ClientId: "cli",
          ClientMode: "cli",
          Role: "operator",
          Roles: ["operator", "node"],
          Scopes: ["operator.read", "node.camera"],
          RemoteIp: waiting.ip,
          Silent: false,
          IsRepair: false,
          Ts: now,
        },
      ],
      Paired: [
        {
          DeviceId: paired.id,
          DisplayName: "",
          Platform: "",
          DeviceFamily: "server",
          ClientId: "cli",
          ClientMode: "cli",
          Role: "operator",
          Scopes: ["operator.admin"],
          CreatedAtMs: now,
          LastSeenAtMs: now,
        },
      ],
    });
  });

  test("list requests newest first, without those that have ended", async () => {
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    const at = await newApplication();
    const old = await newDevice();
    await request(at, old);
    const devices = [];
    for (let i = 1; i <= 3; i++) {
      vi.setSystemTime(start + i * 100_000);
      const device = await newDevice();
      await request(at, device);
      devices.unshift(device.id);
    }
    const { body } = await list(at);
    expect(body.Pending.map((each: { DeviceId: string }) => each.DeviceId)).toEqual(devices);
  });

  test("answer an approval with the device, and a rejection and a removal with its id", async () => {
    const at = await newApplication();
    const [good, bad] = [await newDevice(), await newDevice()];
    const [approve, reject] = [await request(at, good), await request(at, bad)];
    const ApplicationId = at.application;
    const approved = await rpc(at.key, "ApprovePolarClawDevicePair", {
      ApplicationId,
      PairRequestId: approve.id,
    });
    const rest = { RequestId: expect.any(String), Message: "successful", Code: 200, ApplicationId };
    expect(approved.body).toEqual({
      ...rest,
      PairRequestId: approve.id,
      Device: {
        DeviceId: good.id,
        DisplayName: "",
        Platform: "",
        DeviceFamily: "",
        Role: "operator",
        Scopes: ["operator.read"],
        CreatedAtMs: expect.any(Number),
      },
    });
    const rejected = await rpc(at.key, "RejectPolarClawDevicePair", {
      ApplicationId,
      PairRequestId: reject.id,
    });
    expect(rejected.body).toEqual({ ...rest, PairRequestId: reject.id, DeviceId: bad.id });
    const removed = await rpc(at.key, "RemovePolarClawDevicePair", {
      ApplicationId,
      DeviceId: good.id,
    });
    expect(removed.body).toEqual({ ...rest, DeviceId: good.id });
    expect((await list(at)).body).toMatchObject({ Pending: [], Paired: [] });
  });

  test("decide on the same requests as /v1: neither can change what the other has decided", async () => {
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    const at = await newApplication();
    const device = await newDevice();
    const superseded = await request(at, device);
    const rejected = await request(at, device, { scopes: ["operator.write"] });
    await rpc(at.key, "RejectPolarClawDevicePair", {
      ApplicationId: at.application,
      PairRequestId: rejected.id,
    });
    const expired = await request(at, await newDevice());
    vi.setSystemTime(start + 300_000);
    for (const [{ id }, code] of [
      [superseded, "PairRequest.Superseded"],
      [rejected, "PairRequest.AlreadyDecided"],
      [expired, "PairRequest.Expired"],
    ] as const) {
      for (const action of ["ApprovePolarClawDevicePair", "RejectPolarClawDevicePair"]) {
        const answer = await rpc(at.key, action, {
          ApplicationId: at.application,
          PairRequestId: id,
        });
        expect([answer.status, answer.body]).toEqual([409, wrong(code)]);
      }
    }
  });
});

describe("an error of an RPC action", () => {
  test("says where the API is described, if the call has no parameter at all", async () => {
    for (const method of ["GET", "POST"]) {
      const { status, body } = await call(method, "/");
      expect([status, body.Code]).toEqual([400, "MissingParameter"]);
      expect(body.Message).toContain("/docs");
    }
    const { body } = await call("GET", `/?Version=${VERSION}`);
    expect(body.Message).toContain("The parameter Action is missing");
    expect(body.Message).not.toContain("/docs");
  });

  test("has always the same five fields, a code of the list and its real status", async () => {
    const at = await newApplication();
    const ApplicationId = at.application;
    const unable = await newKey(at, ["devices:list"]);
    const [approve, remove] = ["ApprovePolarClawDevicePair", "RemovePolarClawDevicePair"];
    const cases: [number, string, Promise<{ status: number; body: unknown }>][] = [
      [400, "MissingParameter", rpc(at.key, "ListPolarClawDevicePairs")],
      [400, "MissingParameter", rpc(at.key, approve, { ApplicationId })],
      [400, "MissingParameter", rpc(at.key, remove, { ApplicationId, DeviceId: "" })],
      [400, "MissingParameter", call("POST", "/", { key: at.key })],
      [400, "MissingParameter", call("POST", "/?Action=ListPolarClawDevicePairs", { key: at.key })],
      [404, "InvalidApi.NotFound", rpc(at.key, "ListEverything")],
      [404, "InvalidApi.NotFound", rpc(at.key, "constructor")],
      [404, "InvalidApi.NotFound", rpc(at.key, approve, { Version: "2020-01-01" })],
      [405, "UnsupportedHTTPMethod", rpc(at.key, approve, {}, "PUT")],
      [405, "UnsupportedHTTPMethod", rpc(at.key, approve, {}, "DELETE")],
      [
        404,
        "Application.NotFound",
        rpc(at.key, approve, { ApplicationId: "pa-x", PairRequestId: "x" }),
      ],
      [404, "PairRequest.NotFound", rpc(at.key, approve, { ApplicationId, PairRequestId: "pr-x" })],
      [404, "Device.NotFound", rpc(at.key, remove, { ApplicationId, DeviceId: "x" })],
      [403, "Forbidden.RAM", rpc(unable, approve, { ApplicationId, PairRequestId: "x" })],
      [404, "InvalidAccessKeyId.NotFound", rpc("drb_nonsense", approve)],
      [400, "IncompleteSignature", call("POST", `/?Action=${approve}&Version=${VERSION}`)],
      [400, "InvalidParameter", call("POST", "/", { key: at.key, body: "x".repeat(70_000) })],
    ];
    for (const [status, code, answer] of cases) {
      const { status: real, body } = await answer;
      expect([real, body]).toEqual([status, wrong(code)]);
    }
  });

  test("is given to parameters of query, body and headers that contradict each other", async () => {
    const at = await newApplication();
    const query = `/?Action=ListPolarClawDevicePairs&ApplicationId=${at.application}`;
    const body = `Version=${VERSION}&ApplicationId=${at.application}`;
    expect((await call("POST", query, { key: at.key, body })).status).toBe(200);
    expect((await call("GET", `${query}&Version=${VERSION}`, { key: at.key })).status).toBe(200);
    const headers = { "x-acs-action": "ListPolarClawDevicePairs", "x-acs-version": VERSION };
    const bare = `/?ApplicationId=${at.application}`;
    expect((await call("POST", bare, { key: at.key, headers })).status).toBe(200);
    for (const [path, more, other] of [
      [query, `${body}x`, {}],
      [`${query}&ApplicationId=other`, `Version=${VERSION}`, {}],
      [query, body, { "x-acs-action": "RemovePolarClawDevicePair" }],
      [query, body, { "x-acs-version": "2020-01-01" }],
      [query, `${body}&Action=RemovePolarClawDevicePair`, {}],
    ] as const) {
      const answer = await call("POST", path, { key: at.key, body: more, headers: { ...other } });
      expect([answer.status, answer.body.Code]).toEqual([400, "InvalidParameter"]);
    }
  });

  test("is never a failure of ours, whatever is sent", async () => {
    const at = await newApplication();
    for (const path of [
      "/?%",
      "/?%ff=%fe",
      "/?Action=%00&Version=%00",
      "/?=&=&==",
      "/?Action[]=x",
    ]) {
      for (const body of ["%", "%ff", '{"Action":"x"}', "\ufeffAction=x", "a".repeat(1_000)]) {
        const { status } = await call("POST", path, { key: at.key, body });
        expect(status).toBeLessThan(500);
      }
    }
  });
});

describe("an RPC call", () => {
  test("answers for another organisation's ids exactly as for ids that do not exist", async () => {
    const at = await newApplication();
    const { id } = await request(at, await newDevice());
    const { token } = await pair(at, await newDevice());
    const other = await newOrganisation();
    const gone = (text: string) => text.replace(/"RequestId":"[^"]*"|"request_id":"[^"]*"/, "");
    const unknown = "pa-00000000000000";
    const rpcs: [string, Record<string, string>][] = [
      ["ListPolarClawDevicePairs", {}],
      ["ApprovePolarClawDevicePair", { PairRequestId: id }],
      ["RejectPolarClawDevicePair", { PairRequestId: id }],
      ["RemovePolarClawDevicePair", { DeviceId: "x" }],
    ];
    for (const [action, more] of rpcs) {
      const theirs = await rpc(other.key, action, { ApplicationId: at.application, ...more });
      const never = await rpc(other.key, action, { ApplicationId: unknown, ...more });
      expect([theirs.status, gone(theirs.text)]).toEqual([404, gone(never.text)]);
    }
    const routes: [string, string, unknown?][] = [
      ["GET", ""],
      ["GET", "/pairing/requests"],
      ["POST", `/pairing/requests/${id}:approve`, {}],
      ["POST", `/pairing/requests/${id}:reject`, {}],
      ["GET", "/devices"],
      ["GET", "/devices/x"],
      ["PATCH", "/devices/x", { label: "y" }],
      ["DELETE", "/devices/x"],
      ["POST", "/devices/x/tokens:rotate", { role: "operator" }],
      ["POST", "/devices/x/tokens:revoke", { role: "operator" }],
      ["POST", "/setup-codes", { role: "operator", scopes: [], ttl_seconds: 60 }],
    ];
    for (const [method, path, body] of routes) {
      const theirs = await call(method, `${at.path}${path}`, { key: other.key, body });
      const never = await call(method, `/v1/applications/${unknown}${path}`, {
        key: other.key,
        body,
      });
      expect([theirs.status, gone(theirs.text)]).toEqual([404, gone(never.text)]);
      expect((await call(method, `${at.path}${path}`, { body })).status).toBe(401);
    }
    expect((await findRequest(at, id)).status).toBe("pending");
    expect((await verify(at, token)).valid).toBe(true);
  });

  test("with an Idempotency-Key is answered as the first time, whatever is new in its signature", async () => {
    const at = await newApplication();
    const { id } = await request(at, await newDevice());
    const path = `/?Action=ApprovePolarClawDevicePair&Version=${VERSION}&ApplicationId=${at.application}`;
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const send = (more: string) => call("POST", `${path}${more}`, { key: at.key, headers });
    const first = await send(`&PairRequestId=${id}&Timestamp=1`);
    const again = await send(`&PairRequestId=${id}&Timestamp=2`);
    expect([again.status, again.text]).toEqual([200, first.text]);
    expect(again.headers.get("Idempotent-Replayed")).toBe("true");
    expect((await send("&PairRequestId=pr-other")).status).toBe(400);
  });

  test("is told to come back where the first call still runs, not that its parameters are wrong", async () => {
    const at = await newApplication();
    const { id } = await request(at, await newDevice());
    const path = `/?Action=RejectPolarClawDevicePair&Version=${VERSION}&ApplicationId=${at.application}&PairRequestId=${id}`;
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const send = () => call("POST", path, { key: at.key, headers });
    expect((await send()).status).toBe(200);
    // As it is before the first call is done.
    await env.DB.prepare("update idempotency_keys set answer = null where organisation_id = ?")
      .bind(at.id)
      .run();
    const again = await send();
    expect(again.body).toMatchObject({ Code: "ServiceUnavailable" });
    expect([again.status, again.headers.get("Retry-After")]).toEqual([503, "1"]);
  });
});
