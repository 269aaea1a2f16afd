/**
 * The tokens and join codes of a relay session: their range, that they differ, and what they are
 * derived from.
 */
import { createHmac, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  drawUserToken,
  joinCode,
  joinCodeDigest,
  joinKeyDigest,
  type SessionTokens,
  sessionTokens,
} from "../../src/session/relay-tokens";

const SECRET = "a-secret-of-this-test-0123456789";
const LARGEST = 2 ** 31 - 1;
const ids = fc
  .tuple(fc.nat(0xff_ffff), fc.nat(0xff_ffff))
  .map((parts) => `${parts.map((part) => part.toString(16).padStart(6, "0")).join("")}-S`);
const secrets = fc.string({ minLength: 32, maxLength: 64 });

/** The tokens of a session's users, drawn one after the other. */
function drawAll(tokens: SessionTokens, count: number): number[] {
  const taken = new Set<number>();
  for (let n = 0; n < count; n++) {
    taken.add(tokens.user({ n, draw: drawUserToken(tokens, n, taken) }));
  }
  return [...taken];
}

describe("the tokens of a relay session", () => {
  test("are whole numbers from 1 to 2³¹−1, each different, also in a full session", () => {
    fc.assert(
      fc.property(secrets, ids, (secret, id) => {
        const tokens = sessionTokens(secret, id);
        const all = [tokens.session, ...drawAll(tokens, 64)];
        expect(new Set(all).size).toBe(65);
        for (const token of all) {
          expect(Number.isInteger(token) && token >= 1 && token <= LARGEST).toBe(true);
        }
      }),
      { numRuns: 50 },
    );
  });

  test("are the same for the same secret and session, and others for another of either", () => {
    const user = { n: 1, draw: 0 };
    const of = (secret: string, id: string) => {
      const tokens = sessionTokens(secret, id);
      return [tokens.session, tokens.user(user)];
    };
    const one = of(SECRET, "000000000001-S");
    expect(of(SECRET, "000000000001-S")).toEqual(one);
    const all = [...one, ...of(SECRET, "000000000002-S"), ...of(`${SECRET}x`, "000000000001-S")];
    expect(new Set(all).size).toBe(6);
  });

  test("differ for each ordinal and each draw, however the digits fall", () => {
    const tokens = sessionTokens(SECRET, "000000000001-S");
    const pairs = [
      { n: 1, draw: 11 },
      { n: 11, draw: 1 },
      { n: 1, draw: 1 },
      { n: 111, draw: 0 },
      { n: 0, draw: 111 },
    ];
    expect(new Set(pairs.map((pair) => tokens.user(pair))).size).toBe(pairs.length);
  });

  test("are parts of one HMAC for each five of them, under the deployment's key for them", () => {
    const key = Buffer.from(hkdfSync("sha256", SECRET, "drawbridge", "relay-tokens", 32));
    const part = (message: string, place: number) =>
      (createHmac("sha256", key)
        .update(message)
        .digest()
        .readUIntBE(6 * place, 6) %
        LARGEST) +
      1;
    const tokens = sessionTokens(SECRET, "000000000001-S");
    expect(tokens.session).toBe(part("000000000001-S/0/0", 0));
    expect(tokens.user({ n: 0, draw: 0 })).toBe(part("000000000001-S/0/0", 1));
    expect(tokens.user({ n: 3, draw: 0 })).toBe(part("000000000001-S/0/0", 4));
    expect(tokens.user({ n: 4, draw: 0 })).toBe(part("000000000001-S/1/0", 0));
    expect(tokens.user({ n: 63, draw: 2 })).toBe(part("000000000001-S/12/2", 4));
  });

  test("are the same in whatever order, and however often, they are asked for", () => {
    const users = fc.array(fc.record({ n: fc.nat(2_000), draw: fc.nat(3) }), { maxLength: 200 });
    fc.assert(
      fc.property(ids, users, (id, asked) => {
        const tokens = sessionTokens(SECRET, id);
        for (const user of [...asked, ...asked]) {
          expect(tokens.user(user)).toBe(sessionTokens(SECRET, id).user(user));
        }
        expect(tokens.session).toBe(sessionTokens(SECRET, id).session);
      }),
      { numRuns: 50 },
    );
  });
});

describe("the draw of a user's token", () => {
  /** Tokens of which so many draws in a row give one that may not be used. */
  const colliding = (draws: number, token: number): SessionTokens => ({
    session: 5,
    user: ({ n, draw }) => (draw < draws ? token : 1_000 + n),
  });

  test("is the first where that token is free", () => {
    expect(drawUserToken(colliding(0, 5), 3, new Set([7]))).toBe(0);
  });

  test("goes on while the token is the session's own or another user's", () => {
    expect(drawUserToken(colliding(1, 5), 3, new Set())).toBe(1);
    expect(drawUserToken(colliding(4, 7), 3, new Set([7]))).toBe(4);
  });

  test("gives a token that is not taken, whichever those are", () => {
    fc.assert(
      fc.property(fc.nat(63), fc.array(fc.nat(5), { maxLength: 6 }), (n, draws) => {
        const tokens = sessionTokens(SECRET, "000000000001-S");
        const taken = new Set(draws.map((draw) => tokens.user({ n, draw })));
        const draw = drawUserToken(tokens, n, taken);
        expect(taken.has(tokens.user({ n, draw }))).toBe(false);
        expect(draw).toBeLessThanOrEqual(new Set(draws).size);
      }),
    );
  });
});

describe("a join code", () => {
  test("has eight characters in two groups, and no look-alikes", () => {
    fc.assert(
      fc.property(secrets, ids, fc.nat(9), (secret, id, draw) => {
        expect(joinCode(secret, id, draw)).toMatch(
          /^[34679ACDEFGHJKMNPQRTUVWXY]{4}-[34679ACDEFGHJKMNPQRTUVWXY]{4}$/,
        );
      }),
    );
  });

  test("uses every character of its alphabet, in every place", () => {
    const codes = Array.from({ length: 2_000 }, (_, draw) =>
      joinCode(SECRET, "0123456789ab-S", draw).replace("-", ""),
    );
    for (let place = 0; place < 8; place++) {
      expect(new Set(codes.map((code) => code[place])).size).toBe(25);
    }
    expect(new Set(codes).size).toBe(2_000);
  });

  test("differs for another session, draw or secret, and is the same for the same", () => {
    const code = joinCode(SECRET, "000000000001-S", 0);
    expect(joinCode(SECRET, "000000000001-S", 0)).toBe(code);
    const others = [
      joinCode(SECRET, "000000000001-S", 1),
      joinCode(SECRET, "000000000002-S", 0),
      joinCode(`${SECRET}x`, "000000000001-S", 0),
    ];
    expect(new Set([code, ...others]).size).toBe(4);
  });

  test("is stored as a keyed digest, the same however a player types it", () => {
    const digest = joinCodeDigest(SECRET, "ACDE-FGHJ");
    const typed = [
      "ACDEFGHJ",
      "acde-fghj",
      " AcDefGhJ ",
      "ACDE FGHJ",
      "ACDE-FGHJ\n",
      "acde - fghj",
    ];
    for (const each of typed) expect(joinCodeDigest(SECRET, each)).toBe(digest);
    expect(digest).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(joinCodeDigest(`${SECRET}x`, "ACDE-FGHJ")).not.toBe(digest);
    expect(joinCodeDigest(SECRET, "ACDE-FGHK")).not.toBe(digest);
  });
});

describe("what is kept of the Idempotency-Key of a join", () => {
  test("is another for another session, key or secret, and the same for the same", () => {
    const digest = joinKeyDigest(SECRET, "000000000001-S", "a/key");
    expect(joinKeyDigest(SECRET, "000000000001-S", "a/key")).toBe(digest);
    const others = [
      joinKeyDigest(SECRET, "000000000002-S", "a/key"),
      joinKeyDigest(SECRET, "000000000001-S", "a"),
      joinKeyDigest(`${SECRET}x`, "000000000001-S", "a/key"),
    ];
    expect(new Set([digest, ...others]).size).toBe(4);
    expect(digest).toMatch(/^[A-Za-z0-9_-]{22}$/);
  });
});
