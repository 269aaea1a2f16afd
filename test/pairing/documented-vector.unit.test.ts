/** The test vector of docs/pairing.md is right: it gives what the code makes of the same fields. */
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fingerprint, parseDeviceKey } from "../../src/pairing/device-key";
import { isSignedBy, type SignedFields, signedString } from "../../src/pairing/signed-string";

const page = readFileSync("docs/pairing.md", "utf8");
const vector = JSON.parse(/```json vector\n([\s\S]*?)```/.exec(page)?.[1] ?? "null");
const fields: SignedFields = {
  deviceId: vector.id,
  clientId: vector.client.id,
  clientMode: vector.client.mode,
  role: vector.role,
  scopes: vector.scopes,
  signedAt: vector.signed_at,
  token: vector.setup_code,
  nonce: vector.nonce,
  platform: vector.client.platform,
  family: vector.client.device_family,
};
const privateKey = createPrivateKey({
  key: Buffer.from(`302e020100300506032b657004220420${vector.private_key_seed_hex}`, "hex"),
  format: "der",
  type: "pkcs8",
});

function parseKey() {
  const parsed = parseDeviceKey(vector.public_key);
  if (!parsed.ok) throw new Error(`the key of the page is refused: ${parsed.problem}`);
  return parsed.key;
}

describe("the test vector in docs/pairing.md", () => {
  test("has the public key of its private key, and the id and fingerprint of that", () => {
    const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
    expect(Buffer.from(parseKey().bytes)).toEqual(spki.subarray(-32));
    expect(parseKey().id).toBe(vector.id);
    expect(fingerprint(vector.id)).toBe(vector.fingerprint);
  });

  test("has the fingerprint that the page tells how to make", () => {
    const [, digits = ""] = /in base 25 with the digits `(\w+)`/.exec(page) ?? [];
    expect(digits).toHaveLength(25);
    let number = BigInt(`0x${vector.id.slice(0, 32)}`);
    let made = "";
    for (; made.length < 8; number /= 25n) made += digits[Number(number % 25n)];
    expect(made).toBe(vector.fingerprint);
  });

  test("has the string that is made of its fields", () => {
    expect(signedString(fields)).toBe(vector.signed_string);
  });

  test("has the one signature that its key gives, and it is accepted", async () => {
    const signature = sign(null, Buffer.from(vector.signed_string), privateKey);
    expect(signature.toString("base64url")).toBe(vector.signature);
    expect(await isSignedBy(parseKey().bytes, vector.signature, fields)).toBe(true);
    const other = { ...fields, role: "node" };
    expect(await isSignedBy(parseKey().bytes, vector.signature, other)).toBe(false);
  });
});
