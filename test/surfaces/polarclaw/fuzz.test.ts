/**
 * Whatever is sent to the routes of devices and to the RPC actions is answered in their own
 * formats.
 */
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { type Answer, call } from "../../support/client";
import {
  newAddress,
  newApplication,
  newDevice,
  newNonce,
  pair,
  request,
  signedBody,
  type TestApplication,
} from "../../support/devices";
import {
  anyBody,
  anyQuery,
  brokenBody,
  expectOwnFormat,
  newFuzz,
  rawPart,
} from "../../support/fuzz";

const RUNS = 60;
const fuzz = newFuzz({ runs: RUNS, judge: (answer) => expectOwnFormat(answer, "v1") });
const fuzzRpc = newFuzz({ runs: RUNS, judge: expectRpcError });

let at: TestApplication;
let device: string;
let requestId: string;
let signed: Record<string, unknown>;

beforeAll(async () => {
  at = await newApplication();
  const paired = await newDevice();
  await pair(at, paired);
  device = `${at.path}/devices/${paired.id}`;
  requestId = (await request(at, await newDevice())).id;
  signed = await signedBody(await newDevice(), {}, await newNonce(at));
});

test.each([
  ["a pairing request", () => `${at.path}/pairing/requests`, () => signed],
  [
    "an approval",
    () => `${at.path}/pairing/requests/${requestId}x:approve`,
    () => ({ roles: ["operator"], scopes: ["operator.read"], digest: "x" }),
  ],
  [
    "a rejection",
    () => `${at.path}/pairing/requests/${requestId}x:reject`,
    () => ({ reason: "x" }),
  ],
  [
    "a setup code",
    () => `${at.path}/setup-codes`,
    () => ({ role: "operator", scopes: ["operator.read"], ttl_seconds: 60 }),
  ],
  ["a rotation", () => `${device}/tokens:rotate`, () => ({ role: "operator", scopes: [] })],
  ["a revocation", () => `${device}x/tokens:revoke`, () => ({ role: "operator" })],
  [
    "a verification",
    () => "/v1/devices:verify",
    () => ({ token: "drbd_", scope: "operator.read" }),
  ],
  ["an application", () => "/v1/applications", () => ({ name: "Made" })],
])("%s gets a valid answer with any body", async (_, path, good) => {
  await fuzz(fc.oneof(anyBody, brokenBody(good())), (body) =>
    call("POST", path(), { key: at.key, body, ip: newAddress() }),
  );
});

test("lists of devices and requests get a valid answer with any query and any part of a path", async () => {
  const query = anyQuery("limit", "cursor", "status");
  await fc.assert(
    fc.asyncProperty(
      query,
      rawPart,
      fc.constantFrom("GET", "POST", "PATCH", "DELETE"),
      async (q, part, verb) => {
        for (const path of [
          `${at.path}/devices?${q}`,
          `${at.path}/pairing/requests?${q}`,
          `${at.path}/devices/${part}`,
          `${at.path}/pairing/requests/${part}`,
          `/v1/applications/${part}/pairing/requests`,
        ]) {
          expectOwnFormat(await call(verb, path, { key: at.key, ip: newAddress() }), "v1");
        }
      },
    ),
    { numRuns: RUNS },
  );
});

test("unsigned RPC calls with any query and body get the five fields of an error", async () => {
  const query = anyQuery(
    "Action",
    "Version",
    "ApplicationId",
    "Signature",
    "AccessKeyId",
    "Timestamp",
  );
  const start = fc.constantFrom("", "Action=ListPolarClawDevicePairs&Version=2017-08-01&");
  const authorization = fc.constantFrom(
    null,
    "ACS3-HMAC-SHA256 Credential=DRBAK00000000001,SignedHeaders=host,Signature=00",
    `ACS3-HMAC-SHA256 Credential=DRBAK00000000001,SignedHeaders=host,Signature=${"0".repeat(64)}`,
    "ACS3-HMAC-SHA256",
    "Basic x",
  );
  await fuzzRpc(fc.tuple(start, query, anyBody, authorization), ([known, q, body, header]) => {
    const headers = header === null ? {} : { Authorization: header };
    return call("POST", `/?${known}${q}`, { headers, body, ip: newAddress() });
  });
});

function expectRpcError({ status, body }: Answer): void {
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
  expect(Object.keys(body).sort()).toEqual(["Code", "HostId", "Message", "Recommend", "RequestId"]);
}
