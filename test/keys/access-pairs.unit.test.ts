/** Access key pairs: derived from the key and its token's version, and good for as long as the token. */
import { describe, expect, it } from "vitest";
import { deriveAccessKey, parseAccessKeyId, validAccessSecrets } from "../../src/keys/access-key";

const SECRET = "s".repeat(32);

describe("an access key pair", () => {
  it("is the same each time, and another for another key, version or deployment", () => {
    const pair = deriveAccessKey(SECRET, { id: 7, tokenVersion: 1 });
    expect(deriveAccessKey(SECRET, { id: 7, tokenVersion: 1 })).toEqual(pair);
    const others = [
      deriveAccessKey(SECRET, { id: 8, tokenVersion: 1 }),
      deriveAccessKey(SECRET, { id: 7, tokenVersion: 2 }),
      deriveAccessKey(SECRET.toUpperCase(), { id: 7, tokenVersion: 1 }),
    ].map(({ secret }) => secret);
    expect(new Set([pair.secret, ...others]).size).toBe(4);
  });

  it.each([1, 42, 99_999_999_999, 123_456_789_012_345])("names key %d by its id", (id) => {
    expect(parseAccessKeyId(deriveAccessKey(SECRET, { id, tokenVersion: 1 }).id)).toBe(id);
  });

  it.each(["", "DRBAK", "DRBAK1", "DRBAK0000000000x", "drbak00000000001", "DRBAK000000000001"])(
    "%j names none",
    (id) => {
      expect(parseAccessKeyId(id)).toBeNull();
    },
  );

  it("of a refreshed key signs with each older secret until its own grace is over", () => {
    const previousTokens = [
      { version: 1, until: 2_000 },
      { version: 2, until: 1_000 },
    ];
    const key = { id: 7, tokenVersion: 3, previousTokens };
    const secretOf = (tokenVersion: number) =>
      deriveAccessKey(SECRET, { id: 7, tokenVersion }).secret;
    expect(validAccessSecrets(SECRET, key, 999)).toEqual([3, 2, 1].map(secretOf));
    expect(validAccessSecrets(SECRET, key, 1_000)).toEqual([3, 1].map(secretOf));
    expect(validAccessSecrets(SECRET, key, 2_000)).toEqual([secretOf(3)]);
    expect(validAccessSecrets(SECRET, { ...key, previousTokens: [] }, 0)).toEqual([secretOf(3)]);
  });
});
