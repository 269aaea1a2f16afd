/**
 * The form of an API key: a fixed prefix, 30 random characters, and a checksum as in GitHub's
 * tokens.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  checksum,
  isWellFormedToken,
  newToken,
  tokenDigest,
  tokenShort,
} from "../../src/keys/key-token";

const VECTOR = { random: "qkJaB6MffYVzZXWqmcoF49yrUxP3wf", checksum: "0LsakP" };
const KEY = `drb_${VECTOR.random}${VECTOR.checksum}`;
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

describe("the checksum of an API key", () => {
  test("of the published example is the published one", () => {
    expect(checksum(VECTOR.random)).toBe(VECTOR.checksum);
    expect(isWellFormedToken(KEY)).toBe(true);
  });

  test("of CRC32's own check value is that value in base62", () => {
    // CRC32/IEEE of "123456789" is cbf43926, which is 3421780262.
    expect(checksum("123456789")).toBe(toBase62(0xcbf4_3926));
  });

  test("is padded with zeros to six characters, also where the CRC is zero", () => {
    expect(checksum("")).toBe("000000");
  });
});

describe("a new API key", () => {
  test("is well-formed, and differs from all others", () => {
    const tokens = Array.from({ length: 500 }, newToken);
    for (const token of tokens) {
      expect(token).toMatch(/^drb_[0-9A-Za-z]{36}$/);
      expect(isWellFormedToken(token)).toBe(true);
    }
    expect(new Set(tokens).size).toBe(500);
  });

  test("uses every character of the alphabet in every place", () => {
    const seen = Array.from({ length: 30 }, () => new Set<string>());
    for (let i = 0; i < 2_000; i++) {
      const random = newToken().slice(4, 34);
      seen.forEach((characters, place) => {
        characters.add(random.charAt(place));
      });
    }
    // The chance that one of 62 characters misses one of 30 places in 2,000 draws is below 10⁻¹⁰.
    for (const characters of seen) expect(characters.size).toBe(ALPHABET.length);
  });
});

describe("the form of an API key refuses", () => {
  test.each<[string, string]>([
    ["nothing", ""],
    ["the prefix alone", "drb_"],
    ["a key without its prefix", KEY.slice(4)],
    ["a key with the prefix in capitals", KEY.replace("drb_", "DRB_")],
    ["a key of another service", KEY.replace("drb_", "ghp_")],
    ["a key with a space in front", ` ${KEY}`],
    ["a key with a line break behind", `${KEY}\n`],
    ["a key that was cut", KEY.slice(0, -1)],
    ["a key with one character more", `${KEY}0`],
    ["a key with another checksum", `${KEY.slice(0, -1)}Q`],
    ["a key with its checksum in another case", KEY.slice(0, -6) + VECTOR.checksum.toLowerCase()],
    ["a key with a character that is no base62", KEY.replace("qk", "q-")],
    ["a key with a letter beyond ASCII", KEY.replace("qk", "qé")],
  ])("%s", (_, token) => {
    expect(isWellFormedToken(token)).toBe(false);
  });

  test("a key in which any one character was changed", () => {
    const place = fc.integer({ min: 4, max: KEY.length - 1 });
    const character = fc.constantFrom(...ALPHABET);
    fc.assert(
      fc.property(place, character, (at, other) => {
        fc.pre(KEY.charAt(at) !== other);
        expect(isWellFormedToken(KEY.slice(0, at) + other + KEY.slice(at + 1))).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  test("a text that nobody made as a key", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(isWellFormedToken(text)).toBe(false);
      }),
    );
  });
});

test("what is stored and shown of an API key does not authenticate a call", () => {
  const digest = tokenDigest(KEY);
  expect(digest).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(isWellFormedToken(digest)).toBe(false);
  expect(tokenShort(KEY)).toBe("drb_qkJaB6Mf");
});

function toBase62(value: number): string {
  const digits: string[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 62)) {
    digits.unshift(ALPHABET.charAt(rest % 62));
  }
  return digits.join("").padStart(6, "0");
}
