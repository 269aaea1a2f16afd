/**
 * The secrets of a relay session: its token, its users' tokens, its join code. All are derived from the
 * deployment's secret and the session's id. So none is stored anywhere, and a list can still show them,
 * as Edgegap's clients expect it.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { codeFrom } from "../platform/codes";
import { deriveKey } from "../platform/derive";

/** Derives the tokens of one session. */
export interface SessionTokens {
  /** The session's own token, 1…2³¹−1. */
  readonly session: number;
  /** The token of the user with ordinal `n` and this `draw`, 1…2³¹−1. */
  user(user: { n: number; draw: number }): number;
}

const LARGEST_TOKEN = 0x7fff_ffff;

/** The tokens of a session. They are below 2³¹, because some typed clients hold them in a signed integer of 32 bits. */
export function sessionTokens(secret: string, sessionId: string): SessionTokens {
  const key = deriveKey(secret, "relay-tokens", [sessionId]);
  return {
    session: toToken(key, "session"),
    user: ({ n, draw }) => toToken(key, `user/${n}/${draw}`),
  };
}

/**
 * The smallest `draw` from 0 with which the token of user `n` is unlike the session's token and the
 * `taken` ones. Two of 64 tokens agree by chance about once in a million sessions.
 */
export function drawUserToken(
  tokens: SessionTokens,
  n: number,
  taken: ReadonlySet<number>,
): number {
  for (let draw = 0; draw < MAX_TOKEN_TRIES; draw++) {
    const token = tokens.user({ n, draw });
    if (token !== tokens.session && !taken.has(token)) return draw;
  }
  throw new Error(`${MAX_TOKEN_TRIES} drawn tokens were all taken: the derivation is broken`);
}

/** The first users of a session, each with its draw: their ordinals are their places in the list. */
export function drawUserTokens<User>(
  tokens: SessionTokens,
  users: readonly User[],
): (User & { draw: number })[] {
  const taken = new Set<number>();
  return users.map((user, n) => {
    const draw = drawUserToken(tokens, n, taken);
    taken.add(tokens.user({ n, draw }));
    return { ...user, draw };
  });
}

/** Whether a token that somebody showed is this one; in constant time. */
export function isSameToken(token: number, shown: number): boolean {
  if (!Number.isInteger(shown) || shown < 1 || shown > LARGEST_TOKEN) return false;
  return timingSafeEqual(new Uint32Array([token]), new Uint32Array([shown]));
}

/** One draw is enough, but for one in a million sessions. So many never fail by chance. */
const MAX_TOKEN_TRIES = 100;

const JOIN_CODE_LENGTH = 8;

/**
 * The join code of a session, as it is shown: `XXXX-XXXX`. `draw` goes up when one is taken.
 *
 * There are 25⁸ codes, 153 thousand million. Among 1,000 live sessions one guess in 153 million is right:
 * at 30 wrong ones a minute one address needs years, and 10,000 addresses need hours for any one of them.
 */
export function joinCode(secret: string, sessionId: string, draw: number): string {
  const bytes = createHmac("sha256", deriveKey(secret, "join-code", [sessionId]))
    .update(String(draw))
    .digest();
  const code = codeFrom(bytes.subarray(0, 8), JOIN_CODE_LENGTH);
  return `${code.slice(0, JOIN_CODE_LENGTH / 2)}-${code.slice(JOIN_CODE_LENGTH / 2)}`;
}

/**
 * What is stored of a join code: a keyed digest, since 8 characters could be guessed from a plain one.
 * It is the same however the code is typed: in any case, with or without the dash and spaces.
 */
export function joinCodeDigest(secret: string, code: string): string {
  return createHmac("sha256", deriveKey(secret, "join-code-digest"))
    .update(code.replace(/[\s-]/g, "").toUpperCase())
    .digest("base64url");
}

/**
 * What a session keeps of the Idempotency-Key of a join: a keyed digest, since whoever has the key gets
 * the user's token again. 128 bits.
 */
export function joinKeyDigest(secret: string, sessionId: string, idempotencyKey: string): string {
  const digest = createHmac("sha256", deriveKey(secret, "join-keys", [sessionId]))
    .update(idempotencyKey)
    .digest();
  return digest.subarray(0, 16).toString("base64url");
}

function toToken(key: Buffer, label: string): number {
  const digest = createHmac("sha256", key).update(label).digest();
  // 2³¹−1 values; the bias of the remainder of 48 random bits is below 2⁻¹⁶.
  return (digest.readUIntBE(0, 6) % LARGEST_TOKEN) + 1;
}
