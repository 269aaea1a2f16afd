/**
 * How keys are derived from the deployment's secret. A change of one derivation ends everything
 * that it is used for.
 */
import { hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { deriveAccessKey } from "../../src/keys/access-key";
import { deriveSecret } from "../../src/outbound/standard-webhooks";
import { fingerprint } from "../../src/pairing/device-key";
import { codeFrom } from "../../src/platform/codes";
import { deriveKey, PURPOSES, type Purpose } from "../../src/platform/derive";

const SECRET = "a-deployment-secret-of-at-least-32-characters";
const hkdf = (info: string, bytes = 32) =>
  Buffer.from(hkdfSync("sha256", SECRET, "drawbridge", info, bytes));

describe("a derived key", () => {
  test("is HKDF-SHA256 with the purpose and its owner as info", () => {
    expect(deriveKey(SECRET, "session-tokens")).toEqual(hkdf("session-tokens"));
    expect(deriveKey(SECRET, "poll", ["pa-1", "pr-2"])).toEqual(hkdf("poll/pa-1/pr-2"));
    expect(deriveKey(SECRET, "access-key", [7, 2], 30)).toEqual(hkdf("access-key/7/2", 30));
  });

  test("of the deployment itself is the same again, and another for another purpose or secret", () => {
    const purposes = Object.keys(PURPOSES) as Purpose[];
    const keysOf = (secret: string) => purposes.map((purpose) => deriveKey(secret, purpose));
    const [first, other, again] = [keysOf(SECRET), keysOf(`${SECRET}x`), keysOf(SECRET)];
    expect(again).toEqual(first);
    expect(again).toEqual(purposes.map((purpose) => hkdf(purpose)));
    const all = [...first, ...other].map((key) => key.toString("hex"));
    expect(new Set(all).size).toBe(2 * purposes.length);
  });

  test("keeps the secrets that clients already hold", () => {
    expect(deriveAccessKey(SECRET, { id: 7, tokenVersion: 2 }).secret).toBe(
      hkdf("access-key/7/2", 30).toString("base64url"),
    );
    expect(deriveSecret(SECRET, "endpoint/whe_1", 3)).toBe(
      `whsec_${hkdf("webhook-secret/3/endpoint/whe_1").toString("base64")}`,
    );
  });

  test("of every purpose is documented for an owner who changes the deployment's secret", () => {
    const page = readFileSync("docs/operations.md", "utf8");
    for (const [purpose, what] of Object.entries(PURPOSES)) {
      expect(page, purpose).toContain(`| \`${purpose}\` | ${what} |`);
    }
  });
});

describe("a code", () => {
  test("spells a number in 25 characters without look-alikes, the last digit first", () => {
    expect(codeFrom(Uint8Array.of(0), 3)).toBe("333");
    expect(codeFrom(Uint8Array.of(24), 3)).toBe("Y33");
    expect(codeFrom(Uint8Array.of(1, 0), 3)).toBe(codeFrom(Uint8Array.of(0, 1, 0), 3));
    expect(codeFrom(Uint8Array.of(25), 2)).toBe("34");
  });

  test("of a device is made of the first 16 bytes of its id", () => {
    const id = "34750f98bd59fcfc946da45aaabe933be154a4b5094e1c4abf42866505f3c97e";
    expect(fingerprint(id)).toBe(codeFrom(Buffer.from(id, "hex").subarray(0, 16), 8));
    expect(fingerprint(id)).toMatch(/^[34679ACDEFGHJKMNPQRTUVWXY]{8}$/);
  });
});
