/** Public keys of devices, in workerd, whose own crypto would accept keys that are refused here. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { fingerprint, parseDeviceKey } from "../../src/pairing/device-key";
import { isSignedBy, signedString } from "../../src/pairing/signed-string";
import { call } from "../support/client";
import { forge, littleEndian, smallOrderKeys } from "../support/curve";
import { newApplication, newDevice, newNonce, signedBody, v3 } from "../support/devices";
import vectors from "./pairing-vectors.json";

const P = 2n ** 255n - 19n;
const SMALL = smallOrderKeys();

/** Makes a request with this key, and with a forged signature where one exists for it. */
async function askWithForgery(key: Uint8Array, order: bigint) {
  const at = await newApplication();
  const nonce = await newNonce(at);
  const id = createHash("sha256").update(key).digest("hex");
  let signedAt = Date.now();
  let signature = null;
  while (signature === null) {
    signedAt -= 1;
    signature = forge(key, order, v3({ id }, {}, signedAt, nonce));
  }
  const body = {
    device: {
      id,
      public_key: Buffer.from(key).toString("base64url"),
      signed_at: signedAt,
      nonce,
      signature: Buffer.from(signature).toString("base64url"),
    },
    client: { id: "cli", mode: "cli" },
    role: "operator",
    scopes: ["operator.read"],
  };
  return call("POST", `${at.path}/pairing/requests`, { body });
}

describe("the public key of a device", () => {
  test("has eight small-order points in all 14 spellings in this test", () => {
    expect(SMALL).toHaveLength(14);
    expect(SMALL.filter(({ name }) => name.startsWith("canonical"))).toHaveLength(8);
    const orders = new Set(SMALL.map(({ order }) => order));
    expect(orders).toEqual(new Set([1n, 2n, 4n, 8n]));
  });

  test.each(SMALL)(
    "is refused when it is a small-order point of the curve: $name",
    async ({ bytes, order }) => {
      const answer = await askWithForgery(bytes, order);
      expect([answer.status, answer.body.code]).toEqual([400, "invalid-key"]);
    },
  );

  test("has to be checked by us, since the runtime accepts a forgery for a small-order point", async () => {
    const identity = littleEndian(1n);
    const key = await crypto.subtle.importKey("raw", identity, { name: "Ed25519" }, false, [
      "verify",
    ]);
    const message = "whatever";
    const signature = forge(identity, 1n, message);
    if (!signature) throw new Error("every message has one");
    const signed = new TextEncoder().encode(message);
    expect(await crypto.subtle.verify({ name: "Ed25519" }, key, signature, signed)).toBe(true);
  });

  test("is refused in a non-canonical encoding", () => {
    for (const y of [P, P + 1n, P + 2n, P + 18n, 2n ** 255n - 1n]) {
      for (const sign of [0n, 1n]) {
        const text = Buffer.from(littleEndian(y | (sign << 255n))).toString("base64url");
        expect(parseDeviceKey(text)).toEqual({ ok: false, problem: "non-canonical" });
      }
    }
  });

  test("is refused with any length but 32 bytes", async () => {
    const device = await newDevice();
    const raw = Buffer.from(device.publicKey, "base64url");
    const lengths = [Buffer.alloc(0), raw.subarray(0, 31), Buffer.concat([raw, Buffer.from([0])])];
    const spki = Buffer.concat([Buffer.from(vectors.spkiPrefixHex, "hex"), raw]);
    for (const bytes of [...lengths, Buffer.alloc(64, 7), spki]) {
      expect(parseDeviceKey(bytes.toString("base64url"))).toEqual({
        ok: false,
        problem: "spelling",
      });
    }
  });

  test("is accepted in one spelling only, so that one key is one device", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const raw = Buffer.from(device.publicKey, "base64url");
    const last = device.publicKey.slice(-1);
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unused = alphabet.charAt(alphabet.indexOf(last) + 1);
    for (const spelling of [
      `${device.publicKey}=`,
      raw.toString("base64"),
      raw.toString("hex"),
      ` ${device.publicKey}`,
      `${device.publicKey}\n`,
      `${device.publicKey.slice(0, -1)}${unused}`,
    ]) {
      const body = await signedBody({ ...device, publicKey: spelling }, {}, await newNonce(at));
      const answer = await call("POST", `${at.path}/pairing/requests`, { body });
      expect([answer.status, answer.body.code]).toEqual([400, "invalid-key"]);
    }
    const body = await signedBody(device, {}, await newNonce(at));
    expect((await call("POST", `${at.path}/pairing/requests`, { body })).status).toBe(202);
  });

  test("has the lower-case hex SHA-256 of the key as its id, and no other", async () => {
    const at = await newApplication();
    const [device, other] = [await newDevice(), await newDevice()];
    for (const [id, code] of [
      [other.id, "wrong-device-id"],
      [device.id.toUpperCase(), "invalid-body"],
    ] as const) {
      const body = await signedBody({ ...device, id }, {}, await newNonce(at));
      const answer = await call("POST", `${at.path}/pairing/requests`, { body });
      expect([answer.status, answer.body.code]).toEqual([400, code]);
    }
  });
});

describe("the vectors for signed requests", () => {
  const [, deviceId, clientId, clientMode, role, scopes, signedAt, token, nonce] =
    vectors.v3.payload.split("|");
  const fields = {
    deviceId: deviceId ?? "",
    clientId: clientId ?? "",
    clientMode: clientMode ?? "",
    role: role ?? "",
    scopes: scopes?.split(",") ?? [],
    signedAt: Number(signedAt),
    token: token ?? "",
    nonce: nonce ?? "",
    platform: " Linux ",
    family: "Server",
  };

  test("have the id of their key, and a fingerprint of our alphabet", () => {
    const parsed = parseDeviceKey(vectors.publicKeyBase64Url);
    expect(parsed.ok && parsed.key.id).toBe(vectors.deviceId);
    expect(fingerprint(vectors.deviceId)).toMatch(/^[34679ACDEFGHJKMNPQRTUVWXY]{8}$/);
  });

  test("have the string of version 3, with the platform and family normalised", () => {
    expect(signedString(fields)).toBe(vectors.v3.payload);
  });

  test("have a signature of version 3 that is accepted, and of versions 1 and 2 that are refused", async () => {
    const key = Buffer.from(vectors.publicKeyBase64Url, "base64url");
    expect(await isSignedBy(key, vectors.v3.signature, fields)).toBe(true);
    for (const { signature } of [vectors.v1, vectors.v2]) {
      expect(await isSignedBy(key, signature, fields)).toBe(false);
    }
    expect(await isSignedBy(key, `${vectors.v3.signature}==`, fields)).toBe(false);
  });
});
