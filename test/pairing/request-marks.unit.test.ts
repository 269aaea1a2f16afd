/** What people compare of a pairing request is made once, and is that of this request and of no other. */
import { expect, test } from "vitest";
import { fingerprint } from "../../src/pairing/device-key";
import { type PairingRequest, requestDigest } from "../../src/pairing/pairing-request";
import { marksOf } from "../../src/pairing/request-marks";

const request = (change: Partial<PairingRequest>) =>
  ({
    id: "pr-1",
    applicationId: "pa-1",
    deviceId: "ab".repeat(32),
    publicKey: "key",
    role: "operator",
    roles: ["operator"],
    scopes: ["operator.read"],
    ...change,
  }) as PairingRequest;

test("a request has its own fingerprint and digest, which are made once", () => {
  const one = request({});
  const marks = marksOf(one);
  expect(marks).toEqual({ fingerprint: fingerprint(one.deviceId), digest: requestDigest(one) });
  expect(marksOf(request({ status: "approved" }))).toBe(marks);
});

test("a request of the same id in another application has other marks", () => {
  const marks = marksOf(request({}));
  const other = request({ applicationId: "pa-2", deviceId: "cd".repeat(32), scopes: [] });
  expect(marksOf(other)).toEqual({
    fingerprint: fingerprint(other.deviceId),
    digest: requestDigest(other),
  });
  expect(marksOf(other)).not.toEqual(marks);
});
