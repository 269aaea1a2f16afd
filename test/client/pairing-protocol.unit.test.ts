/** What the client computes when a device pairs is what OpenClaw's devices and the documentation compute. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  base64Url,
  deviceIdOf,
  fingerprintOf,
  signedString,
} from "../../client/src/pairing-protocol";
import { fingerprint } from "../../src/pairing/device-key";
import { signedString as signedStringOfServer } from "../../src/pairing/signed-string";
import vectors from "../pairing/pairing-vectors.json";

const page = readFileSync("docs/pairing.md", "utf8");
const documented = JSON.parse(/```json vector\n([\s\S]*?)```/.exec(page)?.[1] ?? "null");
const publicKey = Uint8Array.from(Buffer.from(vectors.publicKeyBase64Url, "base64url"));
const fields = {
  deviceId: vectors.deviceId,
  client: { id: "cli", mode: "cli", platform: " Linux ", deviceFamily: "Server" },
  role: "operator",
  scopes: ["operator.read", "operator.write"],
  signedAt: 1737264000000,
  setupCode: "tok-123",
  nonce: "nonce-abc",
};

describe("what the client computes for a pairing", () => {
  test("has the string of the test vectors, and their signature", async () => {
    const text = signedString(fields);
    expect(text).toBe(vectors.v3.payload);
    expect(text).toBe(documented.signed_string);
    const seed = `302e020100300506032b657004220420${vectors.seedHex}`;
    const algorithm = { name: "Ed25519" };
    const key = await crypto.subtle.importKey("pkcs8", Buffer.from(seed, "hex"), algorithm, false, [
      "sign",
    ]);
    const signature = await crypto.subtle.sign(algorithm, key, new TextEncoder().encode(text));
    expect(base64Url(new Uint8Array(signature))).toBe(vectors.v3.signature);
  });

  test("has the device id and the fingerprint of the test vectors", async () => {
    expect(base64Url(publicKey)).toBe(vectors.publicKeyBase64Url);
    const id = await deviceIdOf(publicKey);
    expect(id).toBe(vectors.deviceId);
    expect(fingerprintOf(id)).toBe(documented.fingerprint);
  });

  test("has the fingerprint that the operator sees, for every device", () => {
    const ids = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(ids, (bytes) => {
        const id = bytes.toString("hex");
        expect(fingerprintOf(id)).toBe(fingerprint(id));
        expect(base64Url(bytes)).toBe(bytes.toString("base64url"));
      }),
    );
  });

  test("has the string that the service checks, for every request", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 12 });
    const optional = fc.option(text, { nil: undefined });
    const requests = fc.record({
      deviceId: text,
      client: fc.record({ id: text, mode: text, platform: optional, deviceFamily: optional }),
      role: text,
      scopes: fc.array(text, { maxLength: 4 }),
      signedAt: fc.nat(),
      setupCode: text,
      nonce: text,
    });
    fc.assert(
      fc.property(requests, ({ client, setupCode, ...rest }) => {
        const { id: clientId, mode: clientMode, platform = "", deviceFamily: family = "" } = client;
        const sent = { ...rest, clientId, clientMode, platform, family, token: setupCode };
        expect(signedString({ ...rest, client, setupCode })).toBe(signedStringOfServer(sent));
      }),
    );
  });
});
