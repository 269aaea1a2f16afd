/**
 * Access key pairs are derived from a key and its token's version, and work for as long as that
 * token.
 */
import { describe, expect, test } from "vitest";
import { deriveAccessKey, parseAccessKeyId, validAccessSecrets } from "../../src/keys/access-key";

const SECRET = "s".repeat(32);

describe("an access key pair", () => {
  test("is the same each time, and differs for another key, version or deployment", () => {
    const pair = deriveAccessKey(SECRET, { id: 7, tokenVersion: 1 });
    expect(deriveAccessKey(SECRET, { id: 7, tokenVersion: 1 })).toEqual(pair);
    const others = [
      deriveAccessKey(SECRET, { id: 8, tokenVersion: 1 }),
      deriveAccessKey(SECRET, { id: 7, tokenVersion: 2 }),
      deriveAccessKey(SECRET.toUpperCase(), { id: 7, tokenVersion: 1 }),
    ].map(({ secret }) => secret);
    expect(new Set([pair.secret, ...others]).size).toBe(4);
  });

  test.each([1, 42, 99_999_999_999, 123_456_789_012_345])(
    "has an id that gives back the number of its key: %d",
    (id) => {
      expect(parseAccessKeyId(deriveAccessKey(SECRET, { id, tokenVersion: 1 }).id)).toBe(id);
    },
  );

  test.each(["", "DRBAK", "DRBAK1", "DRBAK0000000000x", "drbak00000000001", "DRBAK000000000001"])(
    "has no id such as %j",
    (id) => {
      expect(parseAccessKeyId(id)).toBeNull();
    },
  );

  test("signs with each older secret of a refreshed key until that secret's own grace is over", () => {
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
